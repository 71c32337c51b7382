//! What is said to a request.

use std::fmt;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::task::noop_waker_ref;
use http::HeaderMap;
use http_body::Body as _;
use opentelemetry::KeyValue;
use opentelemetry::trace::{
    SpanContext, SpanId, Status, TraceContextExt as _, TraceFlags, TraceId, TraceState,
};

use super::said::{Dice, Request, TOO_LATE, Thing, Verdicts};

/// The reasons of the speakers' verdicts.
pub const REASONS: [&str; super::SPEAKERS] = ["quota", "engine", "safety"];

/// Bytes in a frame of a request's body.
pub const FRAME: usize = 5;

/// Says something.
pub fn speak(request: &Request, speaker: usize, dice: &mut Dice) {
    let handle = &request.handle;
    let context = handle.context();
    let span = context.span();
    let gives_verdicts = match request.verdicts {
        Verdicts::Before | Verdicts::Racing => true,
        Verdicts::Nobody | Verdicts::After => false,
    };
    match dice.below(18) {
        0 | 1 => request.say(speaker, Thing::Pair, |n| {
            let key = |which| format!("test.{which}_{speaker}");
            handle.set_attributes([KeyValue::new(key("one"), n), KeyValue::new(key("other"), n)]);
        }),
        2 => request.say(speaker, Thing::Text, |n| {
            span.set_attribute(KeyValue::new(format!("test.text_{speaker}"), long(n)));
        }),
        3 | 4 => request.say(speaker, Thing::Event, |n| {
            handle.add_event("said", by(speaker, n));
        }),
        5 => request.say(speaker, Thing::EventByContext, |n| {
            span.add_event("by context", by(speaker, n));
        }),
        6 => request.say(speaker, Thing::Link, |n| {
            span.add_link(number(n), by(speaker, n));
        }),
        7 if gives_verdicts => request.say(speaker, Thing::Verdict, |n| {
            handle.abort(REASONS[speaker], verdict(speaker, n));
        }),
        8 if gives_verdicts => request.say(speaker, Thing::Status, |n| {
            span.set_status(Status::error(verdict(speaker, n)));
        }),
        9 if dice.below(4) == 0 => request.say(speaker, Thing::Leave, |_| {
            handle.allow_disconnect();
        }),
        10 => request.say(speaker, Thing::Handoff, |_| handle.handoff_to_core()),
        11 => request.say(speaker, Thing::Route, |n| {
            handle.set_route(&format!("/of/{speaker}/{n}"));
        }),
        12 if dice.below(4) == 0 => request.say(speaker, Thing::Name, |n| {
            span.update_name(if n == TOO_LATE { "nosy" } else { "its" });
        }),
        13 => request.say(speaker, Thing::Tokens, |n| {
            let tokens = u32::try_from(n).expect("a few");
            handle
                .gen_ai()
                .request_model("llama-4")
                .output_tokens(tokens);
        }),
        14 => request.say(speaker, Thing::Read, |_| read(request)),
        15 => end_and_fail(request),
        16 => inject(request),
        _ => request.ask(),
    }
}

/// What ends nothing, and says nothing. What it panics with is forgotten by the layer, and is nothing, so
/// that nothing leaks.
fn end_and_fail(request: &Request) {
    struct Fails;
    impl fmt::Display for Fails {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            resume_unwind(Box::new(()))
        }
    }
    let context = request.handle.context();
    context.span().end();
    context.span().set_status(Status::Ok);
    let attributes = (0..2).map(|n| match n {
        0 => KeyValue::new("test.half", true),
        _ => resume_unwind(Box::new(())),
    });
    request.handle.set_attributes(attributes);
    request.handle.gen_ai().request_model(Fails);
    request.ask();
}

/// The ids are the same, whenever one asks.
fn inject(request: &Request) {
    let mut headers = HeaderMap::new();
    request.handle.inject(&mut headers);
    let context = request.handle.context();
    let ids = context.span().span_context().clone();
    let expected = format!("00-{}-{}-01", ids.trace_id(), ids.span_id());
    assert_eq!(headers["traceparent"], expected.as_str());
}

/// Reads a frame of the request's body.
fn read(request: &Request) {
    let mut body = request.body.lock().expect("not poisoned");
    let polled = Pin::new(&mut *body).poll_frame(&mut Context::from_waker(noop_waker_ref()));
    let Poll::Ready(Some(Ok(frame))) = polled else {
        panic!("it never ends");
    };
    assert_eq!(frame.data_ref().map(bytes::Bytes::len), Some(FRAME));
}

fn by(speaker: usize, number: i64) -> Vec<KeyValue> {
    let speaker = i64::try_from(speaker).expect("a few");
    vec![
        KeyValue::new("speaker", speaker),
        KeyValue::new("number", number),
    ]
}

/// The message of a verdict.
pub fn verdict(speaker: usize, number: i64) -> String {
    format!("{}, says {speaker} for the time {number}", REASONS[speaker])
}

/// A text that is long enough to be seen half written.
pub fn long(number: i64) -> String {
    format!("{number} ").repeat(40)
}

fn number(number: i64) -> SpanContext {
    let number = u64::try_from(number + 1).expect("a count");
    SpanContext::new(
        TraceId::from(u128::from(number)),
        SpanId::from(number),
        TraceFlags::SAMPLED,
        true,
        TraceState::NONE,
    )
}
