//! Clients that disconnect while their request is being read.

use super::clients::Cut;
use super::serve;

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
