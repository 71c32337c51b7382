//! Clients that disconnect while their request is being read.

use h2::Reason;
use tokio::io::AsyncWriteExt as _;

use super::clients::Cut;
use super::{listen, proxy, router, serve};

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
