//! Web sockets over HTTP/1.1 and HTTP/2: the span is that of the handshake.

use axum::Router;
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::routing::any;
use bytes::Bytes;
use h2::ext::Protocol;
use http::Request;
use opentelemetry::trace::{Span as _, Tracer as _, TracerProvider as _};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tower_api_span::{RequestBodyLayer, SpanHandle};

use super::{connect_and_send, serve};
use crate::support::meters::Meters;
use crate::support::recorder::{Recorder, Seen};

/// A text message of a client, with a mask of zeros, and the same of the server.
const SENT: &[u8] = b"\x81\x82\0\0\0\0hi";
const ECHOED: &[u8] = b"\x81\x02hi";

const HANDSHAKE: &[u8] =
    b"GET /chats/7 HTTP/1.1\r\nhost: a.example\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
    sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// Echoes each message, in a span below the request's.
async fn echo(mut socket: WebSocket, span: SpanHandle, recorder: Recorder) {
    while let Some(Ok(message)) = socket.recv().await {
        let tracer = recorder.provider.tracer("test");
        let mut child = tracer.start_with_context("message", &span.context());
        // The client may have left.
        let _ = socket.send(message).await;
        child.end();
    }
}

fn app(recorder: &Recorder, meters: &Meters) -> Router {
    let layer = meters.on(recorder.layer()).active_requests(true);
    let recorder = recorder.clone();
    let chat = any(
        move |upgrade: WebSocketUpgrade, span: SpanHandle| async move {
            upgrade.on_upgrade(move |socket| echo(socket, span, recorder))
        },
    );
    let app = Router::new().route("/chats/{id}", chat);
    app.layer(RequestBodyLayer::new()).layer(layer)
}

async fn http1(address: SocketAddr) -> TcpStream {
    let mut stream = connect_and_send(address, HANDSHAKE).await;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("a head"));
    }
    assert!(head.starts_with(b"HTTP/1.1 101"), "{head:?}");
    stream
}

/// Asserts what the span and the metrics show while the socket is open.
fn check_open(recorder: &Recorder, meters: &Meters) {
    assert_eq!(
        (recorder.starts(), recorder.ends()),
        (1, 1),
        "with the head"
    );
    assert_eq!(recorder.only().outcome(), "DEPARTED");
    assert_eq!(meters.active(), 0, "a socket is no request");
    assert_eq!(meters.only("http.server.request.duration").count(), 1);
}

/// Returns the request's span, and asserts that the message's is its child.
async fn spans(recorder: &Recorder) -> Seen {
    assert!(recorder.wait_for(2).await, "two spans");
    recorder.all_ended().await;
    let span = recorder.only();
    let message = recorder.named("message");
    assert_eq!(message.parent_span_id, span.0.span_context.span_id());
    assert!(!span.is_error());
    span
}

/// envoy #44486, dd-trace-py #14388, quickpizza #374
#[tokio::test]
async fn web_socket_over_http1_departs_with_its_handshake_however_the_socket_ends() {
    for is_reset in [false, true] {
        let (recorder, meters) = (Recorder::new(), Meters::new());
        let address = serve(app(&recorder, &meters)).await;
        let mut stream = http1(address).await;
        check_open(&recorder, &meters);
        stream.write_all(SENT).await.expect("an open socket");
        let mut echoed = [0; ECHOED.len()];
        stream.read_exact(&mut echoed).await.expect("a message");
        assert_eq!(echoed, ECHOED);
        if is_reset {
            stream.set_zero_linger().expect("the socket's option");
        }
        drop(stream);
        let span = spans(&recorder).await;
        assert_eq!(span.0.name, "GET /chats/{id}");
        assert_eq!(span.attribute("url.path").as_deref(), Some("/chats/7"));
    }
}

/// axum #2894: the extended CONNECT of RFC 8441 has a path.
#[tokio::test]
async fn web_socket_over_http2_departs_with_its_handshake_and_has_path_and_route() {
    for is_reset in [false, true] {
        let (recorder, meters) = (Recorder::new(), Meters::new());
        let address = serve(app(&recorder, &meters)).await;
        let stream = TcpStream::connect(address).await.expect("a connection");
        let (send, connection) = h2::client::handshake(stream).await.expect("a handshake");
        tokio::spawn(connection);
        while !send.is_extended_connect_protocol_enabled() {
            tokio::task::yield_now().await;
        }
        let request = Request::connect("http://a.example/chats/7?x=1")
            .extension(Protocol::from_static("websocket"))
            .header("sec-websocket-version", "13");
        let mut send = send.ready().await.expect("room for a stream");
        let request = request.body(()).expect("a request");
        let (response, mut to_server) = send.send_request(request, false).expect("sent");
        let response = response.await.expect("a response");
        assert_eq!(response.status(), 200);
        check_open(&recorder, &meters);
        let written = to_server.send_data(Bytes::from_static(SENT), false);
        written.expect("an open socket");
        let mut body = response.into_body();
        let echoed = body.data().await.expect("a message").expect("no error");
        assert_eq!(echoed, ECHOED);
        if is_reset {
            to_server.send_reset(h2::Reason::CANCEL);
        } else {
            to_server
                .send_data(Bytes::new(), true)
                .expect("an open socket");
        }
        let span = spans(&recorder).await;
        assert_eq!(span.0.name, "CONNECT /chats/{id}");
        assert_eq!(span.attribute("url.path").as_deref(), Some("/chats/7"));
        assert_eq!(span.attribute("url.query").as_deref(), Some("x=1"));
        let status = span.attribute("http.response.status_code");
        assert_eq!(status.as_deref(), Some("200"));
    }
}
