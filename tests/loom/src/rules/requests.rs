//! Tests whole requests: one thread uses the handle, another serves the response to its end.

use crate::SpanHandle;
use crate::standard::convert::Infallible;
use crate::standard::future::{Pending, pending};
use crate::standard::sync::Arc;

use http::Response;
use opentelemetry::KeyValue;

use crate::explore::{Milestone, Rule, spawn};
use crate::recording_tracer::RecordingTracer;
use crate::service::{Step, TestBody, call_service, poll_frame, start_response};

const COMPLETE_OR_VERDICT: &[&str] = &["DEPARTED", "quota: used up"];
const ERROR_OR_VERDICT: &[&str] = &["exception: boom", "quota: used up"];

pub const RULES: &[Rule] = &[
    Rule {
        name: "a verdict or the end of the body decides the outcome",
        model: || verdict_and(&[Step::Data], BodyUse::PolledToEnd),
        outcomes: COMPLETE_OR_VERDICT,
    },
    Rule {
        name: "a verdict or the trailers decide the outcome",
        model: || verdict_and(&[Step::Trailers], BodyUse::PolledToEnd),
        outcomes: COMPLETE_OR_VERDICT,
    },
    Rule {
        name: "a verdict or the stream's terminator decides the outcome",
        model: || verdict_and(&[Step::Terminator, Step::Data], BodyUse::PolledToEnd),
        outcomes: COMPLETE_OR_VERDICT,
    },
    Rule {
        name: "a verdict or the body's error decides the outcome",
        model: || verdict_and(&[Step::Error], BodyUse::PolledToEnd),
        outcomes: ERROR_OR_VERDICT,
    },
    Rule {
        name: "a verdict or the stream's error event decides the outcome, the first of the two",
        model: || verdict_and(&[Step::ErrorEvent], BodyUse::PolledToEnd),
        outcomes: &["generation_error: late", "quota: used up"],
    },
    Rule {
        name: "a verdict or a client that disconnects midway decides the outcome",
        model: || verdict_and(&[Step::Data, Step::Data], BodyUse::DroppedMidway),
        outcomes: &["client_disconnect", "quota: used up"],
    },
    Rule {
        name: "a verdict or a body that is dropped unread decides the outcome",
        model: || verdict_and(&[Step::Data], BodyUse::DroppedUnread),
        outcomes: &["generator_exit", "quota: used up"],
    },
    Rule {
        name: "a verdict or a client that disconnects before the head decides the outcome",
        model: verdict_before_head,
        outcomes: &["client_disconnect", "quota: used up"],
    },
    Rule {
        name: "the first of two verdicts decides the outcome",
        model: two_verdicts,
        outcomes: &["DEPARTED", "first: of the first", "second: of the second"],
    },
    Rule {
        name: "attributes that are set together are written together",
        model: attributes,
        outcomes: &["None", "Some(\"1\")", "Some(\"2\")"],
    },
    Rule {
        name: "two handoffs while the body ends leave one event at most",
        model: handoffs,
        outcomes: &["0", "1"],
    },
    Rule {
        name: "events that two threads add are in the order of their times",
        model: events,
        outcomes: &["1 of 3", "2 of 3", "3 of 3"],
    },
];

/// What the server does with the body.
#[derive(Clone, Copy, PartialEq)]
enum BodyUse {
    PolledToEnd,
    DroppedUnread,
    /// The body is polled once and dropped.
    DroppedMidway,
}

/// Gives a verdict while a response ends. A verdict that was recorded before the end decides.
fn verdict_and(steps: &[Step], body_use: BodyUse) -> String {
    let tracer = RecordingTracer::default();
    let (mut body, handle) = start_response(&tracer, steps);
    let ending = Arc::new(Milestone::new());
    let verdict = spawn_verdict(handle, &ending);
    if body_use == BodyUse::DroppedMidway {
        assert!(poll_frame(&mut body));
    }
    ending.reach();
    while body_use == BodyUse::PolledToEnd && poll_frame(&mut body) {}
    drop(body);
    let is_in_time = verdict.join().expect("the thread does not panic");
    let outcome = tracer.outcome();
    assert!(!is_in_time || outcome == "quota: used up", "{outcome}");
    outcome
}

fn verdict_before_head() -> String {
    let tracer = RecordingTracer::default();
    let never: Pending<Result<Response<TestBody>, Infallible>> = pending();
    let (future, handle) = call_service(&tracer, never);
    let ending = Arc::new(Milestone::new());
    let verdict = spawn_verdict(handle, &ending);
    ending.reach();
    drop(future);
    let is_in_time = verdict.join().expect("the thread does not panic");
    let outcome = tracer.outcome();
    assert!(!is_in_time || outcome == "quota: used up", "{outcome}");
    outcome
}

/// Spawns a thread that gives a verdict. It returns whether the end had not begun by then.
fn spawn_verdict(handle: SpanHandle, ending: &Arc<Milestone>) -> loom::thread::JoinHandle<bool> {
    let ending = Arc::clone(ending);
    spawn(move || {
        handle.mark_aborted("quota", "used up");
        !ending.is_reached()
    })
}

fn two_verdicts() -> String {
    let tracer = RecordingTracer::default();
    let (mut body, handle) = start_response(&tracer, &[]);
    let first_is_given = Arc::new(Milestone::new());
    let first = {
        let (handle, is_given) = (handle.clone(), Arc::clone(&first_is_given));
        spawn(move || {
            handle.mark_aborted("first", "of the first");
            is_given.reach();
        })
    };
    let second = spawn(move || {
        let is_second = first_is_given.is_reached();
        handle.mark_aborted("second", "of the second");
        is_second
    });
    assert!(!poll_frame(&mut body));
    first.join().expect("the thread does not panic");
    let is_second = second.join().expect("the thread does not panic");
    let outcome = tracer.outcome();
    assert!(!is_second || outcome != "second: of the second");
    outcome
}

fn attributes() -> String {
    let tracer = RecordingTracer::default();
    let (mut body, handle) = start_response(&tracer, &[]);
    let threads = [1, 2].map(|value| {
        let handle = handle.clone();
        spawn(move || {
            handle.set_attributes([
                KeyValue::new("test.one", value),
                KeyValue::new("test.other", value),
            ]);
        })
    });
    assert!(!poll_frame(&mut body));
    for thread in threads {
        thread.join().expect("the thread does not panic");
    }
    assert_eq!(tracer.outcome(), "DEPARTED");
    let value = tracer.attribute("test.one");
    assert_eq!(value, tracer.attribute("test.other"));
    format!("{value:?}")
}

fn handoffs() -> String {
    let tracer = RecordingTracer::default();
    let (mut body, handle) = start_response(&tracer, &[Step::Data]);
    let threads = [handle.clone(), handle].map(|handle| spawn(move || handle.handoff_to_core()));
    while poll_frame(&mut body) {}
    for thread in threads {
        thread.join().expect("the thread does not panic");
    }
    assert_eq!(tracer.outcome(), "DEPARTED");
    let names = tracer.event_names();
    let handoffs = names.iter().filter(|name| *name == "api.HANDOFF_TO_CORE");
    let handoffs = handoffs.count();
    assert!(handoffs <= 1, "{names:?}");
    handoffs.to_string()
}

fn events() -> String {
    let tracer = RecordingTracer::default();
    let (mut body, handle) = start_response(&tracer, &[Step::Data]);
    let other = handle.clone();
    let threads = [
        spawn(move || handle.handoff_to_core()),
        spawn(move || other.add_event("mine", Vec::new())),
    ];
    while poll_frame(&mut body) {}
    for thread in threads {
        thread.join().expect("the thread does not panic");
    }
    // Checks the order of the times.
    assert_eq!(tracer.outcome(), "DEPARTED");
    let names = tracer.event_names();
    let first = "api.FIRST_RESPONSE_FROM_CORE".to_owned();
    assert!(names.contains(&first), "{names:?}");
    format!("{} of 3", names.len() - 2)
}
