//! The slot: told, closed and ended.

use opentelemetry::KeyValue;
use opentelemetry::trace::{Span as _, Status};

use crate::explore::{Moment, Rule, spawn};
use crate::recording::buffer::SpanBuffer;
use crate::recording::clock::Clock;
use crate::recording::shared_span::{Slot, SpanSlot, ThinSpan};
use crate::standard::sync::Arc;
use crate::standard::time::SystemTime;
use crate::watched::{Watched, own_context};

pub const RULES: &[Rule] = &[
    Rule {
        name: "of two who end a span one does, and the other writes nothing",
        model: || two_ends(true),
        comes_to: &["the first", "the second"],
    },
    Rule {
        name: "of two who end a span that does not record one does, and none writes anything",
        model: || two_ends(false),
        comes_to: &["nobody"],
    },
    Rule {
        name: "of two who close a slot one has what was told",
        model: two_closings,
        comes_to: &["the first", "the second"],
    },
    Rule {
        name: "what is told is in what was closed, or late, or was told after the end",
        model: told_and_ended,
        comes_to: &["at the end", "late", "too late"],
    },
    Rule {
        name: "of two verdicts the first counts, and is whole",
        model: two_verdicts,
        comes_to: &["none", "of the first", "of the second"],
    },
    Rule {
        name: "a span is said to record until its end, and not after it",
        model: recording,
        comes_to: &["it does", "it does not"],
    },
    Rule {
        name: "who ends the span of a context ends nothing, and is heard after it",
        model: ended_by_a_context,
        comes_to: &["heard", "too late"],
    },
    Rule {
        name: "of bytes of a body as many are counted as had passed at some time",
        model: counted_bytes,
        comes_to: &["None", "Some(0)", "Some(3)", "Some(7)"],
    },
    Rule {
        name: "of two copies of a request's body the one that was read furthest counts",
        model: counted_by_two,
        comes_to: &["the longer"],
    },
];

fn slot(watched: &Watched) -> Arc<dyn Slot> {
    slot_of(watched, true)
}

fn slot_of(watched: &Watched, is_recording: bool) -> Arc<dyn Slot> {
    let context = own_context(1);
    Arc::new(SpanSlot::new(
        watched.span(),
        context,
        is_recording,
        false,
        Clock::start(),
    ))
}

fn two_ends(is_recording: bool) -> String {
    let watched = Watched::default();
    let slot = slot_of(&watched, is_recording);
    let threads = ["the first", "the second"].map(|name| {
        let slot = Arc::clone(&slot);
        spawn(move || {
            let mut written = None;
            slot.end(SystemTime::now(), &mut |_, _| written = Some(name));
            written
        })
    });
    let written = threads.map(|thread| thread.join().expect("the thread has run"));
    assert_eq!(watched.ends(), 1);
    let mut written = written.into_iter().flatten();
    let who = written.next();
    assert_eq!(who.is_some(), is_recording);
    assert_eq!(written.next(), None);
    who.unwrap_or("nobody").to_owned()
}

fn two_closings() -> String {
    let slot = slot(&Watched::default());
    slot.tell(|told| told.route = Some("/".to_owned()));
    let threads = ["the first", "the second"].map(|name| {
        let slot = Arc::clone(&slot);
        spawn(move || slot.close()?.route.map(|_| name))
    });
    let closed = threads.map(|thread| thread.join().expect("the thread has run"));
    let mut closed = closed.into_iter().flatten();
    let who = closed.next().expect("somebody has it");
    assert_eq!(closed.next(), None);
    who.to_owned()
}

/// Where a thing is, of three that are told one after the other.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
enum Found {
    AtTheEnd,
    Late,
    TooLate,
}

fn told_and_ended() -> String {
    let slot = slot(&Watched::default());
    let (closing, ended) = (Arc::new(Moment::new()), Arc::new(Moment::new()));
    let teller = {
        let (slot, closing, ended) = (Arc::clone(&slot), Arc::clone(&closing), Arc::clone(&ended));
        spawn(move || {
            ["one", "two", "three"].map(|key| {
                let is_after = ended.has_been();
                slot.tell(|told| told.attribute(KeyValue::new(key, 1)));
                (is_after, !closing.has_been())
            })
        })
    };
    closing.is_now();
    let at_the_end = slot.close();
    let mut late = None;
    slot.end(SystemTime::now(), &mut |_, told| late = Some(told));
    ended.is_now();
    let told_when = teller.join().expect("the thread has run");
    let late = late.expect("it has ended");
    let at_the_end = at_the_end.unwrap_or_default();
    let late = late.unwrap_or_default();
    let found = ["one", "two", "three"].map(|key| {
        let has = |told: &SpanBuffer| told.attributes.value(key).is_some();
        match (has(&at_the_end), has(&late)) {
            (true, false) => Found::AtTheEnd,
            (false, true) => Found::Late,
            (false, false) => Found::TooLate,
            (true, true) => panic!("{key} is there twice"),
        }
    });
    for ((is_after, is_before), found) in told_when.into_iter().zip(found) {
        assert!(!is_before || found == Found::AtTheEnd, "{found:?}");
        assert!(!is_after || found == Found::TooLate, "{found:?}");
    }
    assert!(found.is_sorted(), "{found:?}");
    match found[1] {
        Found::AtTheEnd => "at the end",
        Found::Late => "late",
        Found::TooLate => "too late",
    }
    .to_owned()
}

fn two_verdicts() -> String {
    let slot = slot(&Watched::default());
    let (closing, first_is_told) = (Arc::new(Moment::new()), Arc::new(Moment::new()));
    let first = {
        let (slot, closing) = (Arc::clone(&slot), Arc::clone(&closing));
        let first_is_told = Arc::clone(&first_is_told);
        spawn(move || {
            ThinSpan(slot).set_status(Status::error("of the first"));
            first_is_told.is_now();
            !closing.has_been()
        })
    };
    let second = {
        let slot = Arc::clone(&slot);
        spawn(move || {
            let is_second = first_is_told.has_been();
            ThinSpan(slot).set_status(Status::error("of the second"));
            is_second
        })
    };
    closing.is_now();
    let told = slot.close();
    let is_in_time = first.join().expect("the thread has run");
    let is_second = second.join().expect("the thread has run");
    let Some(verdict) = told.and_then(|told| told.error) else {
        assert!(!is_in_time);
        return "none".to_owned();
    };
    let message = verdict.message.expect("a message");
    assert_eq!(verdict.reason, "exception");
    assert!(!(is_in_time && is_second) || message == "of the first");
    message
}

fn recording() -> String {
    let slot = slot(&Watched::default());
    let (ending, ended) = (Arc::new(Moment::new()), Arc::new(Moment::new()));
    let asks = {
        let (slot, ending, ended) = (Arc::clone(&slot), Arc::clone(&ending), Arc::clone(&ended));
        spawn(move || {
            let is_after = ended.has_been();
            let is_recording = ThinSpan(slot).is_recording();
            assert!(!is_after || !is_recording);
            assert!(is_recording || ending.has_been());
            is_recording
        })
    };
    let _told = slot.close();
    ending.is_now();
    slot.end(SystemTime::now(), &mut |_, _| {});
    ended.is_now();
    let is_recording = asks.join().expect("the thread has run");
    let said = if is_recording {
        "it does"
    } else {
        "it does not"
    };
    said.to_owned()
}

fn ended_by_a_context() -> String {
    let watched = Watched::default();
    let slot = slot(&watched);
    let ending = Arc::new(Moment::new());
    let teller = {
        let (slot, ending) = (Arc::clone(&slot), Arc::clone(&ending));
        spawn(move || {
            let mut span = ThinSpan(slot);
            span.end();
            span.set_attribute(KeyValue::new("told", "then"));
            !ending.has_been()
        })
    };
    ending.is_now();
    let mut told = slot.close();
    slot.end(SystemTime::now(), &mut |_, late| {
        told = SpanBuffer::with_late(told.take(), late, SystemTime::now());
    });
    let is_in_time = teller.join().expect("the thread has run");
    assert_eq!(watched.ends(), 1);
    let is_heard = told.is_some_and(|told| !told.attributes.is_empty());
    assert!(!is_in_time || is_heard);
    if is_heard { "heard" } else { "too late" }.to_owned()
}

fn counted_bytes() -> String {
    let slot = slot(&Watched::default());
    let read = Arc::new(Moment::new());
    let counts = {
        let (slot, read) = (Arc::clone(&slot), Arc::clone(&read));
        spawn(move || {
            for bytes in [0, 3, 7] {
                slot.count_request_bytes(bytes);
            }
            !read.has_been()
        })
    };
    read.is_now();
    let counted = slot.request_bytes();
    let are_all = counts.join().expect("the thread has run");
    assert!(!are_all || counted == Some(7), "{counted:?}");
    format!("{counted:?}")
}

fn counted_by_two() -> String {
    let slot = slot(&Watched::default());
    let threads = [3, 4].map(|bytes| {
        let slot = Arc::clone(&slot);
        spawn(move || slot.count_request_bytes(bytes))
    });
    for thread in threads {
        thread.join().expect("the thread has run");
    }
    assert_eq!(slot.request_bytes(), Some(4));
    "the longer".to_owned()
}
