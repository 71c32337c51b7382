//! The route: matched by axum, or set by the handler.

use axum::Router;
use axum::routing::{get as route_get, post as route_post};
use http::{HeaderValue, Request, StatusCode};
use http_body_util::BodyExt as _;
use opentelemetry::KeyValue;
use tower::{Service as _, ServiceExt as _};
use tower_api_span::SpanHandle;
use tower_layer::Layer as _;

use super::{record_span, serve};
use crate::support::body::ScriptedBody;
use crate::support::recorder::{Recorder, Seen};
use crate::support::{answering, grpc, handle_of, ready, response};

#[test]
fn route_set_by_the_handler_is_in_the_span_name() {
    let span = record_span(|handle| handle.set_route("/x/{id}"));
    assert_eq!(span.0.name, "GET /x/{id}");
    assert_eq!(span.attribute("http.route").as_deref(), Some("/x/{id}"));
}

#[test]
fn last_non_empty_route_is_kept_and_truncated() {
    let long = format!("/{}", "x".repeat(2_000));
    for (routes, name) in [
        (&["/a", "/b"][..], "GET /b"),
        (&["/a", ""], "GET /a"),
        (&[""], "GET"),
        (&[long.as_str()], &format!("GET {}", &long[..1024])),
    ] {
        let span = record_span(|handle| routes.iter().for_each(|route| handle.set_route(route)));
        assert_eq!(span.0.name, name);
        let route = span
            .attribute("http.route")
            .map(|route| format!("GET {route}"));
        assert_eq!(route.as_deref().unwrap_or("GET"), name);
    }
}

#[test]
fn set_route_replaces_an_http_route_attribute() {
    let span = record_span(|handle| {
        handle.set_attribute(KeyValue::new("http.route", "/custom"));
        handle.set_route("/x/{id}");
    });
    assert_eq!(span.0.name, "GET /x/{id}");
    assert_eq!(span.attribute("http.route").as_deref(), Some("/x/{id}"));
}

#[test]
fn route_set_for_a_grpc_call_is_ignored() {
    let at = Recorder::new();
    let mut service = answering(&at.layer(), |request| {
        handle_of(&request).set_route("/x/{id}");
        let mut response = response(200, ScriptedBody::full(0));
        let headers = response.headers_mut();
        headers.insert("grpc-status", HeaderValue::from_static("0"));
        response
    });
    drop(ready(service.call(grpc())));
    let span = at.only();
    assert_eq!(span.0.name, "pkg.Service/Method");
    assert_eq!(span.attribute("http.route"), None);
}

#[test]
fn grpc_content_type_answered_in_http_is_named_as_http() {
    for (route, name) in [("", "POST"), ("/x/{id}", "POST /x/{id}")] {
        let at = Recorder::new();
        serve(&at.layer(), grpc(), 404, |handle| handle.set_route(route));
        let span = at.only();
        assert_eq!(span.0.name, name);
        let method = span.attribute("http.request.method");
        assert_eq!(method.as_deref(), Some("POST"));
        let status = span.attribute("http.response.status_code");
        assert_eq!(status.as_deref(), Some("404"));
        let path = span.attribute("url.path");
        assert_eq!(path.as_deref(), Some("/pkg.Service/Method"));
    }
}

/// A handler that takes the handle as an extractor. It answers whether the span records.
async fn record(handle: SpanHandle) -> String {
    handle.set_route("/by-handler");
    handle.set_attribute(KeyValue::new("http.route", "/custom"));
    handle.set_attribute(KeyValue::new("test.by_handler", true));
    handle.is_recording().to_string()
}

fn router() -> Router {
    Router::new().route("/x/{id}", route_get(record)).nest(
        "/v1",
        Router::new().route("/chat/{model}", route_post(record)),
    )
}

async fn ask<S, B>(service: S, method: &str, path: &str) -> (StatusCode, String)
where
    S: tower::Service<Request<axum::body::Body>, Response = http::Response<B>>,
    S::Error: std::fmt::Debug,
    B: http_body::Body,
    B::Error: std::fmt::Debug,
{
    let request = Request::builder().method(method).uri(path);
    let request = request.body(axum::body::Body::empty()).expect("a request");
    let response = service.oneshot(request).await.expect("a response");
    let status = response.status();
    let body = response
        .into_body()
        .collect()
        .await
        .expect("a body")
        .to_bytes();
    (status, String::from_utf8(body.to_vec()).expect("text"))
}

fn assert_named(span: &Seen, name: &str, route: Option<&str>) {
    assert_eq!(span.0.name, name);
    assert_eq!(span.attribute("http.route").as_deref(), route);
    assert_eq!(span.attribute("test.by_handler").is_some(), route.is_some());
}

#[tokio::test]
async fn route_matched_by_axum_is_not_replaced_by_the_handler() {
    for (method, path, name, route) in [
        ("GET", "/x/42", "GET /x/{id}", Some("/x/{id}")),
        (
            "POST",
            "/v1/chat/big",
            "POST /v1/chat/{model}",
            Some("/v1/chat/{model}"),
        ),
        ("GET", "/nowhere", "GET", None),
    ] {
        let at = Recorder::new();
        let (status, body) = ask(router().layer(at.layer()), method, path).await;
        assert_eq!(status == StatusCode::OK, route.is_some(), "{path}");
        assert_eq!(body == "true", route.is_some(), "{path}");
        assert_named(&at.only(), name, route);
    }
}

#[tokio::test]
async fn layer_around_a_router_uses_the_route_set_by_the_handler() {
    let at = Recorder::new();
    let (_, body) = ask(at.layer().layer(router()), "GET", "/x/42").await;
    assert_eq!(body, "true");
    assert_named(&at.only(), "GET /by-handler", Some("/by-handler"));
}

#[tokio::test]
async fn extractor_without_a_span_does_not_reject() {
    let (status, body) = ask(router(), "GET", "/x/42").await;
    assert_eq!((status, body.as_str()), (StatusCode::OK, "false"));
    let at = Recorder::new();
    let filtered = at.layer().filter(|_| false);
    let (status, body) = ask(router().layer(filtered), "GET", "/x/42").await;
    assert_eq!((status, body.as_str()), (StatusCode::OK, "false"));
    assert_eq!(at.starts(), 0);
}
