//! Clients that disconnect while their request is being read.

use std::convert::Infallible;
use std::sync::Arc;

use h2::Reason;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tower::{Layer as _, service_fn};
use tower_api_span::{RequestBody, RequestBodyLayer};

use super::clients::Cut;
use super::{listen, proxy, router, serve};
use crate::support::recorder::Recorder;

#[tokio::test]
async fn client_that_leaves_while_its_request_is_read_is_a_disconnect_whatever_is_answered() {
    for path in ["/json", "/raw", "/fails", "/ignores", "/echo"] {
        for cut in Cut::all() {
            let server = serve(|app| app).await;
            cut.send(server.address, path, &server.read).await;
            let span = server.span().await;
            let case = format!("{path}, {cut:?}");
            assert_eq!(span.outcome(), "ABORTED(client_disconnect)", "{case}");
            assert!(span.is_error(), "{case}");
            assert_eq!(span.error(), None, "{case}");
            let status = span.attribute("http.response.status_code");
            // The head of an echo is sent before the request is read.
            let expected = (path == "/echo").then_some("200");
            assert_eq!(status.as_deref(), expected, "{case}");
        }
    }
}

/// Without axum's body around it, the error is hyper's own.
#[tokio::test]
async fn body_of_hyper_without_a_framework_is_read_as_well() {
    for cut in Cut::all() {
        let recorder = Recorder::new();
        let read = Arc::new(Notify::new());
        let notify = Arc::clone(&read);
        let handler = service_fn(move |request: Request<RequestBody<Incoming>>| {
            let notify = Arc::clone(&notify);
            let body = request.into_body().map_frame(move |frame| {
                notify.notify_one();
                frame
            });
            async move {
                let mut response = Response::new(String::from("whole"));
                if body.collect().await.is_err() {
                    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                }
                Ok::<_, Infallible>(response)
            }
        });
        let service = recorder
            .layer()
            .layer(RequestBodyLayer::new().layer(handler));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move {
            let (connection, _) = listener.accept().await.expect("a connection");
            let service = TowerToHyperService::new(service);
            // The client ends the connection.
            let _ = auto::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(connection), service)
                .await;
        });
        cut.send(address, "/", &read).await;
        assert!(recorder.wait_for(1).await, "{cut:?}");
        let span = recorder.only();
        assert_eq!(span.outcome(), "ABORTED(client_disconnect)", "{cut:?}");
        let status = span.attribute("http.response.status_code");
        assert_eq!(status, None, "{cut:?}");
    }
}

/// hyper does not report such a reset to the reader of the request, but it sends no response either.
#[tokio::test]
async fn stream_that_is_reset_without_an_error_is_a_disconnect_if_the_response_has_a_body() {
    for path in ["/raw", "/json"] {
        let server = serve(|app| app).await;
        let reset = Cut::Reset {
            reason: Reason::NO_ERROR,
            has_length: false,
        };
        reset.send(server.address, path, &server.read).await;
        let span = server.span().await;
        assert_eq!(span.outcome(), "ABORTED(client_disconnect)", "{path}");
    }
}

#[tokio::test]
async fn stream_that_is_reset_without_an_error_is_a_disconnect_if_declared_bytes_are_missing() {
    for path in ["/raw", "/json", "/fails", "/ignores"] {
        let server = serve(|app| app).await;
        let reset = Cut::Reset {
            reason: Reason::NO_ERROR,
            has_length: true,
        };
        reset.send(server.address, path, &server.read).await;
        let span = server.span().await;
        assert_eq!(span.outcome(), "ABORTED(client_disconnect)", "{path}");
        let status = span.attribute("http.response.status_code");
        assert_eq!(status, None, "{path}");
    }
}

#[tokio::test]
async fn client_that_leaves_a_reverse_proxy_is_a_disconnect_at_the_proxy() {
    for cut in Cut::all() {
        let upstream = listen(router()).await;
        let server = serve(|_| proxy(upstream)).await;
        cut.send(server.address, "/proxy", &server.read).await;
        let span = server.span().await;
        assert_eq!(span.outcome(), "ABORTED(client_disconnect)", "{cut:?}");
        let status = span.attribute("http.response.status_code");
        assert_eq!(status, None, "{cut:?}");
    }
}

#[tokio::test]
async fn upstream_that_fails_is_no_disconnect_of_the_client() {
    let gone = listen(router()).await;
    let server = serve(|_| proxy(std::net::SocketAddr::new(gone.ip(), 1))).await;
    let mut connection = super::clients::connect(server.address, false).await;
    let request = b"POST /proxy HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n{}";
    connection
        .write_all(request)
        .await
        .expect("the server reads");
    let span = server.span().await;
    assert_eq!(span.outcome(), "ABORTED(exception)");
    let status = span.attribute("http.response.status_code");
    assert_eq!(status.as_deref(), Some("502"));
}
