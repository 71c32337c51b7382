//! `docs/guide/coming_from_opentelemetry_instrumentation_tower.md`.

mod after;
mod before;

use crate::client::Call;
use crate::comparison::{Rows, assert_unchanged, compare};
use crate::guide::Guide;
use crate::measures::metrics::{
    active, active_attributes, duration, duration_attributes, duration_error, metrics,
};
use crate::measures::{
    attributes, child_in_stream, end, events, parent, scheme, scope, span, status,
};

const GUIDE: Guide = Guide {
    page: include_str!(
        "../../../../../docs/guide/coming_from_opentelemetry_instrumentation_tower.md"
    ),
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
                ("`url.scheme`", scheme),
                ("events", events),
                ("attributes of the duration", duration_attributes),
            ],
        },
        Rows {
            name: "the handler responds with 500",
            call: Call::get("/broken"),
            measures: &[("status", status), ("duration", duration_error)],
        },
        Rows {
            name: "a stream",
            call: Call::get("/stream"),
            measures: &[
                ("the span ends", end),
                ("the duration lasts", duration),
                ("metrics", metrics),
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
            measures: &[
                ("duration", duration_error),
                ("active requests afterwards", active),
            ],
        },
    ];
    GUIDE.assert_changes(&compare(before::application, after::application, &rows));
}

#[test]
fn names_parents_and_metrics_stay() {
    let rows = [
        Rows {
            name: "a request",
            call: Call::get("/users/7").with_caller(),
            measures: &[
                ("span", span),
                ("parent", parent),
                ("metrics", metrics),
                ("attributes of active requests", active_attributes),
                ("active requests afterwards", active),
            ],
        },
        Rows {
            name: "HEAD",
            call: Call::head("/users/7"),
            measures: &[("span", span), ("status", status), ("metrics", metrics)],
        },
        Rows {
            name: "404",
            call: Call::get("/none"),
            measures: &[("span", span), ("metrics", metrics)],
        },
    ];
    assert_unchanged(before::application, after::application, &rows);
}
