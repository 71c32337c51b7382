//! Middleware of axum that rewrites the target of a request: the span has the client's path and the matched route,
//! and never those of another request.

use std::convert::Infallible;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::middleware::{Next, from_fn, map_request};
use axum::response::Response;
use axum::routing::any;
use http::Uri;
use http_body_util::BodyExt as _;
use tower::{Layer, Service, ServiceExt as _, service_fn};
use tower_api_span::ApiSpanLayer;
use tower_http::normalize_path::NormalizePathLayer;

use crate::support::recorder::Recorder;

struct Case {
    rule: &'static str,
    app: fn(ApiSpanLayer) -> Router,
    target: &'static str,
    route: Option<&'static str>,
    path: &'static str,
}

const fn case(
    rule: &'static str,
    app: fn(ApiSpanLayer) -> Router,
    target: &'static str,
    route: Option<&'static str>,
    path: &'static str,
) -> Case {
    Case {
        rule,
        app,
        target,
        route,
        path,
    }
}

/// A router with the layer, last.
fn users(layer: ApiSpanLayer) -> Router {
    Router::new()
        .route("/users/{id}", any(ok))
        .route("/health", any(ok))
        .route("/", any(ok))
        .layer(layer)
}

async fn ok() -> &'static str {
    "ok"
}

/// A service without a router, with the layer.
#[expect(clippy::needless_pass_by_value, reason = "called as `users` is")]
fn service(
    layer: ApiSpanLayer,
) -> impl Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + Sync
{
    let answer = service_fn(|_: Request| std::future::ready(Ok(Response::new(Body::empty()))));
    layer
        .layer(answer)
        .map_response(|response: http::Response<_>| response.map(Body::new))
}

/// Replaces the path, and keeps the query.
fn replace_path(mut request: Request, path: &str) -> Request {
    let query = request.uri().query().map(|query| format!("?{query}"));
    let target = format!("{path}{}", query.unwrap_or_default());
    *request.uri_mut() = target.parse().expect("a target");
    request
}

async fn fold_case(request: Request) -> Request {
    let path = request.uri().path().to_lowercase();
    replace_path(request, &path)
}

async fn decode(request: Request) -> Request {
    let path = percent_encoding::percent_decode_str(request.uri().path());
    let path = path.decode_utf8().expect("UTF-8").into_owned();
    replace_path(request, &path)
}

/// Rewrites old paths.
async fn rewrite(request: Request) -> Request {
    let path = match request.uri().path() {
        "/people/7" | "/users/me" | "/v1/users/7" => "/users/7",
        "/alive" => "/health",
        path => panic!("no rule for {path}"),
    };
    replace_path(request, path)
}

/// Answers with the response to another request, made with the extensions of the first.
async fn ask<S>(inner: S, outer: Request, target: &'static str) -> Response
where
    S: Service<Request, Response = Response, Error = Infallible>,
{
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = Uri::from_static(target);
    *request.extensions_mut() = outer.extensions().clone();
    let answer = inner.oneshot(request).await;
    answer.unwrap_or_else(|error| match error {})
}

/// Routes to a handler that asks a service.
macro_rules! asking {
    ($route:literal, $inner:expr, $target:literal) => {
        |layer| {
            let inner = $inner(layer);
            Router::new().route(
                $route,
                any(move |outer: Request| ask(inner.clone(), outer, $target)),
            )
        }
    };
}

#[rustfmt::skip]
#[expect(clippy::too_many_lines, reason = "a table")]
fn cases() -> Vec<Case> {
    let user = Some("/users/{id}");
    let api_user = Some("/api/users/{id}");
    vec![
        // Nothing is rewritten.
        case("plain", users, "/users/7", user, "/users/7"),
        case("plain root", users, "/", Some("/"), "/"),
        case("no route", |layer| Router::new().route("/users/{id}", any(ok)).fallback(ok).layer(layer), "/x", None, "/x"),
        case("nested", |layer| Router::new().nest("/api", users(layer)), "/api/users/7", api_user, "/api/users/7"),
        case("nested root", |layer| Router::new().nest("/api", users(layer)), "/api", Some("/api"), "/api"),
        case("nested below a parameter", |layer| Router::new().nest("/{version}", users(layer)),
            "/v2/users/7", Some("/{version}/users/{id}"), "/v2/users/7"),
        case("nested below a prefix with a slash at its end", |layer| Router::new().nest("/api/", users(layer)),
            "/api/users/7", api_user, "/api/users/7"),
        case("nested twice", |layer| Router::new().nest("/api", Router::new().nest("/v1", users(layer))),
            "/api/v1/users/7", Some("/api/v1/users/{id}"), "/api/v1/users/7"),
        case("outside a nested router", |layer| Router::new().nest("/api", Router::new().route("/users/{id}", any(ok))).layer(layer),
            "/api/users/7", api_user, "/api/users/7"),
        case("nested service", |layer| Router::new().nest_service("/api", users(layer)), "/api/users/7", api_user, "/api/users/7"),
        case("nested service, root", |layer| Router::new().nest_service("/api", users(layer)), "/api", Some("/api/"), "/api"),
        case("nested service, root with a slash", |layer| Router::new().nest_service("/api", users(layer)),
            "/api/", Some("/api//"), "/api/"),
        case("nested service without a router", |layer| Router::new().nest_service("/api", service(layer)),
            "/api/users/7", None, "/api/users/7"),
        case("nested service without a router, root", |layer| Router::new().nest_service("/api", service(layer)),
            "/api", Some("/api"), "/api"),
        case("nested service in a nested service", |layer| {
            Router::new().nest_service("/api", Router::new().nest_service("/{version}", users(layer)))
        }, "/api/v1/users/7", Some("/api/{version}/users/{id}"), "/api/v1/users/7"),
        case("fallback service", |layer| Router::new().fallback_service(users(layer)), "/users/7", user, "/users/7"),
        case("route service", |layer| Router::new().route_service("/users/{id}", service(layer)), "/users/7", user, "/users/7"),
        case("fallback of a nested router", |layer| {
            Router::new().nest("/api", Router::new().route("/users/{id}", any(ok)).fallback(ok).layer(layer))
        }, "/api/x", None, "/api/x"),

        // The target is spelled in another way.
        case("trimmed in front of a fallback", |layer| {
            Router::new().fallback_service(NormalizePathLayer::trim_trailing_slash().layer(users(layer)))
        }, "/users/7/", user, "/users/7/"),
        case("trimmed", |layer| {
            Router::new().nest_service("/api", NormalizePathLayer::trim_trailing_slash().layer(users(layer)))
        }, "/api/users/7/", api_user, "/api/users/7/"),
        case("trimmed to the root", |layer| {
            Router::new().nest_service("/api", NormalizePathLayer::trim_trailing_slash().layer(users(layer)))
        }, "/api//", Some("/api/"), "/api//"),
        case("trimmed below a parameter", |layer| {
            Router::new().nest_service("/{version}", NormalizePathLayer::trim_trailing_slash().layer(users(layer)))
        }, "/v2/users/7/", Some("/{version}/users/{id}"), "/v2/users/7/"),
        case("trimmed below two prefixes", |layer| {
            let trimmed = NormalizePathLayer::trim_trailing_slash().layer(users(layer));
            Router::new().nest("/api", Router::new().nest_service("/v1", trimmed))
        }, "/api/v1/users/7/", Some("/api/v1/users/{id}"), "/api/v1/users/7/"),
        case("slash appended", |layer| {
            let users = Router::new().route("/users/{id}/", any(ok)).layer(layer);
            Router::new().nest_service("/api", NormalizePathLayer::append_trailing_slash().layer(users))
        }, "/api/users/7", Some("/api/users/{id}/"), "/api/users/7"),
        case("trimmed in front of a service without a router", |layer| {
            Router::new().nest_service("/api", NormalizePathLayer::trim_trailing_slash().layer(service(layer)))
        }, "/api/users/7/", None, "/api/users/7/"),
        case("trimmed after the match", |layer| {
            Router::new().route("/users/{id}/", any(ok)).layer(layer).layer(NormalizePathLayer::trim_trailing_slash())
        }, "/users/7/", Some("/users/{id}/"), "/users/7/"),
        case("case folded", |layer| {
            Router::new().nest_service("/api", map_request(fold_case).layer(users(layer)))
        }, "/api/Users/ANN?A=B", api_user, "/api/Users/ANN"),
        case("case folded after the match", |layer| users(layer).layer(map_request(fold_case)),
            "/users/ANN", user, "/users/ANN"),
        case("percent-decoded", |layer| {
            Router::new().nest_service("/api", map_request(decode).layer(users(layer)))
        }, "/api/%75sers/%37", api_user, "/api/%75sers/%37"),
        case("percent-decoded after the match", |layer| users(layer).layer(map_request(decode)),
            "/users/%37", user, "/users/%37"),
        case("folded, decoded and trimmed", |layer| {
            let users = NormalizePathLayer::trim_trailing_slash().layer(users(layer));
            Router::new().nest_service("/api", map_request(fold_case).layer(map_request(decode).layer(users)))
        }, "/api/Us%65rs/7//", api_user, "/api/Us%65rs/7//"),

        // The target is another one, and a router matches it.
        case("another route", |layer| {
            Router::new().nest_service("/api", map_request(rewrite).layer(users(layer)))
        }, "/api/people/7", api_user, "/api/people/7"),
        case("another value for the same route", |layer| {
            Router::new().nest_service("/api", map_request(rewrite).layer(users(layer)))
        }, "/api/users/me", api_user, "/api/users/me"),
        case("without a segment", |layer| {
            Router::new().nest_service("/api", map_request(rewrite).layer(users(layer)))
        }, "/api/v1/users/7", api_user, "/api/v1/users/7"),
        case("another route without parameters", |layer| {
            Router::new().nest_service("/{version}", map_request(rewrite).layer(users(layer)))
        }, "/v2/alive", Some("/{version}/health"), "/v2/alive"),
        case("another route, not nested", |layer| {
            Router::new().fallback_service(map_request(rewrite).layer(users(layer)))
        }, "/people/7", user, "/people/7"),

        // Another request has the extensions of the first. axum's own route of it is that of the first with the
        // route of the second behind it, and is not used.
        case("another request to a service", asking!("/outer/{id}", service, "/inner/9"), "/outer/7", None, "/inner/9"),
        case("another request to a router", asking!("/outer/{id}", users, "/users/9"), "/outer/7", None, "/users/9"),
        // The first request's target is in the extensions, so nothing has the prefix of the second.
        case("another request to a nested router",
            asking!("/outer/{id}", |layer| Router::new().nest("/api", users(layer)), "/api/users/9"),
            "/outer/7", None, "/users/9"),
        case("another request of a nested router", |layer| {
            let inner = users(layer);
            let outer = any(move |outer: Request| ask(inner.clone(), outer, "/users/9"));
            Router::new().nest("/api", Router::new().route("/outer/{id}", outer))
        }, "/api/outer/7", None, "/users/9"),
        case("another request for the root", asking!("/outer/{id}", service, "/"), "/outer/7", None, "/"),
        case("another request for the root of a router", asking!("/outer/{id}", users, "/"), "/outer/7", None, "/"),
        case("another request with the same route", asking!("/users/{id}", service, "/users/9"), "/users/7", None, "/users/9"),
        case("another request, whose path is the end of the first", asking!("/proxy/{*rest}", service, "/users/7"),
            "/proxy/users/7", None, "/users/7"),
        case("another request in a middleware after the match", |layer| {
            users(layer).layer(from_fn(|outer: Request, next: Next| async move {
                let next = service_fn(move |request| {
                    let next = next.clone();
                    async move { Ok(next.run(request).await) }
                });
                ask(next, outer, "/inner/9").await
            }))
        }, "/users/7", None, "/inner/9"),
    ]
}

#[tokio::test]
async fn another_request_with_the_same_path_has_its_own_query_and_scheme() {
    let recorder = Recorder::new();
    let inner = service(recorder.layer());
    let outer = any(move |outer: Request| {
        let target = "https://other/items?page=2";
        ask(inner.clone(), outer, target)
    });
    let app = Router::new().route("/items", outer);
    let request = Request::get("/items?page=1&token=x").body(Body::empty());
    let response = app.oneshot(request.expect("a request")).await;
    let response = response.unwrap_or_else(|error| match error {});
    response.into_body().collect().await.expect("a body");
    let span = recorder.only();
    assert_eq!(span.attribute("url.query").as_deref(), Some("page=2"));
    assert_eq!(span.attribute("url.scheme").as_deref(), Some("https"));
}

/// axum's outermost router finds the rewritten target, and nothing has the client's.
#[tokio::test]
async fn a_target_rewritten_outside_all_routers_is_recorded_as_rewritten() {
    let recorder = Recorder::new();
    let app = NormalizePathLayer::trim_trailing_slash().layer(users(recorder.layer()));
    let request = Request::get("/users/7/").body(Body::empty());
    let response = app.oneshot(request.expect("a request")).await;
    let response = response.unwrap_or_else(|error| match error {});
    response.into_body().collect().await.expect("a body");
    let span = recorder.only();
    assert_eq!(span.0.name, "GET /users/{id}");
    assert_eq!(span.attribute("url.path").as_deref(), Some("/users/7"));
}

#[tokio::test]
async fn span_has_the_clients_path_and_the_matched_route_wherever_the_target_is_rewritten() {
    let mut wrong = Vec::new();
    for case in cases() {
        let recorder = Recorder::new();
        let app = (case.app)(recorder.layer());
        let request = Request::get(case.target).body(Body::empty());
        let response = app.oneshot(request.expect("a request")).await;
        let response = response.unwrap_or_else(|error| match error {});
        let status = response.status();
        response.into_body().collect().await.expect("a body");
        let span = recorder.only();
        let (route, path) = (span.attribute("http.route"), span.attribute("url.path"));
        let name = case
            .route
            .map_or_else(|| "GET".to_owned(), |route| format!("GET {route}"));
        let got = (route.as_deref(), path.as_deref(), span.0.name.as_ref());
        if got != (case.route, Some(case.path), name.as_str()) {
            wrong.push(format!("{}: {got:?}, status {status}", case.rule));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
