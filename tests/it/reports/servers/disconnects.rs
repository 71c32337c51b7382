//! Clients that disconnect.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::routing::{get, post};
use futures_util::stream::{self, StreamExt as _};
use http::StatusCode;
use tokio::io::AsyncReadExt as _;
use tokio::sync::Notify;
use tower_api_span::RequestBodyLayer;

use super::{connect_and_send, only, request, serve};
use crate::support::meters::Meters;
use crate::support::recorder::Recorder;

const HOST: &str = "host: a.example\r\n";

/// tower-http #396, opentelemetry-dotnet #3600 and #3800: a request without an answer has no status code.
#[tokio::test]
async fn client_that_disconnects_before_the_head_has_a_span_without_a_status_code() {
    let (recorder, meters) = (Recorder::new(), Meters::new());
    let called = Arc::new(Notify::new());
    let notify = Arc::clone(&called);
    let slow = get(move || async move {
        notify.notify_one();
        std::future::pending::<&'static str>().await
    });
    let layer = meters.on(recorder.layer()).active_requests(true);
    let address = serve(Router::new().route("/slow", slow).layer(layer)).await;
    let stream = connect_and_send(address, &request("GET /slow", HOST)).await;
    called.notified().await;
    assert_eq!(meters.active(), 1);
    drop(stream);
    assert!(recorder.wait_for(1).await, "the span ends");

    let span = only(&recorder).await;
    assert_eq!(span.outcome(), "ABORTED(client_disconnect)");
    assert_eq!(span.attribute("http.response.status_code"), None);
    let duration = meters.only("http.server.request.duration");
    assert_eq!(duration.count(), 1);
    assert_eq!(duration.attribute("http.response.status_code"), None);
    let error_type = duration.attribute("error.type");
    assert_eq!(error_type.as_deref(), Some("client_disconnect"));
    assert_eq!(meters.active(), 0);
}

/// envoy #32797, gravitee-api-management #19535: half a response with a 200 was a success. opentelemetry-js-contrib
/// #3461: the spans below it were never ended.
#[tokio::test]
async fn client_that_disconnects_midway_is_no_success_and_no_span_stays_open() {
    let recorder = Recorder::new();
    let children = recorder.clone();
    let endless = get(move || async move {
        let children = children.clone();
        let chunks = stream::repeat(()).map(move |()| {
            children.child("chunk");
            Ok::<_, std::io::Error>(Bytes::from_static(&[b'x'; 10_000]))
        });
        Body::from_stream(chunks)
    });
    let address = serve(Router::new().route("/", endless).layer(recorder.layer())).await;
    let mut stream = connect_and_send(address, &request("GET /", HOST)).await;
    let mut part = vec![0; 20_000];
    stream.read_exact(&mut part).await.expect("a part");
    drop(stream);

    let span = only(&recorder).await;
    assert_eq!(span.outcome(), "ABORTED(client_disconnect)");
    let status = span.attribute("http.response.status_code");
    assert_eq!(status.as_deref(), Some("200"));
    let error_type = span.attribute("error.type");
    assert_eq!(error_type.as_deref(), Some("client_disconnect"));
}

/// opentelemetry-go-contrib #9394, dd-trace-dotnet #3395: the error names the client, not the 500 of the handler.
#[tokio::test]
async fn handler_that_fails_for_a_disconnected_client_does_not_make_the_server_fail() {
    let recorder = Recorder::new();
    let called = Arc::new(Notify::new());
    let notify = Arc::clone(&called);
    let upload = post(move |body: Body| async move {
        notify.notify_one();
        match axum::body::to_bytes(body, usize::MAX).await {
            Ok(_) => StatusCode::OK,
            Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    });
    let app = Router::new().route("/upload", upload);
    let address = serve(app.layer(RequestBodyLayer::new()).layer(recorder.layer())).await;
    let head = request("POST /upload", &format!("{HOST}content-length: 100\r\n"));
    let stream = connect_and_send(address, &[&head[..], b"half"].concat()).await;
    called.notified().await;
    drop(stream);
    assert!(recorder.wait_for(1).await, "the span ends");
    let span = only(&recorder).await;
    assert_eq!(span.outcome(), "ABORTED(client_disconnect)");
    let error_type = span.attribute("error.type");
    assert_eq!(error_type.as_deref(), Some("client_disconnect"));
}
