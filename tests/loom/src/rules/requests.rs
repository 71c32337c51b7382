//! Whole requests: a handle in one thread, the response and its end in another.

use crate::SpanHandle;
use crate::standard::convert::Infallible;
use crate::standard::future::{Pending, pending};
use crate::standard::sync::Arc;

use http::Response;
use opentelemetry::KeyValue;

use crate::explore::{Moment, Rule, spawn};
use crate::served::{Step, Steps, answered, call, poll};
use crate::watched::Watched;

const AFTER_ALL: &[&str] = &["DEPARTED", "quota: used up"];
const AFTER_ERROR: &[&str] = &["exception: boom", "quota: used up"];

pub const RULES: &[Rule] = &[
    Rule {
        name: "a verdict and the end of a body: one of them decides",
        model: || verdict_and(&[Step::Data], End::Polled),
        comes_to: AFTER_ALL,
    },
    Rule {
        name: "a verdict and trailers: one of them decides",
        model: || verdict_and(&[Step::Trailers], End::Polled),
        comes_to: AFTER_ALL,
    },
    Rule {
        name: "a verdict and the stream's terminator: one of them decides",
        model: || verdict_and(&[Step::Terminator, Step::Data], End::Polled),
        comes_to: AFTER_ALL,
    },
    Rule {
        name: "a verdict and an error of the body: one of them decides",
        model: || verdict_and(&[Step::Error], End::Polled),
        comes_to: AFTER_ERROR,
    },
    Rule {
        name: "a verdict and an error event of the stream: the first of them decides",
        model: || verdict_and(&[Step::ErrorEvent], End::Polled),
        comes_to: &["generation_error: late", "quota: used up"],
    },
    Rule {
        name: "a verdict and a client who leaves midway: one of them decides",
        model: || verdict_and(&[Step::Data, Step::Data], End::DroppedMidway),
        comes_to: &["client_disconnect", "quota: used up"],
    },
    Rule {
        name: "a verdict and a body that nobody reads: one of them decides",
        model: || verdict_and(&[Step::Data], End::Dropped),
        comes_to: &["generator_exit", "quota: used up"],
    },
    Rule {
        name: "a verdict and a client who leaves before the head: one of them decides",
        model: verdict_before_the_head,
        comes_to: &["client_disconnect", "quota: used up"],
    },
    Rule {
        name: "of two verdicts the first decides",
        model: two_verdicts,
        comes_to: &["DEPARTED", "first: of the first", "second: of the second"],
    },
    Rule {
        name: "attributes that are set together are there together",
        model: attributes,
        comes_to: &["None", "Some(\"1\")", "Some(\"2\")"],
    },
    Rule {
        name: "of two who hand off, while the body ends, one event tells",
        model: handoffs,
        comes_to: &["0", "1"],
    },
    Rule {
        name: "events are in the order of their times, whoever adds them",
        model: events,
        comes_to: &["1 of 3", "2 of 3", "3 of 3"],
    },
];

/// How the response ends.
#[derive(Clone, Copy, PartialEq)]
enum End {
    /// It is polled to its end.
    Polled,
    Dropped,
    /// It is polled once, and dropped.
    DroppedMidway,
}

/// A verdict is given while a response ends. What was told before the end decides.
fn verdict_and(steps: &[Step], end: End) -> String {
    let watched = Watched::default();
    let (mut body, handle) = answered(&watched, steps);
    let ending = Arc::new(Moment::new());
    let verdict = verdict(handle, &ending);
    if end == End::DroppedMidway {
        assert!(poll(&mut body));
    }
    ending.is_now();
    while end == End::Polled && poll(&mut body) {}
    drop(body);
    let is_in_time = verdict.join().expect("the thread has run");
    let outcome = watched.outcome();
    assert!(!is_in_time || outcome == "quota: used up", "{outcome}");
    outcome
}

fn verdict_before_the_head() -> String {
    let watched = Watched::default();
    let never: Pending<Result<Response<Steps>, Infallible>> = pending();
    let (future, handle) = call(&watched, never);
    let ending = Arc::new(Moment::new());
    let verdict = verdict(handle, &ending);
    ending.is_now();
    drop(future);
    let is_in_time = verdict.join().expect("the thread has run");
    let outcome = watched.outcome();
    assert!(!is_in_time || outcome == "quota: used up", "{outcome}");
    outcome
}

/// A thread that gives a verdict, and says whether that was before the end had begun.
fn verdict(handle: SpanHandle, ending: &Arc<Moment>) -> loom::thread::JoinHandle<bool> {
    let ending = Arc::clone(ending);
    spawn(move || {
        handle.abort("quota", "used up");
        !ending.has_been()
    })
}

fn two_verdicts() -> String {
    let watched = Watched::default();
    let (mut body, handle) = answered(&watched, &[]);
    let first_is_given = Arc::new(Moment::new());
    let first = {
        let (handle, is_given) = (handle.clone(), Arc::clone(&first_is_given));
        spawn(move || {
            handle.abort("first", "of the first");
            is_given.is_now();
        })
    };
    let second = spawn(move || {
        let is_second = first_is_given.has_been();
        handle.abort("second", "of the second");
        is_second
    });
    assert!(!poll(&mut body));
    first.join().expect("the thread has run");
    let is_second = second.join().expect("the thread has run");
    let outcome = watched.outcome();
    assert!(!is_second || outcome != "second: of the second");
    outcome
}

fn attributes() -> String {
    let watched = Watched::default();
    let (mut body, handle) = answered(&watched, &[]);
    let tellers = [1, 2].map(|value| {
        let handle = handle.clone();
        spawn(move || {
            handle.set_attributes([
                KeyValue::new("test.one", value),
                KeyValue::new("test.other", value),
            ]);
        })
    });
    assert!(!poll(&mut body));
    for teller in tellers {
        teller.join().expect("the thread has run");
    }
    assert_eq!(watched.outcome(), "DEPARTED");
    let value = watched.attribute("test.one");
    assert_eq!(value, watched.attribute("test.other"));
    format!("{value:?}")
}

fn handoffs() -> String {
    let watched = Watched::default();
    let (mut body, handle) = answered(&watched, &[Step::Data]);
    let tellers = [handle.clone(), handle].map(|handle| spawn(move || handle.handoff_to_core()));
    while poll(&mut body) {}
    for teller in tellers {
        teller.join().expect("the thread has run");
    }
    assert_eq!(watched.outcome(), "DEPARTED");
    let events = watched.events();
    let handoffs = events
        .iter()
        .filter(|event| *event == "api.HANDOFF_TO_CORE");
    let handoffs = handoffs.count();
    assert!(handoffs <= 1, "{events:?}");
    handoffs.to_string()
}

fn events() -> String {
    let watched = Watched::default();
    let (mut body, handle) = answered(&watched, &[Step::Data]);
    let other = handle.clone();
    let tellers = [
        spawn(move || handle.handoff_to_core()),
        spawn(move || other.add_event("mine", Vec::new())),
    ];
    while poll(&mut body) {}
    for teller in tellers {
        teller.join().expect("the thread has run");
    }
    // It looks at their times.
    assert_eq!(watched.outcome(), "DEPARTED");
    let events = watched.events();
    let first = "api.FIRST_RESPONSE_FROM_CORE".to_owned();
    assert!(events.contains(&first), "{events:?}");
    format!("{} of 3", events.len() - 2)
}
