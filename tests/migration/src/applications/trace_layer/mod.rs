//! `docs/guide/coming_from_trace_layer.md`.

mod after;
mod before;

use axum::Router;
use tower_api_span::{AccessLog, ApiSpanLayer};
use tracing::Dispatch;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::client::Call;
use crate::comparison::{Measure, Rows, compare};
use crate::guide::Guide;
use crate::measures::log::{line_in_handler, line_in_stream, log, log_fields};
use crate::measures::{attributes, events, parent, span, status};
use crate::recording::{Telemetry, record};

const GUIDE: Guide = Guide {
    page: include_str!("../../../../../docs/guide/coming_from_trace_layer.md"),
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
                ("span", span),
                ("attributes", attributes),
                ("events", events),
                ("log", log),
                ("fields of the last line", log_fields),
                ("fields on a line of the handler", line_in_handler),
            ],
        },
        Rows {
            name: "the same, with `traceparent`",
            call: Call::get("/users/7").with_caller(),
            measures: &[("parent", parent)],
        },
        Rows {
            name: "`HEAD /users/7`",
            call: Call::head("/users/7"),
            measures: &[("log", log)],
        },
        Rows {
            name: "no such route: 404",
            call: Call::get("/none"),
            measures: &[("span", span), ("log", log)],
        },
        Rows {
            name: "the handler responds with 500",
            call: Call::get("/broken"),
            measures: &[("log", log)],
        },
        Rows {
            name: "a stream",
            call: Call::get("/stream"),
            measures: &[("fields on a line of the stream", line_in_stream)],
        },
        Rows {
            name: "the client disconnects midway",
            call: Call::get("/endless").disconnect_midway(),
            measures: &[("status", status), ("log", log)],
        },
        Rows {
            name: "the client disconnects before the head",
            call: Call::get("/slow").disconnect_before_head(),
            measures: &[("log", log)],
        },
        Rows {
            name: "the handler panics",
            call: Call::get("/panic").without_response(),
            measures: &[("log", log)],
        },
    ];
    GUIDE.assert_changes(&compare(before::application, after::application, &rows));
}

/// An application that only logs: no provider, no propagator, no tracer.
fn log_only(routes: Router, telemetry: Telemetry) -> (Option<Dispatch>, Router) {
    let subscriber = tracing_subscriber::registry().with(telemetry.log);
    let layer = ApiSpanLayer::new().access_log(AccessLog::new());
    let app = routes.layer(layer.tracing_span(true));
    (Some(Dispatch::new(subscriber)), app)
}

#[test]
fn without_a_provider_the_lines_have_no_ids_and_are_else_the_same() {
    let call = Call::get("/stream");
    let with = record(after::application, &call);
    let without = record(log_only, &call);
    for (measure, with_ids) in [
        (log as Measure, false),
        (log_fields, true),
        (line_in_stream, true),
    ] {
        let expected = measure(&with);
        assert_eq!(expected.contains("`span_id`, "), with_ids, "{expected}");
        let expected = expected
            .replace("`span_id`, ", "")
            .replace("`trace_id`, ", "");
        assert_eq!(measure(&without), expected.replace(", `trace_id`", ""));
    }
}
