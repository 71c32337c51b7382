//! `docs/guide/coming_from_tower_otel.md`.

mod after;
mod before;

use crate::client::Call;
use crate::comparison::{Rows, assert_unchanged, compare};
use crate::guide::Guide;
use crate::measures::log::{line_in_handler, line_in_stream};
use crate::measures::metrics::{active, active_attributes, duration, duration_attributes};
use crate::measures::{
    attributes, authorization, child_in_stream, end, events, parent, scope, server_port, span,
    status, trace_headers,
};

const GUIDE: Guide = Guide {
    page: include_str!("../../../../../docs/guide/coming_from_tower_otel.md"),
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
                ("`server.port`", server_port),
                ("`authorization`", authorization),
                ("events", events),
                ("fields on a line of the handler", line_in_handler),
                ("attributes of the duration", duration_attributes),
                ("attributes of active requests", active_attributes),
            ],
        },
        Rows {
            name: "`HEAD /users/7`",
            call: Call::head("/users/7"),
            measures: &[("status", status)],
        },
        Rows {
            name: "a stream",
            call: Call::get("/stream"),
            measures: &[
                ("the span ends", end),
                ("the duration lasts", duration),
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

#[test]
fn names_parents_and_active_requests_stay() {
    let rows = [
        Rows {
            name: "a request",
            call: Call::get("/users/7").with_caller(),
            measures: &[
                ("span", span),
                ("parent", parent),
                ("headers of the response", trace_headers),
                ("active requests afterwards", active),
            ],
        },
        Rows {
            name: "404",
            call: Call::get("/none"),
            measures: &[("span", span)],
        },
        Rows {
            name: "a disconnect",
            call: Call::get("/slow").disconnect_before_head(),
            measures: &[("active requests afterwards", active)],
        },
    ];
    assert_unchanged(before::application, after::application, &rows);
}
