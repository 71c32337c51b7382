//! What the handler says of its response outweighs what it looks like.

use opentelemetry::trace::{Status, TraceContextExt as _};
use tower::Service;
use tower_api_span::{ApiSpanLayer, SpanHandle};

use super::{said, serve};
use crate::support::body::ScriptedBody;
use crate::support::body::Step::{self, Data, Error, Panic};
use crate::support::recorder::{Recorder, Seen};
use crate::support::{answering, get, handle_of, panic_of, poll_frame, ready, response};

/// The span of a response of which one frame is read at most.
fn read_in_part(
    layer: impl FnOnce(&Recorder) -> ApiSpanLayer,
    status: u16,
    steps: &[Step],
    polls: usize,
    mut say: impl FnMut(SpanHandle),
) -> Seen {
    let at = Recorder::new();
    let mut service = answering(&layer(&at), |request| {
        say(handle_of(&request));
        response(status, ScriptedBody::new(steps.to_vec()))
    });
    let mut body = ready(service.call(get())).expect("a response").into_body();
    for _ in 0..polls {
        let _ = poll_frame(&mut body);
    }
    drop(body);
    at.only()
}

#[test]
fn two_verdicts_and_the_first_one_stands() {
    let span = said(|handle| {
        handle.abort("quota", "first");
        handle.abort("generation_error", "second");
        handle.clone().abort("validation_error", "");
    });
    assert_eq!(span.outcome(), "ABORTED(quota)");
    assert_eq!(span.error().as_deref(), Some("first"));
    assert_eq!(span.attribute("error.type").as_deref(), Some("quota"));
    assert_eq!(*span.status(), Status::error("first"));
    assert_eq!(
        span.attribute("http.response.status_code").as_deref(),
        Some("200")
    );
}

#[test]
fn a_verdict_outweighs_how_the_response_ends() {
    for (end, status, steps, polls) in [
        ("complete", 200, &[Data(3)][..], 2),
        ("500", 500, &[Data(3)], 2),
        ("404", 404, &[Data(3)], 2),
        ("body error", 200, &[Data(3), Error], 2),
        ("dropped midway", 200, &[Data(3)], 1),
        ("dropped unread", 200, &[Data(3)], 0),
    ] {
        let span = read_in_part(Recorder::layer, status, steps, polls, |handle| {
            handle.abort("generation_error", "out of memory");
        });
        assert_eq!(span.outcome(), "ABORTED(generation_error)", "{end}");
        assert_eq!(span.error().as_deref(), Some("out of memory"), "{end}");
        assert!(span.is_error(), "{end}");
        let code = span.attribute("http.response.status_code");
        assert_eq!(code, Some(status.to_string()), "{end}");
    }
}

#[test]
fn a_panic_outweighs_a_verdict() {
    let at = Recorder::new();
    let mut service = answering(&at.layer(), |request| {
        handle_of(&request).abort("quota", "used up");
        response(200, ScriptedBody::new([Panic]))
    });
    let mut body = ready(service.call(get())).expect("a response").into_body();
    assert_eq!(panic_of(|| poll_frame(&mut body)), "the body panics");
    assert_eq!(at.only().outcome(), "ABORTED(panic)");
    assert_eq!(at.only().error(), None);
}

#[test]
fn a_verdict_that_blames_the_caller_is_no_error() {
    for (reason, error_type) in [
        ("validation_error", None),
        ("client_error", None),
        ("quota", Some("quota")),
        ("generation_error", Some("generation_error")),
        ("", Some("exception")),
    ] {
        let span = said(|handle| handle.abort(reason, "why"));
        assert_eq!(
            span.attribute("error.type").as_deref(),
            error_type,
            "{reason}"
        );
        let status = error_type.map_or(Status::Unset, |_| Status::error("why"));
        assert_eq!(*span.status(), status, "{reason}");
        assert_eq!(span.error().as_deref(), Some("why"), "{reason}");
    }
}

#[test]
fn a_message_is_cut_and_an_empty_one_is_none() {
    for (message, kept) in [
        (String::new(), None),
        ("short".to_owned(), Some(5)),
        ("x".repeat(1024), Some(1024)),
        ("x".repeat(1025), Some(1024)),
        // Cut between characters.
        ("ä".repeat(600), Some(1024)),
        (format!("x{}", "ä".repeat(600)), Some(1023)),
    ] {
        let span = said(|handle| handle.abort("quota", &message));
        let error = span.error();
        assert_eq!(error.as_ref().map(String::len), kept);
        assert!(error.is_none_or(|error| message.starts_with(&error)));
    }
}

/// How a response can be given up.
const GIVEN_UP: [(&str, usize, &str); 2] = [
    ("midway", 1, "ABORTED(client_disconnect)"),
    ("unread", 0, "ABORTED(generator_exit)"),
];

#[test]
fn a_disconnect_is_allowed_and_is_no_error() {
    let not_an_error = |at: &Recorder| at.layer().disconnect_is_error(false);
    for (given_up, polls, outcome) in GIVEN_UP {
        for (case, span, is_error) in [
            (
                "by nobody",
                read_in_part(Recorder::layer, 200, &[Data(3)], polls, |_| {}),
                true,
            ),
            (
                "by the handler",
                read_in_part(Recorder::layer, 200, &[Data(3)], polls, |handle| {
                    handle.allow_disconnect();
                }),
                false,
            ),
            (
                "by the layer",
                read_in_part(not_an_error, 200, &[Data(3)], polls, |_| {}),
                false,
            ),
            (
                "by both",
                read_in_part(not_an_error, 200, &[Data(3)], polls, |handle| {
                    handle.allow_disconnect();
                }),
                false,
            ),
        ] {
            assert_eq!(span.outcome(), outcome, "{case}, {given_up}");
            assert_eq!(span.is_error(), is_error, "{case}, {given_up}");
            assert_eq!(
                span.attribute("error.type").is_some(),
                is_error,
                "{case}, {given_up}"
            );
        }
    }
}

#[test]
fn a_disconnect_is_allowed_and_what_else_goes_wrong_is_an_error() {
    for (end, status, steps, outcome) in [
        ("complete", 200, &[Data(3)][..], "DEPARTED"),
        ("500", 500, &[Data(3)], "ABORTED(exception)"),
        ("body error", 200, &[Error], "ABORTED(exception)"),
    ] {
        let span = read_in_part(Recorder::layer, status, steps, 2, |handle| {
            handle.allow_disconnect();
        });
        assert_eq!(span.outcome(), outcome, "{end}");
        assert_eq!(span.is_error(), outcome != "DEPARTED", "{end}");
    }
}

#[test]
fn a_verdict_is_weighed_by_who_replaces_the_classification() {
    let at = Recorder::new();
    let layer = at.layer().classify(|_, _, verdict| {
        assert_eq!(verdict.map(|verdict| verdict.reason), Some("quota"));
        tower_api_span::Outcome::Departed
    });
    serve(&layer, get(), 500, |handle| {
        handle.abort("quota", "used up");
    });
    assert_eq!(at.only().outcome(), "DEPARTED");
}

#[test]
fn an_error_status_is_set_by_the_context_and_is_a_verdict() {
    let span = said(|handle| {
        let status = Status::error("it broke");
        handle.context().span().set_status(status);
    });
    assert_eq!(span.outcome(), "ABORTED(exception)");
    assert_eq!(span.error().as_deref(), Some("it broke"));
    assert_eq!(span.attribute("error.type").as_deref(), Some("exception"));
    assert!(span.is_error());
}

#[test]
fn an_ok_status_is_set_by_the_context_and_is_nothing() {
    let span = said(|handle| {
        let context = handle.context();
        context.span().set_status(Status::Ok);
    });
    assert_eq!(span.outcome(), "DEPARTED");
    assert_eq!(*span.status(), Status::Unset);
}

#[test]
fn an_error_status_comes_first_and_the_handlers_own_verdict_stands() {
    let span = said(|handle| {
        let context = handle.context();
        context.span().set_status(Status::error("a library's"));
        handle.abort("generation_error", "the handler's");
    });
    assert_eq!(span.outcome(), "ABORTED(generation_error)");
    assert_eq!(span.error().as_deref(), Some("the handler's"));
}
