//! Bodies of responses: when they are over, how long they are, and whose context is current meanwhile.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::response::Response;
use axum::routing::{MethodRouter, get, post};
use futures_util::stream::{self, StreamExt as _};
use http::{Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::{connect_and_send, exchange, only, request, serve, status_of};
use crate::support::recorder::Recorder;

const HOST: &str = "host: a.example\r\n";

#[expect(clippy::unnecessary_wraps, reason = "an item of a stream")]
fn text(text: &'static str) -> Result<Bytes, std::io::Error> {
    Ok(Bytes::from_static(text.as_bytes()))
}

/// Passes on the response of an engine, as a stream.
fn proxy(engine: SocketAddr) -> MethodRouter {
    let client = Client::builder(TokioExecutor::new()).build_http::<Body>();
    get(move || async move {
        let uri = format!("http://{engine}/");
        let request = Request::get(uri).body(Body::empty()).expect("a request");
        let response = client.request(request).await.expect("a response");
        let (mut parts, body) = response.into_parts();
        parts.headers.remove("transfer-encoding");
        Response::from_parts(parts, Body::from_stream(Body::new(body).into_data_stream()))
    })
}

/// tower-http #625: a proxy passes on a stream and its Content-Length.
#[tokio::test]
async fn stream_with_a_content_length_departs_with_its_last_byte() {
    let engine = serve(Router::new().route("/", get(|| async { "x".repeat(100_000) }))).await;
    let recorder = Recorder::new();
    let layer = recorder.layer().body_sizes(true);
    let address = serve(Router::new().route("/", proxy(engine)).layer(layer)).await;
    let answer = exchange(address, &request("GET /", HOST)).await;
    assert!(answer.contains("content-length: 100000"), "{answer:.200}");
    let span = only(&recorder).await;
    assert_eq!(span.outcome(), "DEPARTED");
    let size = span.attribute("http.response.body.size");
    assert_eq!(size.as_deref(), Some("100000"));
}

/// apollographql/router #5319, actix-web-opentelemetry #140
#[tokio::test]
async fn size_is_that_of_the_body_whatever_the_head_declares() {
    let app = Router::new()
        .route("/whole", get(|| async { "12345" }))
        .route(
            "/stream",
            get(|| async { Body::from_stream(stream::iter([text("123"), text("45")])) }),
        )
        .route("/none", get(|| async { StatusCode::NO_CONTENT }));
    for (rule, line, size) in [
        ("with a length", "GET /whole", "5"),
        ("chunked", "GET /stream", "5"),
        ("HEAD, with a length", "HEAD /whole", "0"),
        ("HEAD of a stream", "HEAD /stream", "0"),
        ("204", "GET /none", "0"),
    ] {
        let recorder = Recorder::new();
        let layer = recorder.layer().body_sizes(true);
        let address = serve(app.clone().layer(layer)).await;
        exchange(address, &request(line, HOST)).await;
        let span = only(&recorder).await;
        assert_eq!(span.outcome(), "DEPARTED", "{rule}");
        let seen = span.attribute("http.response.body.size");
        assert_eq!(seen.as_deref(), Some(size), "{rule}");
    }
}

/// opentelemetry-python-contrib #3401 and #4681, opentelemetry-ruby-contrib #474: the span ended with the head.
#[tokio::test]
async fn span_of_an_event_stream_lasts_until_its_last_event() {
    let recorder = Recorder::new();
    let go_on = Arc::new(Notify::new());
    let resumed = Arc::clone(&go_on);
    let events = get(move || async move {
        let last = async move {
            resumed.notified().await;
            text("data: 2\n\n")
        };
        let events = stream::iter([text("data: 1\n\n")]).chain(stream::once(last));
        let response = Response::builder().header("content-type", "text/event-stream");
        response
            .body(Body::from_stream(events))
            .expect("a response")
    });
    let address = serve(Router::new().route("/", events).layer(recorder.layer())).await;
    let mut stream = connect_and_send(address, &request("GET /", HOST)).await;
    let mut answer = String::new();
    while !answer.contains("data: 1") {
        let byte = stream.read_u8().await.expect("an event");
        answer.push(char::from(byte));
    }
    assert_eq!(recorder.ends(), 0, "the stream is open");
    go_on.notify_one();
    stream.read_to_string(&mut answer).await.expect("the rest");
    assert!(answer.contains("data: 2"), "{answer}");
    assert_eq!(only(&recorder).await.outcome(), "DEPARTED");
}

/// A body that starts a child span whenever it is polled, and when it is dropped.
struct Children(Recorder);

impl Drop for Children {
    fn drop(&mut self) {
        self.0.child("dropped");
    }
}

/// opentelemetry-ruby-contrib #341
#[tokio::test]
async fn span_is_current_while_the_body_is_polled_and_dropped() {
    let recorder = Recorder::new();
    let children = recorder.clone();
    let streamed = get(move || async move {
        let children = Children(children);
        let frames = stream::iter(0..3).map(move |_| {
            children.0.child("polled");
            text("frame")
        });
        Body::from_stream(frames)
    });
    let address = serve(Router::new().route("/", streamed).layer(recorder.layer())).await;
    exchange(address, &request("GET /", HOST)).await;
    let span = only(&recorder).await;
    let spans = recorder.spans();
    let children = spans.iter().filter(|span| span.name != "GET /");
    let names: Vec<_> = children.clone().map(|child| &*child.name).collect();
    assert_eq!(names, ["polled", "polled", "polled", "dropped"]);
    for child in children {
        assert_eq!(child.parent_span_id, span.0.span_context.span_id());
    }
}

/// cpp-httplib #1808: a client that goes on sending after it was rejected.
#[tokio::test]
async fn rejected_upload_is_the_clients_error_whatever_the_client_still_sends() {
    let recorder = Recorder::new();
    let reject = post(|| async { (StatusCode::PAYLOAD_TOO_LARGE, "too large") });
    let body = tower_api_span::RequestBodyLayer::new();
    let app = Router::new().route("/upload", reject);
    let address = serve(app.layer(body).layer(recorder.layer())).await;
    let headers = format!("{HOST}content-length: 100000000\r\n");
    let mut stream = connect_and_send(address, &request("POST /upload", &headers)).await;
    let mut head = [0; 12];
    stream.read_exact(&mut head).await.expect("a head");
    assert_eq!(status_of(&String::from_utf8_lossy(&head)), Some(413));
    // Until the server closes the connection.
    let part = vec![b'x'; 65_536];
    while stream.write_all(&part).await.is_ok() {}
    let span = only(&recorder).await;
    assert_eq!(span.outcome(), "ABORTED(validation_error)");
    assert!(!span.is_error());
}

/// hyper #2729: the same over HTTP/2, where the server resets the stream without an error.
#[tokio::test]
async fn rejected_upload_over_http2_is_the_clients_error_too() {
    let recorder = Recorder::new();
    let reject = post(|| async { (StatusCode::PAYLOAD_TOO_LARGE, "too large") });
    let body = tower_api_span::RequestBodyLayer::new();
    let app = Router::new().route("/upload", reject);
    let address = serve(app.layer(body).layer(recorder.layer())).await;
    let stream = TcpStream::connect(address).await.expect("a connection");
    let (send, connection) = h2::client::handshake(stream).await.expect("a handshake");
    tokio::spawn(connection);
    let mut send = send.ready().await.expect("room for a stream");
    let request = Request::post(format!("http://{address}/upload")).body(());
    let begun = send.send_request(request.expect("a request"), false);
    let (response, mut upload) = begun.expect("sent");
    upload
        .send_data(Bytes::from_static(&[b'x'; 10_000]), false)
        .expect("sent");
    let response = response.await.expect("a response");
    assert_eq!(response.status(), 413);
    let mut text = response.into_body();
    let text = text.data().await.expect("a text").expect("no error");
    assert_eq!(text, "too large");
    let reset = std::future::poll_fn(|cx| upload.poll_reset(cx)).await;
    assert_eq!(reset.expect("a reset"), h2::Reason::NO_ERROR);
    let span = only(&recorder).await;
    assert_eq!(span.outcome(), "ABORTED(validation_error)");
    assert!(!span.is_error());
}

/// trafficserver #3083: a chunked response of the engine was logged as aborted by a client of HTTP/2.
#[tokio::test]
async fn chunked_response_of_an_engine_departs_to_a_client_of_http2() {
    let frames = || stream::iter([text("one"), text("two"), text("three")]);
    let chunked = get(move || async move { Body::from_stream(frames()) });
    let engine = serve(Router::new().route("/", chunked)).await;
    let recorder = Recorder::new();
    let layer = recorder.layer().body_sizes(true);
    let app = Router::new().route("/", proxy(engine));
    let address = serve(app.layer(layer)).await;
    let client = Client::builder(TokioExecutor::new())
        .http2_only(true)
        .build_http::<Body>();
    let request = Request::get(format!("http://{address}/")).body(Body::empty());
    let response = client.request(request.expect("a request")).await;
    let response = response.expect("a response");
    assert_eq!(response.version(), http::Version::HTTP_2);
    let body = axum::body::to_bytes(Body::new(response.into_body()), usize::MAX).await;
    assert_eq!(body.expect("a body"), "onetwothree");
    let span = only(&recorder).await;
    assert_eq!(span.outcome(), "DEPARTED");
    let size = span.attribute("http.response.body.size");
    assert_eq!(size.as_deref(), Some("11"));
}
