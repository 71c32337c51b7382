//! Places in an axum router, outside and inside other layers.

use std::time::Duration;

use axum::Router;
use axum::middleware::map_response;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use http::{HeaderValue, StatusCode, header};
use opentelemetry::trace::SpanId;
use tower_api_span::ApiSpanLayer;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::cors::CorsLayer;
use tower_http::timeout::TimeoutLayer;

use super::{LARGE, called, only_of_caller, routes, send};
use crate::support::recorder::{Recorder, is_server};
use crate::support::{CALLER, TRACE};

struct Case {
    place: &'static str,
    app: fn(ApiSpanLayer) -> Router,
    request: (&'static str, &'static str),
    status: u16,
    /// The name and the outcome of the span, if there is one.
    span: Option<(&'static str, &'static str)>,
}

const fn case(
    place: &'static str,
    app: fn(ApiSpanLayer) -> Router,
    request: (&'static str, &'static str),
    status: u16,
    span: Option<(&'static str, &'static str)>,
) -> Case {
    Case {
        place,
        app,
        request,
        status,
        span,
    }
}

fn timeout() -> TimeoutLayer {
    TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, Duration::from_secs(1))
}

async fn replace(_: Response) -> Response {
    "another body".into_response()
}

async fn add_length(mut response: Response) -> Response {
    let length = HeaderValue::from_static("5");
    response
        .headers_mut()
        .insert(header::CONTENT_LENGTH, length);
    response
}

#[rustfmt::skip]
fn cases() -> Vec<Case> {
    let last = |layer| routes().layer(CorsLayer::permissive()).layer(layer);
    let route_layer = |layer| Router::new().route("/users/{id}", get(|| async {})).route_layer(layer);
    let method_router = |layer: ApiSpanLayer| {
        Router::new().route("/users/{id}", get(|| async {}).layer(layer)).route("/others", get(|| async {}))
    };
    vec![
        case("Router::layer, last: a route", last, ("GET", "/users/7"), 200, Some(("GET /users/{id}", "DEPARTED"))),
        case("Router::layer, last: no route", last, ("GET", "/nowhere"), 404, Some(("GET", "ABORTED(client_error)"))),
        case("Router::layer, last: a preflight", last, ("OPTIONS", "/users/7"), 200, Some(("OPTIONS /users/{id}", "DEPARTED"))),
        case("Router::layer, last: a nested service", last, ("GET", "/service/users/7"), 200, Some(("GET", "DEPARTED"))),
        case("Router::layer, not last", |layer| routes().layer(layer).route("/late", get(|| async {})),
            ("GET", "/late"), 200, None),
        case("Router::route_layer: a route", route_layer, ("GET", "/users/7"), 200, Some(("GET /users/{id}", "DEPARTED"))),
        case("Router::route_layer: no route", route_layer, ("GET", "/nowhere"), 404, None),
        case("MethodRouter::layer: its route", method_router, ("GET", "/users/7"), 200, Some(("GET /users/{id}", "DEPARTED"))),
        case("MethodRouter::layer: another route", method_router, ("GET", "/others"), 200, None),
        case("inside a timeout", |layer| routes().layer(layer).layer(timeout()),
            ("GET", "/slow"), 503, Some(("GET /slow", "ABORTED(client_disconnect)"))),
        case("outside a timeout", |layer| routes().layer(timeout()).layer(layer),
            ("GET", "/slow"), 503, Some(("GET /slow", "ABORTED(exception)"))),
        case("inside CatchPanic", |layer| routes().layer(layer).layer(CatchPanicLayer::new()),
            ("GET", "/panics"), 500, Some(("GET /panics", "ABORTED(panic)"))),
        case("outside CatchPanic", |layer| routes().layer(CatchPanicLayer::new()).layer(layer),
            ("GET", "/panics"), 500, Some(("GET /panics", "ABORTED(exception)"))),
        case("inside a layer that replaces the body", |layer| routes().layer(layer).layer(map_response(replace)),
            ("GET", "/users/7"), 200, Some(("GET /users/{id}", "ABORTED(generator_exit)"))),
        case("outside a layer that replaces the body", |layer| routes().layer(map_response(replace)).layer(layer),
            ("GET", "/users/7"), 200, Some(("GET /users/{id}", "DEPARTED"))),
        // The server stops at the declared length, before the body says that it is at its end.
        case("inside a layer that adds a Content-Length", |layer| routes().layer(layer).layer(map_response(add_length)),
            ("GET", "/stream"), 200, Some(("GET /stream", "ABORTED(client_disconnect)"))),
        case("outside a layer that adds a Content-Length", |layer| routes().layer(map_response(add_length)).layer(layer),
            ("GET", "/stream"), 200, Some(("GET /stream", "DEPARTED"))),
    ]
}

#[tokio::test(start_paused = true)]
async fn span_shows_what_the_table_of_places_says() {
    for case in cases() {
        let recorder = Recorder::new();
        let (method, path) = case.request;
        let mut request = called(method, path);
        if method == "OPTIONS" {
            request = request
                .header("origin", "https://example.com")
                .header("access-control-request-method", "GET");
        }
        let received = send((case.app)(recorder.layer()), request).await;
        assert_eq!(received.status, case.status, "{}", case.place);
        assert!(
            received.length.is_some(),
            "{}: the body is whole",
            case.place
        );
        let Some((name, outcome)) = case.span else {
            assert_eq!(recorder.starts(), 0, "{}", case.place);
            continue;
        };
        let span = only_of_caller(&recorder).await;
        assert_eq!(
            (&*span.0.name, &*span.outcome()),
            (name, outcome),
            "{}",
            case.place
        );
    }
}

#[tokio::test]
async fn body_size_is_that_before_compression_inside_and_that_after_it_outside() {
    for is_outside in [true, false] {
        let recorder = Recorder::new();
        let layer = recorder.layer().body_sizes(true);
        let compression = CompressionLayer::new();
        let app = if is_outside {
            routes().layer(compression).layer(layer)
        } else {
            routes().layer(layer).layer(compression)
        };
        let request = called("GET", "/large").header("accept-encoding", "gzip");
        let received = send(app, request).await;
        assert_eq!(
            received
                .headers
                .get("content-encoding")
                .expect("compressed"),
            "gzip"
        );
        let compressed = received.length.expect("a whole body");
        assert!(compressed < LARGE);
        let expected = if is_outside { compressed } else { LARGE };
        let size = only_of_caller(&recorder)
            .await
            .attribute("http.response.body.size");
        assert_eq!(size, Some(expected.to_string()), "outside: {is_outside}");
    }
}

#[tokio::test]
async fn inner_span_of_two_layers_is_a_child_of_the_outer_one() {
    for (rule, outer, inner, has_link) in [
        ("both trusting", (false, false), false, false),
        ("both public", (true, false), true, true),
        (
            "the outer one public, with rewritten headers",
            (true, true),
            false,
            false,
        ),
    ] {
        let recorder = Recorder::new();
        let (is_public, propagates) = outer;
        let app = routes()
            .layer(recorder.layer().public_endpoint(inner))
            .layer(
                recorder
                    .layer()
                    .public_endpoint(is_public)
                    .propagate_to_inner(propagates),
            );
        assert_eq!(send(app, called("GET", "/users/7")).await.status, 200);
        recorder.all_ended().await;
        let spans: Vec<_> = recorder.spans().into_iter().filter(is_server).collect();
        let [inner, outer] = &spans[..] else {
            panic!("{rule}: {} spans", spans.len());
        };
        assert_eq!(inner.parent_span_id, outer.span_context.span_id(), "{rule}");
        assert_eq!(
            inner.span_context.trace_id(),
            outer.span_context.trace_id(),
            "{rule}"
        );
        let is_in_trace = outer.span_context.trace_id().to_string() == TRACE;
        assert_eq!(is_in_trace, !is_public, "{rule}");
        let parent = if is_public {
            SpanId::INVALID.to_string()
        } else {
            CALLER.to_owned()
        };
        assert_eq!(outer.parent_span_id.to_string(), parent, "{rule}");
        let links = outer.links.iter().chain(inner.links.iter()).count();
        assert_eq!(links > 0, is_public, "{rule}");
        assert_eq!(inner.links.iter().count() > 0, has_link, "{rule}");
    }
}
