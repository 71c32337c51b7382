//! gRPC-Web: the trailers are the last bytes of the body, and the layer outside reads them there.

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

use crate::matrix::grpc::service::Talk;
use crate::support::body::ScriptedBody;
use crate::support::body::Step::{self, Error, Pending, Trailers};
use crate::support::recorder::{Recorder, Seen};
use crate::support::{answering, get, poll_frame, read, ready, response};

const BINARY: &str = "application/grpc-web+proto";
const TEXT: &str = "application/grpc-web-text+proto";

const MESSAGE: &[u8] = b"\0\0\0\0\x05hello";
const OK: &[u8] = b"\x80\0\0\0\x10grpc-status: 0\r\n";
const FAILED: &[u8] = b"\x80\0\0\0\x2Cgrpc-status:13\r\ngrpc-message:out%20of%20it\r\n";

/// A message and one of these as a server sends them.
const WHOLE: &[u8] = b"\0\0\0\0\x05hello\x80\0\0\0\x10grpc-status: 0\r\n";
const WHOLE_FAILED: &[u8] =
    b"\0\0\0\0\x05hello\x80\0\0\0\x2Cgrpc-status:13\r\ngrpc-message:out%20of%20it\r\n";
/// The same in base64, each frame on its own, and all in one.
const WHOLE_TEXT: &[u8] = b"AAAAAAVoZWxsbw==gAAAABBncnBjLXN0YXR1czogMA0K";
const WHOLE_TEXT_IN_ONE: &[u8] = b"AAAAAAVoZWxsb4AAAAAQZ3JwYy1zdGF0dXM6IDANCg==";

fn request() -> Request<()> {
    Request::post("/pkg.Service/Method")
        .header(CONTENT_TYPE, BINARY)
        .body(())
        .expect("a request")
}

/// An answer of this content type and these steps.
fn answer(content_type: &'static str, steps: &[Step]) -> Response<ScriptedBody> {
    let mut answer = response(200, ScriptedBody::new(steps.to_vec()));
    let content_type = HeaderValue::from_static(content_type);
    answer.headers_mut().insert(CONTENT_TYPE, content_type);
    answer
}

/// The body of an answer that goes through the layer.
fn open<B>(at: &Recorder, answer: Response<B>) -> ResponseBody<B>
where
    B: Body<Error: Display>,
{
    let mut answer = Some(answer);
    let mut service = answering(&at.layer(), move |_| answer.take().expect("one request"));
    ready(service.call(request()))
        .expect("a response")
        .into_body()
}

/// The span of an answer that is read to its end.
fn read_to_end(answer: Response<ScriptedBody>) -> Seen {
    let at = Recorder::new();
    read(&mut open(&at, answer)).expect("bytes");
    at.only()
}

fn code(span: &Seen) -> Option<String> {
    span.attribute("rpc.status_code")
}

#[test]
fn the_status_is_read_and_the_span_ends_before_the_frame_that_completes_the_trailers() {
    for (content_type, body, expected) in [
        (BINARY, WHOLE, "DEPARTED OK"),
        (BINARY, OK, "DEPARTED OK"),
        (BINARY, WHOLE_FAILED, "ABORTED(exception) INTERNAL"),
        (BINARY, FAILED, "ABORTED(exception) INTERNAL"),
        (TEXT, WHOLE_TEXT, "DEPARTED OK"),
        (TEXT, WHOLE_TEXT_IN_ONE, "DEPARTED OK"),
    ] {
        for size in [1, 7, body.len()] {
            let at = Recorder::new();
            let frames: Vec<Step> = body.chunks(size).map(Step::Bytes).collect();
            let mut open = open(&at, answer(content_type, &frames));
            for chunk in body.chunks(size) {
                assert_eq!(at.ends(), 0, "{expected}, {size}: before the last bytes");
                let Poll::Ready(Some(Ok(frame))) = poll_frame(&mut open) else {
                    panic!("no frame");
                };
                let data = frame.into_data().expect("data");
                assert_eq!(data.as_ptr(), chunk.as_ptr(), "a copy");
                assert_eq!(data, chunk);
            }
            assert_eq!(at.ends(), 1, "{expected}, {size}");
            // As a client does that has seen the trailers.
            drop(open);
            let span = at.only();
            let got = format!("{} {}", span.outcome(), code(&span).unwrap_or_default());
            assert_eq!(got, expected, "{size}");
        }
    }
}

#[test]
fn of_a_request_that_is_no_call_no_trailers_are_read() {
    let at = Recorder::new();
    let steps = [Step::Bytes(WHOLE_FAILED), Step::Bytes(MESSAGE)];
    let mut service = answering(&at.layer(), |_| answer(BINARY, &steps));
    let mut body = ready(service.call(get())).expect("a response").into_body();
    assert!(poll_frame(&mut body).is_ready());
    assert_eq!(at.ends(), 0, "there is more to come");
    read(&mut body).expect("bytes");
    assert_eq!(at.only().outcome(), "DEPARTED");
}

#[test]
fn a_status_that_is_the_servers_fault_is_an_error_with_its_message() {
    let span = read_to_end(answer(BINARY, &[Step::Bytes(MESSAGE), Step::Bytes(FAILED)]));
    assert_eq!(span.outcome(), "ABORTED(exception)");
    assert_eq!(span.attribute("error.type").as_deref(), Some("INTERNAL"));
    assert_eq!(span.error().as_deref(), Some("out of it"));
    assert_eq!(*span.status(), Status::error("out of it"));
}

#[test]
fn a_body_ends_before_and_after_its_trailers() {
    let left = "ABORTED(client_disconnect)";
    let (message, ok) = (Step::Bytes(MESSAGE), Step::Bytes(OK));
    let breaks_off = Step::Bytes(&OK[..20]);
    for (case, steps, polls, outcome, expected) in [
        (
            "the client leaves",
            vec![message.clone(), Pending],
            2,
            left,
            Some("CANCELLED"),
        ),
        (
            "it leaves within the trailers",
            vec![breaks_off.clone(), Pending],
            2,
            left,
            Some("CANCELLED"),
        ),
        (
            "it leaves after the trailers",
            vec![message.clone(), ok.clone(), Pending],
            3,
            "DEPARTED",
            Some("OK"),
        ),
        (
            "an error before",
            vec![message.clone(), Error],
            2,
            "ABORTED(exception)",
            None,
        ),
        (
            "an error after",
            vec![ok.clone(), Error],
            2,
            "DEPARTED",
            Some("OK"),
        ),
        ("no trailers", vec![message.clone()], 2, "DEPARTED", None),
        (
            "trailers that break off",
            vec![message.clone(), breaks_off],
            3,
            "DEPARTED",
            None,
        ),
        (
            "no gRPC-Web",
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
            "trailers of HTTP",
            vec![message, Trailers(&[("grpc-status", "5")])],
            2,
            "ABORTED(client_error)",
            Some("NOT_FOUND"),
        ),
    ] {
        let at = Recorder::new();
        let mut body = open(&at, answer(BINARY, &steps));
        for _ in 0..polls {
            let _ = poll_frame(&mut body);
        }
        drop(body);
        let span = at.only();
        assert_eq!(span.outcome(), outcome, "{case}");
        assert_eq!(code(&span).as_deref(), expected, "{case}");
    }
}

#[test]
fn the_head_decides_whether_trailers_are_looked_for() {
    const STATUS: HeaderName = HeaderName::from_static("grpc-status");
    let none = (STATUS, None);
    for (rule, content_type, (name, value), outcome, expected) in [
        (
            "the answer's own type, not the request's",
            "application/grpc",
            none.clone(),
            "DEPARTED",
            None,
        ),
        ("text is no binary", TEXT, none, "DEPARTED", None),
        (
            "a status that the head knows",
            BINARY,
            (STATUS, Some("5")),
            "ABORTED(client_error)",
            Some("NOT_FOUND"),
        ),
        (
            "bytes that are encoded",
            BINARY,
            (CONTENT_ENCODING, Some("gzip")),
            "DEPARTED",
            None,
        ),
        (
            "bytes that are not",
            BINARY,
            (CONTENT_ENCODING, Some("identity")),
            "DEPARTED",
            Some("OK"),
        ),
        // Trailers make the message whole, and what it owes then is not looked at.
        (
            "a length that is not kept",
            BINARY,
            (CONTENT_LENGTH, Some("1000")),
            "DEPARTED",
            Some("OK"),
        ),
        (
            "a length that is",
            BINARY,
            (CONTENT_LENGTH, Some("31")),
            "DEPARTED",
            Some("OK"),
        ),
    ] {
        let mut answer = answer(content_type, &[Step::Bytes(WHOLE)]);
        if let Some(value) = value {
            let value = HeaderValue::from_static(value);
            answer.headers_mut().insert(name, value);
        }
        let span = read_to_end(answer);
        assert_eq!(span.outcome(), outcome, "{rule}");
        assert_eq!(code(&span).as_deref(), expected, "{rule}");
    }
}

#[test]
fn a_frame_that_does_not_lie_in_one_piece_is_the_last_that_is_read() {
    /// A message's header: what follows only looks like trailers.
    const QUOTED: &[u8] = b"\0\0\0\0\x15";
    for (first, second, expected) in [
        (MESSAGE, &b""[..], Some("OK")),
        (b"", MESSAGE, Some("OK")),
        (MESSAGE, QUOTED, None),
    ] {
        let at = Recorder::new();
        let frames = [first.chain(second), OK.chain(&b""[..])];
        let frames = frames.map(|data| Ok::<_, Infallible>(Frame::data(data)));
        let mut answer = Response::new(StreamBody::new(stream::iter(frames)));
        let content_type = HeaderValue::from_static(BINARY);
        answer.headers_mut().insert(CONTENT_TYPE, content_type);
        let mut body = open(&at, answer);
        while let Poll::Ready(Some(_)) = poll_frame(&mut body) {}
        drop(body);
        let span = at.only();
        assert_eq!(span.outcome(), "DEPARTED");
        assert_eq!(code(&span).as_deref(), expected);
    }
}

/// Calls tonic's service on HTTP/1.1, with the layer outside of gRPC-Web.
async fn called(method: &str, message: &str, accept: &'static str) -> Seen {
    let at = Recorder::new();
    let service = at.layer().layer(GrpcWebLayer::new().layer(Talk::default()));
    let (near, far) = duplex(64 * 1024);
    tokio::spawn(
        server::Builder::new()
            .serve_connection(TokioIo::new(far), TowerToHyperService::new(service)),
    );
    let handshake = client::handshake(TokioIo::new(near)).await;
    let (mut sender, connection) = handshake.expect("a connection");
    tokio::spawn(connection);

    let length = u8::try_from(message.len()).expect("a short message");
    let frame = [&[0, 0, 0, 0, length], message.as_bytes()].concat();
    let request = Request::post(format!("/matrix.Talk/{method}"))
        .header("host", "example.com")
        .header(CONTENT_TYPE, BINARY)
        .header(ACCEPT, accept)
        .body(Full::new(Bytes::from(frame)))
        .expect("a request");
    let response = sender.send_request(request).await.expect("a response");
    assert_eq!(response.headers()[CONTENT_TYPE], accept);
    response.into_body().collect().await.expect("a body");
    at.all_ended().await;
    at.only()
}

#[tokio::test]
async fn tonic_answers_through_grpc_web_and_the_layer_outside_knows_the_status() {
    for (method, message, outcome, expected) in [
        ("Unary", "ok", "DEPARTED", "OK"),
        (
            "Unary",
            "refuse",
            "ABORTED(validation_error)",
            "INVALID_ARGUMENT",
        ),
        ("ServerStreaming", "ok", "DEPARTED", "OK"),
        ("ServerStreaming", "nothing", "DEPARTED", "OK"),
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
        ("Nothing", "", "ABORTED(exception)", "UNIMPLEMENTED"),
    ] {
        for accept in [BINARY, TEXT] {
            let span = called(method, message, accept).await;
            let case = format!("{method} {message} {accept}");
            assert_eq!(span.outcome(), outcome, "{case}");
            assert_eq!(code(&span).as_deref(), Some(expected), "{case}");
        }
    }
}
