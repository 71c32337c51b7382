//! Routes: of requests that a router answers itself, and of handlers that fail.

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use http::StatusCode;

use super::{exchange, only, request, serve, status_of};
use crate::support::recorder::Recorder;

async fn deny(request: Request, next: Next) -> Response {
    if request.headers().contains_key("authorization") {
        next.run(request).await
    } else {
        StatusCode::UNAUTHORIZED.into_response()
    }
}

async fn panics() -> &'static str {
    std::panic::resume_unwind(Box::new("the handler panics"))
}

fn app() -> Router {
    let api = Router::new()
        .route("/users/{id}", get(|| async { "a user" }))
        .fallback(|| async { (StatusCode::NOT_FOUND, "no such resource") });
    let private = Router::new()
        .route("/private/{id}", get(|| async { "a secret" }))
        .route_layer(from_fn(deny));
    Router::new()
        .nest("/api/{version}", api)
        .nest_service(
            "/service",
            Router::new().route("/users/{id}", get(|| async { "a user" })),
        )
        .merge(private)
        .route("/login", post(|| async { "well" }))
        .route("/panics/{id}", get(panics))
        .method_not_allowed_fallback(|| async { (StatusCode::METHOD_NOT_ALLOWED, "not so") })
        .fallback(|| async { (StatusCode::NOT_FOUND, "nothing here") })
}

#[tokio::test]
async fn route_is_the_template_that_was_matched() {
    for (rule, line, status, name, route, outcome) in [
        // axum #1005 and #2251: the path matches, the method does not.
        (
            "another method",
            "GET /login",
            405,
            "GET /login",
            Some("/login"),
            "ABORTED(client_error)",
        ),
        // axum #2072 and #3138: the fallback's own routes are axum's, and no names.
        (
            "the fallback of a nested router",
            "GET /api/v1/nothing",
            404,
            "GET",
            None,
            "ABORTED(client_error)",
        ),
        (
            "the fallback of all",
            "GET /nothing",
            404,
            "GET",
            None,
            "ABORTED(client_error)",
        ),
        // tracing-opentelemetry-instrumentation-sdk #54, opentelemetry-python-contrib #2476
        (
            "a nested router",
            "GET /api/v1/users/7",
            200,
            "GET /api/{version}/users/{id}",
            Some("/api/{version}/users/{id}"),
            "DEPARTED",
        ),
        // axum #3421
        (
            "a request that authorization rejects",
            "GET /private/7",
            401,
            "GET /private/{id}",
            Some("/private/{id}"),
            "ABORTED(client_error)",
        ),
    ] {
        let recorder = Recorder::new();
        let address = serve(app().layer(recorder.layer())).await;
        let answer = exchange(address, &request(line, "host: a.example\r\n")).await;
        assert_eq!(status_of(&answer), Some(status), "{rule}");
        let span = only(&recorder).await;
        assert_eq!(span.0.name, name, "{rule}");
        assert_eq!(span.attribute("http.route").as_deref(), route, "{rule}");
        assert_eq!(span.outcome(), outcome, "{rule}");
        let path = span.attribute("url.path");
        assert_eq!(path.as_deref(), line.strip_prefix("GET "), "{rule}");
    }
}

/// glue #195, otelchi #12, gofiber/contrib #810
#[tokio::test]
async fn panic_is_an_error_with_the_name_and_the_route_of_its_handler() {
    let recorder = Recorder::new();
    let address = serve(app().layer(recorder.layer())).await;
    let answer = exchange(address, &request("GET /panics/7", "host: a.example\r\n")).await;
    assert_eq!(answer, "", "the server closes the connection");
    let span = only(&recorder).await;
    assert_eq!(span.0.name, "GET /panics/{id}");
    assert_eq!(
        span.attribute("http.route").as_deref(),
        Some("/panics/{id}")
    );
    assert_eq!(span.attribute("error.type").as_deref(), Some("panic"));
    assert_eq!(span.attribute("http.response.status_code"), None);
    assert!(span.is_error());
}
