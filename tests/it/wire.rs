//! The bytes on the wire are the same with and without the layer.
//!
//! A client writes fixed bytes to a hyper server over an in-memory pipe and reads all it sends. Time
//! is paused and the runtime has one thread, so that two runs differ only in the layer.

use std::convert::Infallible;

use http::{Method, Request, Version};
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tower::{Service, service_fn};
use tower_layer::Layer as _;

use crate::matrix::grpc::service::TestService;
use crate::support::body::{Boom, ScriptedBody};
use crate::support::recorder::Recorder;
use crate::support::shapes::{self, Shape};

/// Returns the service of a shape, without the layer.
fn service(
    shape: Shape,
) -> impl Service<
    Request<Incoming>,
    Response = http::Response<ScriptedBody>,
    Error = Infallible,
    Future = impl Future<Output = Result<http::Response<ScriptedBody>, Infallible>> + Send,
> + Clone
+ Send
+ 'static {
    service_fn(move |request: Request<Incoming>| {
        let shape = shape.clone();
        async move { Ok(shape.respond(&request)) }
    })
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Protocol {
    Http1,
    Http2,
}

/// All bytes that the client reads, and whether the server closed the connection.
type Wire = (Vec<u8>, bool);

fn run<S, B>(protocol: Protocol, shape: &Shape, service: S) -> Wire
where
    S: Service<Request<Incoming>, Response = http::Response<B>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
    B: Body<Data = bytes::Bytes, Error = Boom> + Send + 'static,
{
    let request = match protocol {
        Protocol::Http1 => http1_request(shape),
        Protocol::Http2 => http2_request(shape),
    };
    serve(protocol, &request, service)
}

/// Serves a connection on which the client sends these bytes.
fn serve<S, B>(protocol: Protocol, request: &[u8], service: S) -> Wire
where
    S: Service<Request<Incoming>, Response = http::Response<B>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
    B: Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(async move {
        let (client, server) = duplex(1 << 20);
        let service = TowerToHyperService::new(service);
        let server = tokio::spawn(async move {
            let io = TokioIo::new(server);
            // The client checks how the connection ends.
            let _ = match protocol {
                Protocol::Http1 => {
                    http1::Builder::new()
                        .auto_date_header(false)
                        .timer(TokioTimer::new())
                        .serve_connection(io, service)
                        .await
                }
                Protocol::Http2 => {
                    http2::Builder::new(TokioExecutor::new())
                        .auto_date_header(false)
                        .timer(TokioTimer::new())
                        .serve_connection(io, service)
                        .await
                }
            };
        });
        let wire = exchange(client, request).await;
        server.abort();
        wire
    })
}

/// Writes the request and reads until the server closes or sends no byte for a second. The paused
/// clock advances at once while all tasks are idle.
async fn exchange(mut client: DuplexStream, request: &[u8]) -> Wire {
    client.write_all(request).await.expect("room in the pipe");
    let mut wire = Vec::new();
    loop {
        let mut chunk = [0; 4096];
        let read = client.read(&mut chunk);
        match tokio::time::timeout(std::time::Duration::from_secs(1), read).await {
            Err(_) => return (wire, false),
            Ok(Ok(0) | Err(_)) => return (wire, true),
            Ok(Ok(bytes)) => wire.extend_from_slice(&chunk[..bytes]),
        }
    }
}

/// Returns two pipelined requests, so that the test sees if the server closes the connection.
fn http1_request(shape: &Shape) -> Vec<u8> {
    let version = if shape.version == Version::HTTP_10 {
        "1.0"
    } else {
        "1.1"
    };
    let mut request = format!("{} / HTTP/{version}\r\nhost: example.com\r\n", shape.method);
    for (name, value) in shape.request_headers {
        request.extend([*name, ": ", *value, "\r\n"]);
    }
    request += "\r\n";
    request.repeat(2).into_bytes()
}

/// Returns the preface, SETTINGS and two HEADERS frames.
fn http2_request(shape: &Shape) -> Vec<u8> {
    let block = header_block(shape.method.as_str(), "/", shape.request_headers);
    let mut request = preface();
    for stream in [1, 3] {
        // END_STREAM and END_HEADERS.
        request.extend(frame(1, 0x5, stream, &block));
    }
    request
}

/// Returns the preface, SETTINGS, and a call with one message.
fn grpc_request(path: &str, message: &str) -> Vec<u8> {
    let headers = [("content-type", "application/grpc"), ("te", "trailers")];
    let mut request = preface();
    // END_HEADERS.
    request.extend(frame(1, 0x4, 1, &header_block("POST", path, &headers)));
    let mut data = vec![0];
    let length = u32::try_from(message.len()).expect("a short message");
    data.extend(length.to_be_bytes());
    data.extend_from_slice(message.as_bytes());
    // END_STREAM.
    request.extend(frame(0, 0x1, 1, &data));
    request
}

fn preface() -> Vec<u8> {
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(4, 0, 0, &[]));
    bytes
}

/// Returns a header block, written by hand as literals without indexing (RFC 7541, section 6.2.2), which need no
/// table.
fn header_block(method: &str, path: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    let pseudo = [
        (":method", method),
        (":scheme", "http"),
        (":path", path),
        (":authority", "example.com"),
    ];
    for (name, value) in pseudo.iter().chain(headers) {
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).expect("a short text"));
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short payload");
    let mut frame = length.to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// Returns the bytes as text, frame by frame on HTTP/2, for the message of a failed comparison.
fn readable(protocol: Protocol, (bytes, closed): &Wire) -> Vec<String> {
    let mut lines = Vec::new();
    if protocol == Protocol::Http1 {
        lines.extend(String::from_utf8_lossy(bytes).lines().map(str::to_owned));
    } else {
        let mut rest = bytes.as_slice();
        while let Some((head, tail)) = rest.split_at_checked(9) {
            let length =
                usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
            let (payload, tail) = tail.split_at(length.min(tail.len()));
            lines.push(format!(
                "type {} flags {} stream {} {payload:?}",
                head[3], head[4], head[8]
            ));
            rest = tail;
        }
    }
    lines.push(format!("closed: {closed}"));
    lines
}

#[test]
fn traced_and_filtered_services_send_the_bytes_of_the_bare_service() {
    crate::matrix::silence_length_panics();
    let both = || shapes::all().into_iter().chain(shapes::odd());
    let http1 = both().chain(shapes::http1());
    let http1 = http1.map(|shape| (Protocol::Http1, shape));
    let runs = http1.chain(both().map(|shape| (Protocol::Http2, shape)));
    for (protocol, shape) in runs {
        let bare = run(protocol, &shape, service(shape.clone()));
        let recorder = Recorder::new();
        for traced in [true, false] {
            let layer = recorder.layer().filter(move |_| traced);
            let layered = run(protocol, &shape, layer.layer(service(shape.clone())));
            assert_eq!(
                readable(protocol, &layered),
                readable(protocol, &bare),
                "{protocol:?}, {}, traced: {traced}",
                shape.name
            );
            assert_eq!(layered, bare);
        }
        assert!(
            recorder.starts() > 0 && recorder.starts() == recorder.ends(),
            "{}",
            shape.name
        );
        let has_response = !bare.0.is_empty();
        // In debug builds hyper panics on a wrong Content-Length of a body that reports its size.
        let panics = shape.handler_panics || shape.name.starts_with("full, content-length");
        let breaks_at_once = panics || shape.name.ends_with("at once");
        assert!(
            has_response || (protocol == Protocol::Http1 && breaks_at_once),
            "{protocol:?}, {}: the server sent no bytes",
            shape.name
        );
        assert_ne!(shape.method, Method::CONNECT);
    }
}

#[test]
fn traced_and_filtered_calls_send_the_bytes_of_the_bare_service() {
    let call = |message: &str, path: &str, layer: Option<tower_api_span::ApiSpanLayer>| {
        let grpc = TestService::default();
        let bare = service_fn(move |request: Request<Incoming>| {
            grpc.clone().call(request.map(tonic::body::Body::new))
        });
        let request = grpc_request(path, message);
        match layer {
            None => serve(Protocol::Http2, &request, bare),
            Some(layer) => serve(Protocol::Http2, &request, layer.layer(bare)),
        }
    };
    let methods = [
        "Unary",
        "ServerStreaming",
        "ClientStreaming",
        "Bidirectional",
    ];
    for method in methods.into_iter().chain(["Unknown"]) {
        for message in [
            "ok",
            "",
            "no messages",
            "reject",
            "fail at once",
            "fail midway",
            "wait",
            "wait midway",
            "panic",
        ] {
            let path = format!("/matrix.Test/{method}");
            let bare = call(message, &path, None);
            let recorder = Recorder::new();
            for traced in [true, false] {
                let layer = recorder.layer().filter(move |_| traced);
                let layered = call(message, &path, Some(layer));
                let case = format!("{method}, {message:?}, traced: {traced}");
                assert_eq!(
                    readable(Protocol::Http2, &layered),
                    readable(Protocol::Http2, &bare),
                    "{case}"
                );
                assert_eq!(layered, bare, "{case}");
            }
            assert_eq!((recorder.starts(), recorder.ends()), (1, 1), "{method}");
        }
    }
}

#[test]
fn services_without_trace_headers_send_the_bytes_of_the_bare_service() {
    let names = ["full", "stream", "content-length", "204", "304", "HEAD"];
    let shapes = || {
        shapes::all()
            .into_iter()
            .filter(|shape| names.contains(&shape.name))
    };
    for shape in shapes() {
        for protocol in [Protocol::Http1, Protocol::Http2] {
            let bare = run(protocol, &shape, service(shape.clone()));
            let recorder = Recorder::new();
            let with_headers = || recorder.layer().traceresponse(true).server_timing(true);
            for (rule, layer) in [
                (
                    "off",
                    recorder.layer().traceresponse(false).server_timing(false),
                ),
                ("only exposed", recorder.layer().expose_trace_headers(true)),
                ("filtered out", with_headers().filter(|_| false)),
                ("sampled out", with_headers().sample_rate(0.0)),
            ] {
                let layered = run(protocol, &shape, layer.layer(service(shape.clone())));
                let case = format!("{protocol:?}, {}, {rule}", shape.name);
                assert_eq!(layered, bare, "{case}: {:?}", readable(protocol, &layered));
            }
            let changed = run(
                protocol,
                &shape,
                with_headers().layer(service(shape.clone())),
            );
            assert_ne!(changed, bare, "{protocol:?}, {}", shape.name);
        }
    }
    assert_eq!(shapes().count(), names.len());
}
