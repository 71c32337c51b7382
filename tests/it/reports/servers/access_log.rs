//! The access log.

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::Notify;
use tower_api_span::AccessLog;

use super::{connect_and_send, exchange, only, request, serve};
use crate::support::recorder::Recorder;
use crate::tracing_output::json;

/// Returns the lines that are written while a future runs, on this thread alone: it has the subscriber.
fn lines_of(future: impl Future<Output = ()>) -> Vec<Value> {
    json(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.expect("a runtime").block_on(future);
    })
}

/// traefik #9842: lines of requests without a response had the status 0.
#[test]
fn line_of_a_request_without_a_response_has_no_status() {
    let lines = lines_of(async {
        let recorder = Recorder::new();
        let called = Arc::new(Notify::new());
        let notify = Arc::clone(&called);
        let slow = get(move || async move {
            notify.notify_one();
            std::future::pending::<&'static str>().await
        });
        let layer = recorder.layer().access_log(AccessLog::new());
        let address = serve(Router::new().route("/slow", slow).layer(layer)).await;
        let mut stream = connect_and_send(address, &request("GET /slow", "host: a\r\n")).await;
        called.notified().await;
        stream.shutdown().await.expect("an open connection");
        drop(stream);
        only(&recorder).await;
    });
    let [line] = &lines[..] else {
        panic!("{lines:#?}");
    };
    let fields = &line["fields"];
    assert_eq!(fields["reason"], "client_disconnect");
    assert!(fields["status"].is_null(), "{line}");
    assert!(fields["duration_ms"].is_number(), "{line}");
}

/// traefik #7681: the client and the backend had a 200, and the log a 499.
#[test]
fn line_of_a_client_that_disconnects_after_its_response_is_that_of_a_success() {
    let lines = lines_of(async {
        let recorder = Recorder::new();
        let layer = recorder.layer().access_log(AccessLog::new());
        let app = Router::new().route("/", get(|| async { "whole" }));
        let address = serve(app.layer(layer)).await;
        let answer = exchange(address, &request("GET /", "host: a\r\n")).await;
        assert!(answer.ends_with("whole"), "{answer}");
        only(&recorder).await;
    });
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert_eq!(lines[0]["fields"]["status"], 200);
    assert_eq!(lines[0]["fields"]["outcome"], "DEPARTED");
}
