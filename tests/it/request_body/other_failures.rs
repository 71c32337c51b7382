//! Failures of a request's body that are no disconnect.

use std::time::Duration;

use axum::Router;
use axum::routing::post;
use http::StatusCode;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tower_http::decompression::RequestDecompressionLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::timeout::{RequestBodyTimeoutLayer, TimeoutLayer};

use super::clients::connect;
use super::{Server, listen, observed, router, serve};
use crate::matrix::observers::ObservedLayer;
use crate::support::recorder::Seen;

/// The first bytes of a gzip file.
const TRUNCATED_GZIP: &[u8] = &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0x4b, 0x4c];

/// Sends a request, reads the response until the server closes, and returns the span.
async fn exchange(server: &Server, path: &str, headers: &str, body: &[u8]) -> Seen {
    let mut connection = connect(server.address, false).await;
    let head = format!("POST {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{headers}\r\n");
    let request = [head.as_bytes(), body].concat();
    connection
        .write_all(&request)
        .await
        .expect("the server reads");
    let mut answer = Vec::new();
    // A server that refuses a body may close with a reset.
    let _ = connection.read_to_end(&mut answer).await;
    assert!(answer.starts_with(b"HTTP/1.1 "), "an answer");
    server.span().await
}

#[track_caller]
fn assert_answered(span: &Seen, outcome: &str, status: &str, case: &str) {
    assert_eq!(span.outcome(), outcome, "{case}");
    let recorded = span.attribute("http.response.status_code");
    assert_eq!(recorded.as_deref(), Some(status), "{case}");
}

#[tokio::test]
async fn malformed_chunk_is_the_handlers_to_answer() {
    for (path, outcome, status) in [
        ("/raw", "ABORTED(validation_error)", "400"),
        ("/fails", "ABORTED(exception)", "502"),
        ("/ignores", "DEPARTED", "204"),
    ] {
        let server = serve(|app| app).await;
        let chunked = "transfer-encoding: chunked\r\n";
        let span = exchange(&server, path, chunked, b"1\r\na\r\nno size\r\n").await;
        assert_answered(&span, outcome, status, path);
    }
}

#[tokio::test]
async fn body_over_the_limit_is_the_clients_error() {
    let limit = RequestBodyLimitLayer::new(4);
    for is_inside in [true, false] {
        for (headers, body) in [
            ("content-length: 6\r\n", &b"abcdef"[..]),
            (
                "transfer-encoding: chunked\r\n",
                b"6\r\nabcdef\r\n0\r\n\r\n",
            ),
        ] {
            let server = if is_inside {
                serve(|app| app.layer(limit)).await
            } else {
                serve_inside(|app| app.layer(limit)).await
            };
            let span = exchange(&server, "/raw", headers, body).await;
            // axum answers 400 if its extractor does not see the limit's own error.
            let is_seen = is_inside || headers.starts_with("content-length");
            let status = if is_seen { "413" } else { "400" };
            let case = format!("{headers} inside: {is_inside}");
            assert_answered(&span, "ABORTED(validation_error)", status, &case);
        }
    }
}

/// As [`serve`], with a layer between the layer and `RequestBodyLayer`.
async fn serve_inside(wrap: impl FnOnce(Router) -> Router) -> Server {
    let server = serve(|app| app).await;
    let recorder = crate::support::recorder::Recorder::new();
    let app = observed(router(), &server.read).layer(tower_api_span::RequestBodyLayer::new());
    let (layer, observations) = ObservedLayer::new(&recorder);
    let address = listen(wrap(app).layer(layer)).await;
    Server {
        recorder,
        observations,
        address,
        read: server.read,
    }
}

#[tokio::test]
async fn broken_compression_is_the_handlers_to_answer() {
    for is_inside in [true, false] {
        for (name, body) in [
            ("truncated", TRUNCATED_GZIP),
            ("garbage", b"not an archive"),
        ] {
            let server = if is_inside {
                serve(|app| app.layer(RequestDecompressionLayer::new())).await
            } else {
                serve_inside(|app| app.layer(RequestDecompressionLayer::new())).await
            };
            let headers = format!(
                "content-encoding: gzip\r\ncontent-length: {}\r\n",
                body.len()
            );
            let span = exchange(&server, "/fails", &headers, body).await;
            let case = format!("{name}, inside: {is_inside}");
            assert_answered(&span, "ABORTED(exception)", "502", &case);
        }
    }
}

#[tokio::test]
async fn handler_that_answers_without_reading_is_not_blamed_on_the_client() {
    let early = post(async || (StatusCode::PAYLOAD_TOO_LARGE, "too large"));
    let server = serve(|app| app.route("/early", early)).await;
    let mut connection = connect(server.address, false).await;
    let head = b"POST /early HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\nabcdef";
    connection.write_all(head).await.expect("the server reads");
    let mut answer = [0; 12];
    connection.read_exact(&mut answer).await.expect("an answer");
    drop(connection);
    let span = server.span().await;
    assert_answered(&span, "ABORTED(validation_error)", "413", "early answer");
}

#[tokio::test]
async fn deadline_of_the_server_is_the_servers() {
    let limit = Duration::from_millis(50);
    let whole = TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, limit);
    for (name, server, status) in [
        ("the request", serve(|app| app.layer(whole)).await, "503"),
        (
            "a frame",
            serve(|app| app.layer(RequestBodyTimeoutLayer::new(limit))).await,
            "502",
        ),
    ] {
        let headers = "content-length: 1000\r\n";
        let span = exchange(&server, "/fails", headers, b"abcdef").await;
        assert_answered(&span, "ABORTED(exception)", status, name);
    }
}

#[tokio::test]
async fn trailers_of_a_request_reach_the_handler() {
    for path in ["/json", "/raw", "/fails", "/echo"] {
        let server = serve(|app| app).await;
        let headers =
            "content-type: application/json\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n";
        let body = b"2\r\n{}\r\n0\r\nx-sum: 2\r\n\r\n";
        let span = exchange(&server, path, headers, body).await;
        assert_answered(&span, "DEPARTED", "200", path);
        // `Server::span` has compared what reached the handler with what the server passed to the layers.
        let exchanges = server.observations.exchanges();
        assert_eq!(exchanges[0].request_trailers(), 1, "{path}");
    }
}

#[tokio::test]
async fn whole_request_is_answered() {
    for path in ["/json", "/raw", "/fails", "/echo"] {
        for (headers, body) in [
            ("content-length: 2\r\n", &b"{}"[..]),
            ("transfer-encoding: chunked\r\n", b"2\r\n{}\r\n0\r\n\r\n"),
        ] {
            let server = serve(|app| app).await;
            let headers = format!("content-type: application/json\r\n{headers}");
            let span = exchange(&server, path, &headers, body).await;
            assert_answered(&span, "DEPARTED", "200", path);
        }
    }
}
