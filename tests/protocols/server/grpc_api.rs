//! The gRPC API. Messages are plain text, so that no client needs generated code. The first message is a command:
//! `echo`, `status 5`, `wait`, `panic`, or `messages 3`, which may be followed by one of the others.

use std::future::pending;
use std::panic::panic_any;
use std::time::Duration;

use axum::Router;
use axum::extract::Request as HttpRequest;
use axum::routing::post;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use http::{HeaderMap, HeaderValue};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use tokio::time::sleep;
use tonic::body::Body;
use tonic::metadata::MetadataMap;
use tonic::server::Grpc;
use tonic::{Code, Request, Response, Status, Streaming};
use tower::service_fn;

use crate::http_api::Intended;
use codec::BytesCodec;

#[expect(unreachable_pub, reason = "a file of the test binary `it`, too")]
#[path = "../../it/support/bytes_codec.rs"]
mod codec;

pub(crate) const METHODS: [&str; 5] = [
    "protocols.Test/Unary",
    "protocols.Test/ServerStreaming",
    "protocols.Test/ClientStreaming",
    "protocols.Test/Bidirectional",
    "protocols.Test/Compressed",
];

type Responses = BoxStream<'static, Result<Bytes, Status>>;

pub(crate) fn routes() -> Router {
    Router::new()
        .route("/protocols.Test/Unary", post(unary))
        .route("/protocols.Test/ServerStreaming", post(server_streaming))
        .route("/protocols.Test/ClientStreaming", post(client_streaming))
        .route("/protocols.Test/Bidirectional", post(bidirectional))
        .route("/protocols.Test/Compressed", post(compressed))
        .route("/{service}/{method}", post(unimplemented))
}

async fn unary(request: HttpRequest) -> http::Response<Body> {
    let method = async |request: Request<Bytes>| {
        let (metadata, _, message) = request.into_parts();
        Ok(with_metadata(&metadata, reply(message).await?))
    };
    Grpc::new(BytesCodec)
        .unary(service_fn(method), request)
        .await
}

async fn server_streaming(request: HttpRequest) -> http::Response<Body> {
    let method = async |request: Request<Bytes>| {
        let (metadata, _, message) = request.into_parts();
        let responses: Responses = match replies(&message) {
            Some((count, rest)) => {
                let words = stream::iter(0..count).map(|_| Ok(Bytes::from_static(b"word")));
                let last = (!rest.is_empty()).then(|| stream::once(reply(rest)));
                words.chain(stream::iter(last).flatten()).boxed()
            }
            None => stream::iter([Ok(reply(message).await?)]).boxed(),
        };
        Ok::<_, Status>(with_metadata(&metadata, responses))
    };
    Grpc::new(BytesCodec)
        .server_streaming(service_fn(method), request)
        .await
}

/// Answers with the numbers of messages and bytes, or does what the first message asks for.
async fn client_streaming(request: HttpRequest) -> http::Response<Body> {
    let method = async |request: Request<Streaming<Bytes>>| {
        let (metadata, _, mut messages) = request.into_parts();
        let (mut count, mut bytes) = (0, 0);
        while let Some(message) = messages.message().await? {
            if count == 0 {
                reply(message.clone()).await?;
            }
            (count, bytes) = (count + 1, bytes + message.len());
        }
        let text = format!("{count} messages, {bytes} bytes");
        Ok::<_, Status>(with_metadata(&metadata, Bytes::from(text)))
    };
    Grpc::new(BytesCodec)
        .client_streaming(service_fn(method), request)
        .await
}

/// Does what each message asks for.
async fn bidirectional(request: HttpRequest) -> http::Response<Body> {
    let method = async |request: Request<Streaming<Bytes>>| {
        let (metadata, _, messages) = request.into_parts();
        let replies = messages.then(async |message| reply(message?).await);
        Ok::<_, Status>(with_metadata(&metadata, replies.boxed()))
    };
    Grpc::new(BytesCodec)
        .streaming(service_fn(method), request)
        .await
}

async fn unimplemented() -> http::Response<Body> {
    Status::unimplemented("no such method").into_http()
}

/// The word `word`, compressed with gzip.
const GZIP: [u8; 24] = [
    0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 0xff, 0x2b, 0xcf, 0x2f, 0x4a, 1, 0, 0x11, 0x75, 0xf1, 0xc3, 4,
    0, 0, 0,
];

/// Answers with a compressed message, whatever the request is, without tonic's encoder.
async fn compressed(request: HttpRequest) -> http::Response<Body> {
    // The status of a broken request is of no interest here.
    let _ = request.into_body().collect().await;
    let mut message = vec![1, 0, 0, 0, 24];
    message.extend(GZIP);
    let trailers = HeaderMap::from_iter([(
        http::HeaderName::from_static("grpc-status"),
        HeaderValue::from_static("0"),
    )]);
    let frames = [
        Ok::<_, Status>(Frame::data(Bytes::from(message))),
        Ok(Frame::trailers(trailers)),
    ];
    http::Response::builder()
        .header("content-type", "application/grpc")
        .header("grpc-encoding", "gzip")
        .body(Body::new(StreamBody::new(stream::iter(frames))))
        .expect("a response")
}

/// Returns the number of messages that are asked for, and the rest of the message.
fn replies(message: &Bytes) -> Option<(usize, Bytes)> {
    let text = str::from_utf8(message).ok()?.strip_prefix("messages ")?;
    let (count, rest) = text.split_once(' ').unwrap_or((text, ""));
    Some((count.parse().ok()?, Bytes::from(rest.to_owned())))
}

/// Does what the message asks for, and else returns it.
async fn reply(message: Bytes) -> Result<Bytes, Status> {
    let text = str::from_utf8(&message).unwrap_or_default();
    match text {
        "wait" => pending().await,
        "panic" => {
            // The messages before are sent.
            sleep(Duration::from_millis(400)).await;
            panic_any(Intended)
        }
        _ => {}
    }
    if let Some(code) = text.strip_prefix("status ") {
        let code = Code::from_bytes(code.as_bytes());
        let mut status = Status::new(code, "as requested");
        let value = "from the server".parse().expect("a value");
        status.metadata_mut().insert("x-trailer", value);
        return Err(status);
    }
    Ok(message)
}

/// Returns the request's `x-echo` and `x-echo-bin` as metadata of the response.
fn with_metadata<T>(metadata: &MetadataMap, message: T) -> Response<T> {
    let mut response = Response::new(message);
    if let Some(value) = metadata.get("x-echo") {
        response.metadata_mut().insert("x-echo", value.clone());
    }
    if let Some(value) = metadata.get_bin("x-echo-bin") {
        response
            .metadata_mut()
            .insert_bin("x-echo-bin", value.clone());
    }
    response
}
