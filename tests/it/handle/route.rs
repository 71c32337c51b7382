//! The route: known at the start with axum, or told by the handler.

use axum::Router;
use axum::routing::{get as route_get, post as route_post};
use http::{HeaderValue, Request, StatusCode};
use http_body_util::BodyExt as _;
use opentelemetry::KeyValue;
use tower::{Service as _, ServiceExt as _};
use tower_api_span::SpanHandle;
use tower_layer::Layer as _;

use super::{said, serve};
use crate::support::body::ScriptedBody;
use crate::support::body::Step::Data;
use crate::support::recorder::{Recorder, Seen};
use crate::support::{answering, grpc, handle_of, ready, response};

#[test]
fn a_route_is_told_and_is_in_the_name() {
    let span = said(|handle| handle.set_route("/x/{id}"));
    assert_eq!(span.0.name, "GET /x/{id}");
    assert_eq!(span.attribute("http.route").as_deref(), Some("/x/{id}"));
}

#[test]
fn a_route_is_told_twice_and_the_last_one_stands() {
    let long = format!("/{}", "x".repeat(2_000));
    for (told, name) in [
        (&["/a", "/b"][..], "GET /b"),
        (&["/a", ""], "GET /a"),
        (&[""], "GET"),
        (&[long.as_str()], &format!("GET {}", &long[..1024])),
    ] {
        let span = said(|handle| told.iter().for_each(|route| handle.set_route(route)));
        assert_eq!(span.0.name, name);
        let route = span
            .attribute("http.route")
            .map(|route| format!("GET {route}"));
        assert_eq!(route.as_deref().unwrap_or("GET"), name);
    }
}

#[test]
fn a_route_is_told_and_its_attribute_is_there_once() {
    let span = said(|handle| {
        handle.set_attribute(KeyValue::new("http.route", "/mine"));
        handle.set_route("/x/{id}");
    });
    assert_eq!(span.0.name, "GET /x/{id}");
    assert_eq!(span.attribute("http.route").as_deref(), Some("/x/{id}"));
}

#[test]
fn a_route_is_told_of_a_grpc_call_and_its_name_stays() {
    let at = Recorder::new();
    let mut service = answering(&at.layer(), |request| {
        handle_of(&request).set_route("/x/{id}");
        let mut response = response(200, ScriptedBody::new([Data(3)]));
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
fn what_claims_to_be_a_grpc_call_is_answered_in_plain_http_and_named_as_that() {
    for (route, name) in [("", "POST"), ("/x/{id}", "POST /x/{id}")] {
        let at = Recorder::new();
        serve(&at.layer(), grpc(), 404, |handle| handle.set_route(route));
        let span = at.only();
        assert_eq!(span.0.name, name);
        let method = span.attribute("http.request.method");
        assert_eq!(method.as_deref(), Some("POST"));
        let status = span.attribute("http.response.status_code");
        assert_eq!(status.as_deref(), Some("404"));
    }
}

/// What a handler of axum's says, with the extractor.
async fn says(handle: SpanHandle) -> String {
    handle.set_route("/told");
    handle.set_attribute(KeyValue::new("http.route", "/mine"));
    handle.set_attribute(KeyValue::new("test.told", true));
    handle.is_recording().to_string()
}

fn router() -> Router {
    Router::new().route("/x/{id}", route_get(says)).nest(
        "/v1",
        Router::new().route("/chat/{model}", route_post(says)),
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
    assert_eq!(span.attribute("test.told").is_some(), route.is_some());
}

#[tokio::test]
async fn a_route_of_axums_is_known_and_what_is_told_changes_nothing() {
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
        let (status, said) = ask(router().layer(at.layer()), method, path).await;
        assert_eq!(status == StatusCode::OK, route.is_some(), "{path}");
        assert_eq!(said == "true", route.is_some(), "{path}");
        assert_named(&at.only(), name, route);
    }
}

#[tokio::test]
async fn a_router_of_axums_is_wrapped_and_the_route_is_what_is_told() {
    let at = Recorder::new();
    let (_, said) = ask(at.layer().layer(router()), "GET", "/x/42").await;
    assert_eq!(said, "true");
    assert_named(&at.only(), "GET /told", Some("/told"));
}

#[tokio::test]
async fn there_is_no_layer_and_the_extractor_does_not_reject() {
    let (status, said) = ask(router(), "GET", "/x/42").await;
    assert_eq!((status, said.as_str()), (StatusCode::OK, "false"));
    let at = Recorder::new();
    let filtered = at.layer().filter(|_| false);
    let (status, said) = ask(router().layer(filtered), "GET", "/x/42").await;
    assert_eq!((status, said.as_str()), (StatusCode::OK, "false"));
    assert_eq!(at.starts(), 0);
}
