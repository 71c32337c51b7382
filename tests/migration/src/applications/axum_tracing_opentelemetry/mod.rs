//! `docs/guide/coming_from_axum_tracing_opentelemetry.md`.

mod after;
mod before;

use axum::Router;
use opentelemetry::global;
use opentelemetry::trace::TracerProvider as _;
use tower_api_span::ApiSpanLayer;
use tracing::Dispatch;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::client::Call;
use crate::comparison::{Rows, assert_unchanged, compare};
use crate::guide::Guide;
use crate::measures::log::{line_in_handler, line_in_stream};
use crate::measures::{
    attributes, child_in_stream, end, events, parent, route, scope, span, status, trace_headers,
};
use crate::recording::{Telemetry, record};

const GUIDE: Guide = Guide {
    page: include_str!("../../../../../docs/guide/coming_from_axum_tracing_opentelemetry.md"),
    before: include_str!("before.rs"),
    after: include_str!("after.rs"),
};

#[test]
fn the_code_is_the_applications() {
    GUIDE.assert_code();
    GUIDE.assert_dependencies();
}

#[test]
fn the_changes_are_as_measured() {
    let rows = [
        Rows {
            name: "`GET /users/7`",
            call: Call::get("/users/7"),
            measures: &[
                ("instrumentation scope", scope),
                ("attributes", attributes),
                ("events", events),
                ("headers of the response", trace_headers),
                ("fields on a line of the handler", line_in_handler),
            ],
        },
        Rows {
            name: "no such route: 404",
            call: Call::get("/none"),
            measures: &[("`http.route`", route), ("status", status)],
        },
        Rows {
            name: "a stream",
            call: Call::get("/stream"),
            measures: &[
                ("the span ends", end),
                ("fields on a line of the stream", line_in_stream),
                ("parent of a span made in it", child_in_stream),
            ],
        },
        Rows {
            name: "the client disconnects midway",
            call: Call::get("/endless").disconnect_midway(),
            measures: &[("status", status)],
        },
        Rows {
            name: "the client disconnects before the head",
            call: Call::get("/slow").disconnect_before_head(),
            measures: &[("status", status)],
        },
    ];
    GUIDE.assert_changes(&compare(before::application, after::application, &rows));
}

/// An application whose subscriber is made elsewhere: no `RequestTracer`, no `tracing_span`.
fn plain(routes: Router, telemetry: Telemetry) -> (Option<Dispatch>, Router) {
    let tracer = telemetry.provider.tracer("app");
    let subscriber = tracing_subscriber::registry()
        .with(telemetry.log)
        .with(tracing_opentelemetry::layer().with_tracer(tracer));
    global::set_tracer_provider(telemetry.provider);
    (
        Some(Dispatch::new(subscriber)),
        routes.layer(ApiSpanLayer::new()),
    )
}

#[test]
fn without_the_wrapper_spans_are_children_all_the_same() {
    let recording = record(plain, &Call::get("/stream"));
    assert_eq!(span(&recording), "`GET /stream`, SERVER");
    assert_eq!(child_in_stream(&recording), "the request's span");
}

/// The same, with a log that is turned off.
fn quiet(routes: Router, telemetry: Telemetry) -> (Option<Dispatch>, Router) {
    let (subscriber, app) = plain(routes, telemetry);
    drop(subscriber);
    let off = tracing_subscriber::registry().with(LevelFilter::OFF);
    (Some(Dispatch::new(off)), app)
}

#[test]
fn the_span_does_not_depend_on_the_levels_of_tracing() {
    let recording = record(quiet, &Call::get("/users/7"));
    assert_eq!(span(&recording), "`GET /users/{id}`, SERVER");
}

#[test]
fn names_and_parents_stay() {
    let rows = [
        Rows {
            name: "a request",
            call: Call::get("/users/7").with_caller(),
            measures: &[("span", span), ("parent", parent)],
        },
        Rows {
            name: "HEAD",
            call: Call::head("/users/7"),
            measures: &[("span", span), ("status", status)],
        },
        Rows {
            name: "404",
            call: Call::get("/none"),
            measures: &[("span", span)],
        },
    ];
    assert_unchanged(before::application, after::application, &rows);
}
