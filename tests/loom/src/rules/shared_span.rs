//! Tests the shared span: one thread records while another closes or ends it.

use opentelemetry::KeyValue;
use opentelemetry::trace::{Span as _, Status};

use crate::explore::{Milestone, Rule, spawn};
use crate::recording::buffer::SpanBuffer;
use crate::recording::clock::Clock;
use crate::recording::context_span::ContextSpan;
use crate::recording::shared_span::SharedSpan;
use crate::recording_tracer::RecordingTracer;
use crate::standard::sync::Arc;
use crate::standard::time::SystemTime;

pub const RULES: &[Rule] = &[
    Rule {
        name: "one of two threads ends a span and writes to it, and the other does neither",
        model: || two_ends(true),
        outcomes: &["the first", "the second"],
    },
    Rule {
        name: "one of two threads ends a span that does not record, and neither writes to it",
        model: || two_ends(false),
        outcomes: &["neither"],
    },
    Rule {
        name: "one of two threads that close a span takes the buffer",
        model: two_closes,
        outcomes: &["the first", "the second"],
    },
    Rule {
        name: "what a thread records while another ends the span is in the buffer, late, or not accepted",
        model: record_and_end,
        outcomes: &["in the buffer", "late", "not accepted"],
    },
    Rule {
        name: "the first of two Error statuses counts, and is complete",
        model: two_statuses,
        outcomes: &["none", "of the first", "of the second"],
    },
    Rule {
        name: "a span records until its end, and not after it",
        model: is_recording,
        outcomes: &["not recording", "recording"],
    },
    Rule {
        name: "ending the span of a context does not end the shared span, which still records",
        model: end_of_context_span,
        outcomes: &["recorded", "too late"],
    },
    Rule {
        name: "the bytes of a request's body are those that were read at some time",
        model: request_bytes,
        outcomes: &["None", "Some(0)", "Some(3)", "Some(7)"],
    },
    Rule {
        name: "the copy of a request's body that is read furthest counts",
        model: request_bytes_of_two_copies,
        outcomes: &["the longer"],
    },
];

fn shared_span(tracer: &RecordingTracer) -> Arc<SharedSpan> {
    make_shared_span(tracer, true)
}

fn make_shared_span(tracer: &RecordingTracer, is_recording: bool) -> Arc<SharedSpan> {
    let mut span = SharedSpan::empty(false, Clock::start());
    span.set(tracer.make_span(is_recording));
    Arc::new(span)
}

fn two_ends(is_recording: bool) -> String {
    let tracer = RecordingTracer::default();
    let span = make_shared_span(&tracer, is_recording);
    span.record(|buffer| buffer.route = Some("/".to_owned()));
    let threads = ["the first", "the second"].map(|name| {
        let span = Arc::clone(&span);
        spawn(move || {
            let mut writer = None;
            span.end(SystemTime::now(), &mut |_, late| {
                writer = Some((name, late))
            });
            writer
        })
    });
    let writers = threads.map(|thread| thread.join().expect("the thread does not panic"));
    assert_eq!(tracer.count_ends(), 1);
    let mut writers = writers.into_iter().flatten();
    let writer = writers.next();
    assert_eq!(writer.is_some(), is_recording);
    assert!(writers.next().is_none());
    let Some((name, late)) = writer else {
        return "neither".to_owned();
    };
    assert!(late.is_some(), "what was recorded is lost");
    name.to_owned()
}

fn two_closes() -> String {
    let span = shared_span(&RecordingTracer::default());
    span.record(|buffer| buffer.route = Some("/".to_owned()));
    let threads = ["the first", "the second"].map(|name| {
        let span = Arc::clone(&span);
        spawn(move || span.close()?.route.map(|_| name))
    });
    let takers = threads.map(|thread| thread.join().expect("the thread does not panic"));
    let mut takers = takers.into_iter().flatten();
    let taker = takers.next().expect("one thread takes the buffer");
    assert_eq!(takers.next(), None);
    taker.to_owned()
}

/// Where a record is. The places of records that follow each other do not fall.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
enum Place {
    InBuffer,
    Late,
    NotAccepted,
}

/// One record of a thread, while another ends the span.
struct Record {
    key: &'static str,
    /// The buffer was passed to the recording closure.
    is_accepted: bool,
    /// The record was made before `close` began.
    is_before_close: bool,
    /// The record began after `end` had returned.
    is_after_end: bool,
}

fn record_and_end() -> String {
    let span = shared_span(&RecordingTracer::default());
    let (closing, ended) = (Arc::new(Milestone::new()), Arc::new(Milestone::new()));
    let recorder = {
        let (span, closing, ended) = (Arc::clone(&span), Arc::clone(&closing), Arc::clone(&ended));
        spawn(move || {
            ["one", "two", "three"].map(|key| {
                let is_after_end = ended.is_reached();
                let mut is_accepted = false;
                span.record(|buffer| {
                    is_accepted = true;
                    buffer.set_attribute(KeyValue::new(key, 1));
                });
                Record {
                    key,
                    is_accepted,
                    is_before_close: !closing.is_reached(),
                    is_after_end,
                }
            })
        })
    };
    closing.reach();
    let in_time = span.close();
    let mut late = None;
    span.end(SystemTime::now(), &mut |_, buffer| late = Some(buffer));
    ended.reach();
    let records = recorder.join().expect("the thread does not panic");
    let in_time = in_time.unwrap_or_default();
    let late = late.expect("the span was ended").unwrap_or_default();
    let places = records.map(|record| {
        let place = find_place(record.key, &in_time, &late);
        let is_accepted = place != Place::NotAccepted;
        assert_eq!(is_accepted, record.is_accepted, "{} is lost", record.key);
        assert!(!record.is_before_close || place == Place::InBuffer);
        assert!(!record.is_after_end || place == Place::NotAccepted);
        place
    });
    assert!(places.is_sorted(), "{places:?}");
    match places[1] {
        Place::InBuffer => "in the buffer",
        Place::Late => "late",
        Place::NotAccepted => "not accepted",
    }
    .to_owned()
}

fn find_place(key: &str, in_time: &SpanBuffer, late: &SpanBuffer) -> Place {
    let has_key = |buffer: &SpanBuffer| buffer.attributes.get(key).is_some();
    match (has_key(in_time), has_key(late)) {
        (true, false) => Place::InBuffer,
        (false, true) => Place::Late,
        (false, false) => Place::NotAccepted,
        (true, true) => panic!("{key} is in both buffers"),
    }
}

fn two_statuses() -> String {
    let span = shared_span(&RecordingTracer::default());
    let (closing, first_is_set) = (Arc::new(Milestone::new()), Arc::new(Milestone::new()));
    let first = {
        let (span, closing) = (Arc::clone(&span), Arc::clone(&closing));
        let first_is_set = Arc::clone(&first_is_set);
        spawn(move || {
            ContextSpan::new(span).set_status(Status::error("of the first"));
            first_is_set.reach();
            !closing.is_reached()
        })
    };
    let second = {
        let span = Arc::clone(&span);
        spawn(move || {
            let is_second = first_is_set.is_reached();
            ContextSpan::new(span).set_status(Status::error("of the second"));
            is_second
        })
    };
    closing.reach();
    let buffer = span.close();
    let is_in_time = first.join().expect("the thread does not panic");
    let is_second = second.join().expect("the thread does not panic");
    let Some(verdict) = buffer.and_then(|buffer| buffer.status_error) else {
        assert!(!is_in_time);
        return "none".to_owned();
    };
    let message = verdict.message.expect("the verdict has a message");
    assert_eq!(verdict.reason, "exception");
    assert!(!(is_in_time && is_second) || message == "of the first");
    message
}

fn is_recording() -> String {
    let span = shared_span(&RecordingTracer::default());
    let (ending, ended) = (Arc::new(Milestone::new()), Arc::new(Milestone::new()));
    let reader = {
        let (span, ending, ended) = (Arc::clone(&span), Arc::clone(&ending), Arc::clone(&ended));
        spawn(move || {
            let is_after = ended.is_reached();
            let is_recording = ContextSpan::new(span).is_recording();
            assert!(!is_after || !is_recording);
            assert!(is_recording || ending.is_reached());
            is_recording
        })
    };
    let _buffer = span.close();
    ending.reach();
    span.end(SystemTime::now(), &mut |_, _| {});
    ended.reach();
    let is_recording = reader.join().expect("the thread does not panic");
    let outcome = if is_recording {
        "recording"
    } else {
        "not recording"
    };
    outcome.to_owned()
}

fn end_of_context_span() -> String {
    let tracer = RecordingTracer::default();
    let span = shared_span(&tracer);
    let ending = Arc::new(Milestone::new());
    let recorder = {
        let (span, ending) = (Arc::clone(&span), Arc::clone(&ending));
        spawn(move || {
            let mut span = ContextSpan::new(span);
            span.end();
            span.set_attribute(KeyValue::new("recorded", "then"));
            !ending.is_reached()
        })
    };
    ending.reach();
    let mut buffer = span.close();
    span.end(SystemTime::now(), &mut |_, late| {
        buffer = SpanBuffer::merge(buffer.take(), late, SystemTime::now());
    });
    let is_in_time = recorder.join().expect("the thread does not panic");
    assert_eq!(tracer.count_ends(), 1);
    let is_recorded = buffer.is_some_and(|buffer| buffer.attributes.get("recorded").is_some());
    assert!(!is_in_time || is_recorded);
    if is_recorded { "recorded" } else { "too late" }.to_owned()
}

fn request_bytes() -> String {
    let span = shared_span(&RecordingTracer::default());
    let reading = Arc::new(Milestone::new());
    let counter = {
        let (span, reading) = (Arc::clone(&span), Arc::clone(&reading));
        spawn(move || {
            for bytes in [0, 3, 7] {
                span.record_request_bytes(bytes);
            }
            !reading.is_reached()
        })
    };
    reading.reach();
    let bytes = span.request_bytes();
    let has_all = counter.join().expect("the thread does not panic");
    assert!(!has_all || bytes == Some(7), "{bytes:?}");
    format!("{bytes:?}")
}

fn request_bytes_of_two_copies() -> String {
    let span = shared_span(&RecordingTracer::default());
    let threads = [3, 4].map(|bytes| {
        let span = Arc::clone(&span);
        spawn(move || span.record_request_bytes(bytes))
    });
    for thread in threads {
        thread.join().expect("the thread does not panic");
    }
    assert_eq!(span.request_bytes(), Some(4));
    "the longer".to_owned()
}
