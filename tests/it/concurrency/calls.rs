//! The calls on a request's handle and context.

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

use super::request::{Method, Random, Request, TOO_LATE, Verdicts};

/// The reasons of the tasks' verdicts.
pub const REASONS: [&str; super::TASKS] = ["quota", "engine", "safety"];

/// Bytes in a frame of a request's body.
pub const FRAME: usize = 5;

/// Makes a random call.
pub fn call(request: &Request, task: usize, random: &mut Random) {
    let handle = &request.handle;
    let context = handle.context();
    let span = context.span();
    let gives_verdicts = match request.verdicts {
        Verdicts::Before | Verdicts::Racing => true,
        Verdicts::Never | Verdicts::After => false,
    };
    match random.below(18) {
        0 | 1 => request.call(task, Method::Pair, |n| {
            let key = |which| format!("test.{which}_{task}");
            handle.set_attributes([KeyValue::new(key("one"), n), KeyValue::new(key("other"), n)]);
        }),
        2 => request.call(task, Method::Text, |n| {
            span.set_attribute(KeyValue::new(format!("test.text_{task}"), long(n)));
        }),
        3 | 4 => request.call(task, Method::Event, |n| {
            handle.add_event("by handle", numbered(task, n));
        }),
        5 => request.call(task, Method::ContextEvent, |n| {
            span.add_event("by context", numbered(task, n));
        }),
        6 => request.call(task, Method::Link, |n| {
            span.add_link(span_context(n), numbered(task, n));
        }),
        7 if gives_verdicts => request.call(task, Method::Verdict, |n| {
            handle.mark_aborted(REASONS[task], verdict(task, n));
        }),
        8 if gives_verdicts => request.call(task, Method::Status, |n| {
            span.set_status(Status::error(verdict(task, n)));
        }),
        9 if random.below(4) == 0 => request.call(task, Method::AllowDisconnect, |_| {
            handle.allow_disconnect();
        }),
        10 => request.call(task, Method::HandOff, |_| handle.handoff_to_core()),
        11 => request.call(task, Method::Route, |n| {
            handle.set_route(format_args!("/of/{task}/{n}"));
        }),
        12 if random.below(4) == 0 => request.call(task, Method::Name, |n| {
            span.update_name(if n == TOO_LATE { "nosy" } else { "its" });
        }),
        13 => request.call(task, Method::Tokens, |n| {
            let tokens = u32::try_from(n).expect("a few");
            handle
                .gen_ai()
                .request_model("llama-4")
                .output_tokens(tokens);
        }),
        14 => request.call(task, Method::Read, |_| read(request)),
        15 => make_failing_calls(request),
        16 => inject(request),
        _ => request.check_is_recording(),
    }
}

/// Makes calls that have no effect, some of which panic. The layer leaks the payload, which is empty here.
fn make_failing_calls(request: &Request) {
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
    request.check_is_recording();
}

/// Checks that the injected ids are those of the context.
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
        panic!("the body never ends");
    };
    assert_eq!(frame.data_ref().map(bytes::Bytes::len), Some(FRAME));
}

fn numbered(task: usize, number: i64) -> Vec<KeyValue> {
    let task = i64::try_from(task).expect("a few");
    vec![KeyValue::new("task", task), KeyValue::new("number", number)]
}

/// Returns the message of a verdict.
pub fn verdict(task: usize, number: i64) -> String {
    format!("{} by task {task}, call {number}", REASONS[task])
}

/// Returns a text that is long enough to be observed half written.
pub fn long(number: i64) -> String {
    format!("{number} ").repeat(40)
}

fn span_context(number: i64) -> SpanContext {
    let number = u64::try_from(number + 1).expect("a count");
    SpanContext::new(
        TraceId::from(u128::from(number)),
        SpanId::from(number),
        TraceFlags::SAMPLED,
        true,
        TraceState::NONE,
    )
}
