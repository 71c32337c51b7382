//! The handler's verdict on its response, and its precedence over the end of the response.

use opentelemetry::trace::{Status, TraceContextExt as _};
use tower::Service;
use tower_api_span::{ApiSpanLayer, SpanHandle};

use super::{record_span, serve};
use crate::support::body::ScriptedBody;
use crate::support::body::Step::{self, Data, Error, Panic};
use crate::support::recorder::{Recorder, Seen};
use crate::support::{answering, get, handle_of, panic_of, poll_frame, ready, response};

/// Returns the span of a response that is polled `polls` times and then dropped.
fn read_partly(
    layer: impl FnOnce(&Recorder) -> ApiSpanLayer,
    status: u16,
    steps: &[Step],
    polls: usize,
    mut record: impl FnMut(SpanHandle),
) -> Seen {
    let at = Recorder::new();
    let mut service = answering(&layer(&at), |request| {
        record(handle_of(&request));
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
fn first_of_several_verdicts_is_kept() {
    let span = record_span(|handle| {
        handle.mark_aborted("quota", "first");
        handle.mark_aborted("generation_error", "second");
        handle.clone().mark_aborted("validation_error", "");
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
fn verdict_takes_precedence_over_the_end_of_the_response() {
    for (end, status, steps, polls) in [
        ("complete", 200, &[Data(3)][..], 2),
        ("500", 500, &[Data(3)], 2),
        ("404", 404, &[Data(3)], 2),
        ("body error", 200, &[Data(3), Error], 2),
        ("dropped midway", 200, &[Data(3)], 1),
        ("dropped unread", 200, &[Data(3)], 0),
    ] {
        let span = read_partly(Recorder::layer, status, steps, polls, |handle| {
            handle.mark_aborted("generation_error", "out of memory");
        });
        assert_eq!(span.outcome(), "ABORTED(generation_error)", "{end}");
        assert_eq!(span.error().as_deref(), Some("out of memory"), "{end}");
        assert!(span.is_error(), "{end}");
        let code = span.attribute("http.response.status_code");
        assert_eq!(code, Some(status.to_string()), "{end}");
    }
}

#[test]
fn panic_takes_precedence_over_a_verdict() {
    let at = Recorder::new();
    let mut service = answering(&at.layer(), |request| {
        handle_of(&request).mark_aborted("quota", "used up");
        response(200, ScriptedBody::new([Panic]))
    });
    let mut body = ready(service.call(get())).expect("a response").into_body();
    assert_eq!(panic_of(|| poll_frame(&mut body)), "the body panics");
    assert_eq!(at.only().outcome(), "ABORTED(panic)");
    assert_eq!(at.only().error(), None);
}

#[test]
fn verdict_with_a_client_error_reason_is_not_an_error() {
    for (reason, error_type) in [
        ("validation_error", None),
        ("client_error", None),
        ("quota", Some("quota")),
        ("generation_error", Some("generation_error")),
        ("", Some("exception")),
    ] {
        let span = record_span(|handle| handle.mark_aborted(reason, "message"));
        assert_eq!(
            span.attribute("error.type").as_deref(),
            error_type,
            "{reason}"
        );
        let status = error_type.map_or(Status::Unset, |_| Status::error("message"));
        assert_eq!(*span.status(), status, "{reason}");
        assert_eq!(span.error().as_deref(), Some("message"), "{reason}");
    }
}

#[test]
fn verdict_message_is_truncated_or_omitted_when_empty() {
    for (message, kept) in [
        (String::new(), None),
        ("short".to_owned(), Some(5)),
        ("x".repeat(1024), Some(1024)),
        ("x".repeat(1025), Some(1024)),
        // Truncated between characters.
        ("ä".repeat(600), Some(1024)),
        (format!("x{}", "ä".repeat(600)), Some(1023)),
    ] {
        let span = record_span(|handle| handle.mark_aborted("quota", &message));
        let error = span.error();
        assert_eq!(error.as_ref().map(String::len), kept);
        assert!(error.is_none_or(|error| message.starts_with(&error)));
    }
}

/// How a response can be dropped before its end: name, polls before the drop, outcome.
const DROPPED: [(&str, usize, &str); 2] = [
    ("midway", 1, "ABORTED(client_disconnect)"),
    ("unread", 0, "ABORTED(generator_exit)"),
];

#[test]
fn allowed_disconnect_is_not_an_error() {
    let not_an_error = |at: &Recorder| at.layer().disconnect_is_error(false);
    for (dropped, polls, outcome) in DROPPED {
        for (case, span, is_error) in [
            (
                "by neither",
                read_partly(Recorder::layer, 200, &[Data(3)], polls, |_| {}),
                true,
            ),
            (
                "by the handler",
                read_partly(Recorder::layer, 200, &[Data(3)], polls, |handle| {
                    handle.allow_disconnect();
                }),
                false,
            ),
            (
                "by the layer",
                read_partly(not_an_error, 200, &[Data(3)], polls, |_| {}),
                false,
            ),
            (
                "by both",
                read_partly(not_an_error, 200, &[Data(3)], polls, |handle| {
                    handle.allow_disconnect();
                }),
                false,
            ),
        ] {
            assert_eq!(span.outcome(), outcome, "{case}, {dropped}");
            assert_eq!(span.is_error(), is_error, "{case}, {dropped}");
            assert_eq!(
                span.attribute("error.type").is_some(),
                is_error,
                "{case}, {dropped}"
            );
        }
    }
}

#[test]
fn other_failures_are_errors_where_a_disconnect_is_allowed() {
    for (end, status, steps, outcome) in [
        ("complete", 200, &[Data(3)][..], "DEPARTED"),
        ("500", 500, &[Data(3)], "ABORTED(exception)"),
        ("body error", 200, &[Error], "ABORTED(exception)"),
    ] {
        let span = read_partly(Recorder::layer, status, steps, 2, |handle| {
            handle.allow_disconnect();
        });
        assert_eq!(span.outcome(), outcome, "{end}");
        assert_eq!(span.is_error(), outcome != "DEPARTED", "{end}");
    }
}

#[test]
fn custom_classification_receives_the_verdict() {
    let at = Recorder::new();
    let layer = at.layer().classify(|completion| {
        let verdict = completion.verdict();
        assert_eq!(verdict.map(|verdict| verdict.reason), Some("quota"));
        tower_api_span::Outcome::Departed
    });
    serve(&layer, get(), 500, |handle| {
        handle.mark_aborted("quota", "used up");
    });
    assert_eq!(at.only().outcome(), "DEPARTED");
}

#[test]
fn error_status_set_through_the_context_is_a_verdict() {
    let span = record_span(|handle| {
        let status = Status::error("it broke");
        handle.context().span().set_status(status);
    });
    assert_eq!(span.outcome(), "ABORTED(exception)");
    assert_eq!(span.error().as_deref(), Some("it broke"));
    assert_eq!(span.attribute("error.type").as_deref(), Some("exception"));
    assert!(span.is_error());
}

#[test]
fn ok_status_set_through_the_context_is_ignored() {
    let span = record_span(|handle| {
        let context = handle.context();
        context.span().set_status(Status::Ok);
    });
    assert_eq!(span.outcome(), "DEPARTED");
    assert_eq!(*span.status(), Status::Unset);
}

#[test]
fn abort_takes_precedence_over_an_earlier_error_status() {
    let span = record_span(|handle| {
        let context = handle.context();
        context.span().set_status(Status::error("from a library"));
        handle.mark_aborted("generation_error", "from the handler");
    });
    assert_eq!(span.outcome(), "ABORTED(generation_error)");
    assert_eq!(span.error().as_deref(), Some("from the handler"));
}

#[test]
fn abort_reason_client_disconnect_is_an_error_where_a_disconnect_is_allowed() {
    let at = Recorder::new();
    let mut service = answering(&at.layer().disconnect_is_error(false), |request| {
        let handle = handle_of(&request);
        handle.allow_disconnect();
        handle.mark_aborted("client_disconnect", "the upstream disconnected");
        response(200, ScriptedBody::full(0))
    });
    drop(ready(service.call(get())));
    let span = at.only();
    assert_eq!(span.outcome(), "ABORTED(client_disconnect)");
    assert_eq!(
        span.attribute("error.type").as_deref(),
        Some("client_disconnect")
    );
}
