//! Status codes, and what they make of the span's status.

use axum::Router;
use axum::extract::Path;
use axum::routing::any;
use http::StatusCode;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::{exchange, only, request, serve, status_of};
use crate::support::recorder::Recorder;

fn app() -> Router {
    let status =
        |Path(status): Path<u16>| async move { StatusCode::from_u16(status).expect("a status") };
    let echo = |body: String| async { body };
    Router::new()
        .route("/status/{status}", any(status))
        .route("/silent", any(|| async {}))
        .route("/echo", any(echo))
}

#[tokio::test]
async fn server_errors_alone_are_errors_and_their_type_is_the_status() {
    for (rule, line, status, error_type) in [
        // opentelemetry-go-contrib #2821
        ("a handler that sets nothing", "GET /silent", 200, None),
        // ogen #1671, opentelemetry-php-contrib #290
        ("a 404", "GET /status/404", 404, None),
        // semantic-conventions #2085
        ("a 499 of the application", "GET /status/499", 499, None),
        // opentelemetry-js #7059
        ("a 500", "GET /status/500", 500, Some("500")),
        // opentelemetry-cpp-contrib #269, envoy #32114
        ("a 503", "GET /status/503", 503, Some("503")),
        ("a HEAD with a 503", "HEAD /status/503", 503, Some("503")),
        (
            "a status beyond those defined",
            "GET /status/999",
            999,
            Some("999"),
        ),
    ] {
        let recorder = Recorder::new();
        let address = serve(app().layer(recorder.layer())).await;
        let answer = exchange(address, &request(line, "host: a.example\r\n")).await;
        assert_eq!(status_of(&answer), Some(status), "{rule}");
        let span = only(&recorder).await;
        let recorded = span.attribute("http.response.status_code");
        assert_eq!(recorded, Some(status.to_string()), "{rule}");
        assert_eq!(
            span.attribute("error.type").as_deref(),
            error_type,
            "{rule}"
        );
        assert_eq!(span.is_error(), error_type.is_some(), "{rule}");
    }
}

/// opentelemetry-go-contrib #6912
#[tokio::test]
async fn interim_response_is_not_the_status_of_the_span() {
    let recorder = Recorder::new();
    let address = serve(app().layer(recorder.layer())).await;
    let headers = "host: a.example\r\nexpect: 100-continue\r\ncontent-length: 4\r\n";
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let head = request("POST /echo", headers);
    stream.write_all(&head).await.expect("the server reads");
    let mut answer = vec![0; "HTTP/1.1 100 Continue\r\n\r\n".len()];
    tokio::io::AsyncReadExt::read_exact(&mut stream, &mut answer)
        .await
        .expect("an interim response");
    assert_eq!(answer, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"body").await.expect("the server reads");
    let mut answer = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut answer)
        .await
        .expect("a response");
    assert!(answer.ends_with("body"), "{answer}");
    let span = only(&recorder).await;
    let recorded = span.attribute("http.response.status_code");
    assert_eq!(recorded.as_deref(), Some("200"));
    assert_eq!(span.outcome(), "DEPARTED");
}
