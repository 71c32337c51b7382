//! Status codes, and what they make of the span's status.

use axum::Router;
use axum::extract::Path;
use axum::routing::any;
use http::{Request, StatusCode, Version};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::{exchange, only, request, serve, status_of};
use crate::support::recorder::Recorder;

fn app() -> Router {
    let status =
        |Path(status): Path<u16>| async move { StatusCode::from_u16(status).expect("a status") };
    let text = |Path(status): Path<u16>| async move {
        (StatusCode::from_u16(status).expect("a status"), "a text")
    };
    let echo = |body: String| async { body };
    Router::new()
        .route("/status/{status}", any(status))
        .route("/status/{status}/text", any(text))
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
        let code = span.attribute("http.response.status_code");
        assert_eq!(code, Some(status.to_string()), "{rule}");
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
    let code = span.attribute("http.response.status_code");
    assert_eq!(code.as_deref(), Some("200"));
    assert_eq!(span.outcome(), "DEPARTED");
}

/// envoy #29071, nghttp2 #2867, nginx-tests #64: a proxy passes on an informational status as the response. HTTP/1.1
/// alone has 101.
#[tokio::test]
async fn informational_status_of_a_response_is_an_error_of_the_server() {
    for (version, status, error_type) in [
        (Version::HTTP_11, "100", Some("100")),
        (Version::HTTP_11, "103", Some("103")),
        (Version::HTTP_11, "101", None),
        (Version::HTTP_2, "103", Some("103")),
        (Version::HTTP_2, "101", Some("101")),
    ] {
        let rule = format!("{version:?} {status}");
        let recorder = Recorder::new();
        let address = serve(app().layer(recorder.layer())).await;
        let path = format!("/status/{status}/text");
        if version == Version::HTTP_2 {
            let stream = TcpStream::connect(address).await.expect("a connection");
            let (send, connection) = h2::client::handshake(stream).await.expect("a handshake");
            tokio::spawn(connection);
            let mut send = send.ready().await.expect("room for a stream");
            let request = Request::get(format!("http://{address}{path}")).body(());
            let begun = send.send_request(request.expect("a request"), true);
            let response = begun.expect("sent").0.await;
            response.expect_err("it is no response");
        } else {
            let line = format!("GET {path}");
            let answer = exchange(address, &request(&line, "host: a.example\r\n")).await;
            let received = if status == "101" { 101 } else { 500 };
            assert_eq!(status_of(&answer), Some(received), "{rule}");
        }
        let span = only(&recorder).await;
        let code = span.attribute("http.response.status_code");
        assert_eq!(code.as_deref(), Some(status), "{rule}");
        let seen = span.attribute("error.type");
        assert_eq!(seen.as_deref(), error_type, "{rule}");
        let outcome = error_type.map_or("DEPARTED", |_| "ABORTED(exception)");
        assert_eq!(span.outcome(), outcome, "{rule}");
    }
}
