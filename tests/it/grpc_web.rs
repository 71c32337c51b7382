//! gRPC-Web: the trailers are the last bytes of the body. A layer outside the gRPC-Web layer reads
//! the gRPC status there.

use std::convert::Infallible;
use std::fmt::Display;
use std::task::Poll;

use bytes::{Buf as _, Bytes};
use futures_util::stream;
use http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::client::conn::http1 as client;
use hyper::server::conn::http1 as server;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use opentelemetry::trace::Status;
use tokio::io::duplex;
use tonic_web::GrpcWebLayer;
use tower::Service;
use tower_api_span::ResponseBody;
use tower_layer::Layer as _;

use crate::matrix::grpc::service::TestService;
use crate::support::body::ScriptedBody;
use crate::support::body::Step::{self, Error, Pending, Trailers};
use crate::support::recorder::{Recorder, Seen};
use crate::support::{answering, get, poll_frame, read, ready, response};

const BINARY: &str = "application/grpc-web+proto";
const TEXT: &str = "application/grpc-web-text+proto";

const MESSAGE: &[u8] = b"\0\0\0\0\x05hello";
const OK: &[u8] = b"\x80\0\0\0\x10grpc-status: 0\r\n";
const FAILED: &[u8] = b"\x80\0\0\0\x2Cgrpc-status:13\r\ngrpc-message:out%20of%20it\r\n";

/// A message followed by these trailers.
const COMPLETE: &[u8] = b"\0\0\0\0\x05hello\x80\0\0\0\x10grpc-status: 0\r\n";
const COMPLETE_FAILED: &[u8] =
    b"\0\0\0\0\x05hello\x80\0\0\0\x2Cgrpc-status:13\r\ngrpc-message:out%20of%20it\r\n";
/// A message and `OK` in base64: each frame encoded separately, and both encoded together.
const COMPLETE_TEXT: &[u8] = b"AAAAAAVoZWxsbw==gAAAABBncnBjLXN0YXR1czogMA0K";
const COMPLETE_TEXT_JOINED: &[u8] = b"AAAAAAVoZWxsb4AAAAAQZ3JwYy1zdGF0dXM6IDANCg==";

fn request() -> Request<()> {
    Request::post("/pkg.Service/Method")
        .header(CONTENT_TYPE, BINARY)
        .body(())
        .expect("a request")
}

/// A response of this content type whose body has these steps.
fn typed(content_type: &'static str, steps: &[Step]) -> Response<ScriptedBody> {
    let mut response = response(200, ScriptedBody::new(steps.to_vec()));
    let content_type = HeaderValue::from_static(content_type);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

/// Sends a response through the layer and returns its body.
fn open<B>(recorder: &Recorder, response: Response<B>) -> ResponseBody<B>
where
    B: Body<Error: Display + 'static>,
{
    let mut response = Some(response);
    let mut service = answering(&recorder.layer(), move |_| {
        response.take().expect("one request")
    });
    ready(service.call(request()))
        .expect("a response")
        .into_body()
}

/// Reads a response to its end and returns its span.
fn read_to_end(response: Response<ScriptedBody>) -> Seen {
    let recorder = Recorder::new();
    read(&mut open(&recorder, response)).expect("bytes");
    recorder.only()
}

fn code(span: &Seen) -> Option<String> {
    span.attribute("rpc.status_code")
}

#[test]
fn span_with_the_grpc_status_ends_before_the_frame_that_completes_the_trailers() {
    for (content_type, body, expected) in [
        (BINARY, COMPLETE, "DEPARTED OK"),
        (BINARY, OK, "DEPARTED OK"),
        (BINARY, COMPLETE_FAILED, "ABORTED(exception) INTERNAL"),
        (BINARY, FAILED, "ABORTED(exception) INTERNAL"),
        (TEXT, COMPLETE_TEXT, "DEPARTED OK"),
        (TEXT, COMPLETE_TEXT_JOINED, "DEPARTED OK"),
    ] {
        for size in [1, 7, body.len()] {
            let recorder = Recorder::new();
            let frames: Vec<Step> = body.chunks(size).map(Step::Bytes).collect();
            let mut open = open(&recorder, typed(content_type, &frames));
            for chunk in body.chunks(size) {
                assert_eq!(
                    recorder.ends(),
                    0,
                    "{expected}, {size}: ended before the last frame"
                );
                let Poll::Ready(Some(Ok(frame))) = poll_frame(&mut open) else {
                    panic!("no frame");
                };
                let data = frame.into_data().expect("data");
                assert_eq!(data.as_ptr(), chunk.as_ptr(), "the data was copied");
                assert_eq!(data, chunk);
            }
            assert_eq!(recorder.ends(), 1, "{expected}, {size}");
            // A client that has the trailers stops reading.
            drop(open);
            let span = recorder.only();
            let got = format!("{} {}", span.outcome(), code(&span).unwrap_or_default());
            assert_eq!(got, expected, "{size}");
        }
    }
}

#[test]
fn trailers_of_a_response_to_a_request_without_grpc_are_not_read() {
    let recorder = Recorder::new();
    let steps = [Step::Bytes(COMPLETE_FAILED), Step::Bytes(MESSAGE)];
    let mut service = answering(&recorder.layer(), |_| typed(BINARY, &steps));
    let mut body = ready(service.call(get())).expect("a response").into_body();
    assert!(poll_frame(&mut body).is_ready());
    assert_eq!(recorder.ends(), 0, "the body has more data");
    read(&mut body).expect("bytes");
    assert_eq!(recorder.only().outcome(), "DEPARTED");
}

#[test]
fn server_error_code_in_the_trailers_is_an_error_with_its_message() {
    let span = read_to_end(typed(BINARY, &[Step::Bytes(MESSAGE), Step::Bytes(FAILED)]));
    assert_eq!(span.outcome(), "ABORTED(exception)");
    assert_eq!(span.attribute("error.type").as_deref(), Some("INTERNAL"));
    assert_eq!(span.error().as_deref(), Some("out of it"));
    assert_eq!(*span.status(), Status::error("out of it"));
}

#[test]
fn end_of_the_body_is_classified_by_the_trailers_seen_before() {
    let disconnect = "ABORTED(client_disconnect)";
    let (message, ok) = (Step::Bytes(MESSAGE), Step::Bytes(OK));
    let incomplete = Step::Bytes(&OK[..20]);
    for (case, steps, polls, outcome, expected) in [
        (
            "the client disconnects before the trailers",
            vec![message.clone(), Pending],
            2,
            disconnect,
            Some("CANCELLED"),
        ),
        (
            "the client disconnects within the trailers",
            vec![incomplete.clone(), Pending],
            2,
            disconnect,
            Some("CANCELLED"),
        ),
        (
            "the client disconnects after the trailers",
            vec![message.clone(), ok.clone(), Pending],
            3,
            "DEPARTED",
            Some("OK"),
        ),
        (
            "an error before the trailers",
            vec![message.clone(), Error],
            2,
            "ABORTED(exception)",
            None,
        ),
        (
            "an error after the trailers",
            vec![ok.clone(), Error],
            2,
            "DEPARTED",
            Some("OK"),
        ),
        ("no trailers", vec![message.clone()], 2, "DEPARTED", None),
        (
            "incomplete trailers",
            vec![message.clone(), incomplete],
            3,
            "DEPARTED",
            None,
        ),
        (
            "not gRPC-Web",
            vec![Step::Bytes(b"<html>"), ok.clone()],
            3,
            "DEPARTED",
            None,
        ),
        (
            "an empty frame",
            vec![Step::Bytes(b""), ok.clone()],
            2,
            "DEPARTED",
            Some("OK"),
        ),
        (
            "HTTP trailers",
            vec![message, Trailers(&[("grpc-status", "5")])],
            2,
            "ABORTED(client_error)",
            Some("NOT_FOUND"),
        ),
    ] {
        let recorder = Recorder::new();
        let mut body = open(&recorder, typed(BINARY, &steps));
        for _ in 0..polls {
            let _ = poll_frame(&mut body);
        }
        drop(body);
        let span = recorder.only();
        assert_eq!(span.outcome(), outcome, "{case}");
        assert_eq!(code(&span).as_deref(), expected, "{case}");
    }
}

#[test]
fn response_head_decides_whether_the_trailers_are_read() {
    const STATUS: HeaderName = HeaderName::from_static("grpc-status");
    let unchanged = (STATUS, None);
    for (rule, content_type, (name, value), outcome, expected) in [
        (
            "the content type of the response decides, not that of the request",
            "application/grpc",
            unchanged.clone(),
            "DEPARTED",
            None,
        ),
        (
            "a text type is not read as binary",
            TEXT,
            unchanged,
            "DEPARTED",
            None,
        ),
        (
            "a status in the head takes precedence",
            BINARY,
            (STATUS, Some("5")),
            "ABORTED(client_error)",
            Some("NOT_FOUND"),
        ),
        (
            "an encoded body is not read",
            BINARY,
            (CONTENT_ENCODING, Some("gzip")),
            "DEPARTED",
            None,
        ),
        (
            "the identity encoding is read",
            BINARY,
            (CONTENT_ENCODING, Some("identity")),
            "DEPARTED",
            Some("OK"),
        ),
        // The trailers complete the message, and the Content-Length is not checked.
        (
            "a wrong Content-Length is ignored",
            BINARY,
            (CONTENT_LENGTH, Some("1000")),
            "DEPARTED",
            Some("OK"),
        ),
        (
            "a correct Content-Length is ignored",
            BINARY,
            (CONTENT_LENGTH, Some("31")),
            "DEPARTED",
            Some("OK"),
        ),
    ] {
        let mut response = typed(content_type, &[Step::Bytes(COMPLETE)]);
        if let Some(value) = value {
            let value = HeaderValue::from_static(value);
            response.headers_mut().insert(name, value);
        }
        let span = read_to_end(response);
        assert_eq!(span.outcome(), outcome, "{rule}");
        assert_eq!(code(&span).as_deref(), expected, "{rule}");
    }
}

#[test]
fn frame_that_is_not_contiguous_stops_the_reading_of_trailers() {
    /// The header of a message whose content looks like trailers.
    const QUOTED: &[u8] = b"\0\0\0\0\x15";
    for (first, second, expected) in [
        (MESSAGE, &b""[..], Some("OK")),
        (b"", MESSAGE, Some("OK")),
        (MESSAGE, QUOTED, None),
    ] {
        let recorder = Recorder::new();
        let frames = [first.chain(second), OK.chain(&b""[..])];
        let frames = frames.map(|data| Ok::<_, Infallible>(Frame::data(data)));
        let mut response = Response::new(StreamBody::new(stream::iter(frames)));
        let content_type = HeaderValue::from_static(BINARY);
        response.headers_mut().insert(CONTENT_TYPE, content_type);
        let mut body = open(&recorder, response);
        while let Poll::Ready(Some(_)) = poll_frame(&mut body) {}
        drop(body);
        let span = recorder.only();
        assert_eq!(span.outcome(), "DEPARTED");
        assert_eq!(code(&span).as_deref(), expected);
    }
}

/// Calls a tonic service over HTTP/1.1, with the layer outside tonic's gRPC-Web layer.
async fn call_tonic(method: &str, message: &str, accept: &'static str) -> Seen {
    let recorder = Recorder::new();
    let service = recorder
        .layer()
        .layer(GrpcWebLayer::new().layer(TestService::default()));
    let (client_io, server_io) = duplex(64 * 1024);
    tokio::spawn(
        server::Builder::new()
            .serve_connection(TokioIo::new(server_io), TowerToHyperService::new(service)),
    );
    let handshake = client::handshake(TokioIo::new(client_io)).await;
    let (mut sender, connection) = handshake.expect("a connection");
    tokio::spawn(connection);

    let length = u8::try_from(message.len()).expect("a short message");
    let frame = [&[0, 0, 0, 0, length], message.as_bytes()].concat();
    let request = Request::post(format!("/matrix.Test/{method}"))
        .header("host", "example.com")
        .header(CONTENT_TYPE, BINARY)
        .header(ACCEPT, accept)
        .body(Full::new(Bytes::from(frame)))
        .expect("a request");
    let response = sender.send_request(request).await.expect("a response");
    assert_eq!(response.headers()[CONTENT_TYPE], accept);
    response.into_body().collect().await.expect("a body");
    recorder.all_ended().await;
    recorder.only()
}

#[tokio::test]
async fn tonic_service_behind_grpc_web_has_its_status_on_the_span() {
    for (method, message, outcome, expected) in [
        ("Unary", "ok", "DEPARTED", "OK"),
        (
            "Unary",
            "reject",
            "ABORTED(validation_error)",
            "INVALID_ARGUMENT",
        ),
        ("ServerStreaming", "ok", "DEPARTED", "OK"),
        ("ServerStreaming", "no messages", "DEPARTED", "OK"),
        (
            "ServerStreaming",
            "fail at once",
            "ABORTED(client_error)",
            "ABORTED",
        ),
        (
            "ServerStreaming",
            "fail midway",
            "ABORTED(exception)",
            "INTERNAL",
        ),
        ("Unknown", "", "ABORTED(exception)", "UNIMPLEMENTED"),
    ] {
        for accept in [BINARY, TEXT] {
            let span = call_tonic(method, message, accept).await;
            let case = format!("{method} {message} {accept}");
            assert_eq!(span.outcome(), outcome, "{case}");
            assert_eq!(code(&span).as_deref(), Some(expected), "{case}");
        }
    }
}
