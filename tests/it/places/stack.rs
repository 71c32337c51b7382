//! The stack that the guide recommends.

use std::time::Duration;

use axum::Router;
use http::StatusCode;
use tower_api_span::{ApiSpanLayer, RequestBodyLayer};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::cors::CorsLayer;
use tower_http::timeout::TimeoutLayer;

use super::{called, only_of_caller, routes, send};
use crate::support::recorder::Recorder;

/// As in `docs/guide/placement.md`.
fn stack(app: Router, layer: ApiSpanLayer) -> Router {
    app.layer(CompressionLayer::new())
        .layer(TimeoutLayer::with_status_code(
            StatusCode::SERVICE_UNAVAILABLE,
            Duration::from_secs(30),
        ))
        .layer(RequestBodyLayer::new())
        .layer(layer)
        .layer(CatchPanicLayer::new())
        .layer(CorsLayer::permissive())
}

#[tokio::test(start_paused = true)]
async fn recommended_stack_names_the_cause_of_each_failure_and_the_client_gets_a_response() {
    for (rule, path, status, name, outcome, error_type, recorded) in [
        (
            "a response",
            "/users/7",
            200,
            "GET /users/{id}",
            "DEPARTED",
            None,
            Some("200"),
        ),
        (
            "no such route",
            "/nowhere",
            404,
            "GET",
            "ABORTED(client_error)",
            None,
            Some("404"),
        ),
        (
            "the server is too slow",
            "/slow",
            503,
            "GET /slow",
            "ABORTED(exception)",
            Some("503"),
            Some("503"),
        ),
        // The response is made outside the layer.
        (
            "a panic",
            "/panics",
            500,
            "GET /panics",
            "ABORTED(panic)",
            Some("panic"),
            None,
        ),
    ] {
        let recorder = Recorder::new();
        let app = stack(routes(), recorder.layer());
        let request = called("GET", path).header("origin", "https://example.com");
        let received = send(app, request).await;
        assert_eq!(received.status, status, "{rule}");
        let allowed = received.headers.get("access-control-allow-origin");
        assert!(allowed.is_some(), "{rule}");
        let span = only_of_caller(&recorder).await;
        assert_eq!(span.0.name, name, "{rule}");
        assert_eq!(span.outcome(), outcome, "{rule}");
        assert_eq!(
            span.attribute("error.type").as_deref(),
            error_type,
            "{rule}"
        );
        assert_eq!(span.is_error(), error_type.is_some(), "{rule}");
        let code = span.attribute("http.response.status_code");
        assert_eq!(code.as_deref(), recorded, "{rule}");
    }
}

#[tokio::test]
async fn recommended_stack_answers_preflights_outside_the_layer() {
    let recorder = Recorder::new();
    let request = called("OPTIONS", "/users/7")
        .header("origin", "https://example.com")
        .header("access-control-request-method", "GET");
    let received = send(stack(routes(), recorder.layer()), request).await;
    assert_eq!(received.status, 200);
    assert_eq!(recorder.starts(), 0);
}
