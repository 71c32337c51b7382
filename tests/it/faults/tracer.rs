//! A tracer or its span panics, in each method in turn.

use http::Request;
use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanContext, Status, TraceContextExt as _};
use tower_layer::Layer as _;

use crate::completion::{Completions, shown};
use crate::support::client::Exchange;
use crate::support::foreign::{Foreign, Method};
use crate::support::{get, handle_of};

/// Calls every method of the handle and of its context. The layer calls some span methods at once and
/// some at the end.
fn call_every_method(request: &Request<()>) {
    let handle = handle_of(request);
    handle.set_attribute(KeyValue::new("test.tenant", "blue"));
    handle.add_event("from_handle", Vec::new());
    handle.set_route("/x/{id}");
    let context = handle.context();
    let span = context.span();
    let recording = (handle.is_recording(), span.is_recording());
    span.set_attribute(KeyValue::new("test.shard", 7));
    span.add_event("from_context", Vec::new());
    span.update_name("other");
    span.set_status(Status::Ok);
    span.add_link(SpanContext::NONE, Vec::new());
    span.end();
    // A panic in one call leaves the span usable for the next.
    assert_eq!((handle.is_recording(), span.is_recording()), recording);
}

/// Asserts that the response through a layer of `tracer` is that of the bare service.
fn assert_transparent(tracer: &Foreign, exchange: &Exchange, why: &str) {
    let layer = tracer.layer();
    let bare = exchange.seen(&mut exchange.service(call_every_method), get());
    let seen = exchange.seen(&mut layer.layer(exchange.service(call_every_method)), get());
    assert_eq!(seen, bare, "{why}");
}

#[test]
fn tracer_method_that_panics_ends_the_span_once() {
    for method in Method::ALL {
        for exchange in Exchange::all() {
            let why = format!("{method:?}, {}", exchange.name);
            let tracer = Foreign::new().panicking_in(&[method]);
            assert_transparent(&tracer, &exchange, &why);
            let spans = usize::from(method != Method::Build);
            assert_eq!(tracer.counts(), (spans, spans, spans), "{why}");
        }
    }
}

#[test]
fn a_request_is_passed_to_the_callback_once_whatever_of_the_tracer_panics() {
    for method in Method::ALL {
        for exchange in Exchange::all() {
            let why = format!("{method:?}, {}", exchange.name);
            let completions = Completions::default();
            let layer = completions.of(Foreign::new().panicking_in(&[method]).layer());
            let bare = exchange.seen(&mut exchange.service(|_| {}), get());
            let seen = exchange.seen(&mut layer.layer(exchange.service(|_| {})), get());
            assert_eq!(seen, bare, "{why}");
            assert_eq!(shown(&completions.only()), exchange.outcome, "{why}");
        }
    }
}

#[test]
fn tracer_that_does_not_panic_ends_the_span_once() {
    for exchange in Exchange::all() {
        let tracer = Foreign::new();
        assert_transparent(&tracer, &exchange, exchange.name);
        assert_eq!(tracer.counts(), (1, 1, 1), "{}", exchange.name);
        let (terminal, _) = exchange
            .outcome
            .split_once('(')
            .unwrap_or((exchange.outcome, ""));
        let terminal = format!("api.{terminal}");
        assert_eq!(
            tracer.log().events,
            ["api.ARRIVED", "from_handle", "from_context", &terminal],
            "{}",
            exchange.name
        );
    }
}

#[test]
fn events_before_a_tracer_method_panics_are_kept() {
    let exchange = Exchange::all().remove(2);
    assert_eq!(exchange.name, "500");
    for (method, events) in [
        (Method::Build, &[][..]),
        (Method::SpanContext, &["api.ARRIVED"][..]),
        (Method::IsRecording, &["api.ARRIVED"]),
        (
            Method::SetAttribute,
            &["api.ARRIVED", "from_handle", "from_context"],
        ),
        (
            Method::SetStatus,
            &["api.ARRIVED", "from_handle", "from_context"],
        ),
        (Method::AddEvent, &["api.ARRIVED"]),
        (
            Method::UpdateName,
            &["api.ARRIVED", "from_handle", "from_context"],
        ),
        (
            Method::AddLink,
            &["api.ARRIVED", "from_handle", "from_context", "api.ABORTED"],
        ),
        (
            Method::End,
            &["api.ARRIVED", "from_handle", "from_context", "api.ABORTED"],
        ),
        (
            Method::Drop,
            &["api.ARRIVED", "from_handle", "from_context", "api.ABORTED"],
        ),
    ] {
        let tracer = Foreign::new().panicking_in(&[method]);
        assert_transparent(&tracer, &exchange, "500");
        assert_eq!(tracer.log().events, events, "{method:?}");
    }
}

#[test]
fn several_span_methods_that_panic_end_the_span_once() {
    for (panicking, why) in [
        (&Method::ALL[1..], "all span methods"),
        (
            &[Method::SpanContext, Method::End, Method::Drop][..],
            "ids, end and destructor",
        ),
        (
            &[Method::IsRecording, Method::Drop],
            "recording and destructor",
        ),
        (&[Method::End, Method::Drop], "end and destructor"),
        (Method::AFTER_START, "all after the start"),
    ] {
        for exchange in Exchange::all() {
            let tracer = Foreign::new().panicking_in(panicking);
            assert_transparent(&tracer, &exchange, why);
            assert_eq!(tracer.counts(), (1, 1, 1), "{why}, {}", exchange.name);
        }
    }
}

#[test]
fn non_recording_span_that_panics_is_ended_once() {
    let unsampled = SpanContext::NONE;
    for (tracer, why) in [
        (Foreign::new().recording(false), "with ids"),
        (
            Foreign::new()
                .recording(false)
                .with_span_context(unsampled.clone()),
            "without",
        ),
        (
            Foreign::new().with_span_context(unsampled),
            "recording without ids",
        ),
    ] {
        for panicking in [
            &[][..],
            &[Method::End],
            &[Method::Drop],
            Method::AFTER_START,
        ] {
            for exchange in Exchange::all() {
                let tracer = tracer.with_empty_log().panicking_in(panicking);
                assert_transparent(&tracer, &exchange, why);
                assert_eq!(
                    tracer.counts(),
                    (1, 1, 1),
                    "{why}, {panicking:?}, {}",
                    exchange.name
                );
            }
        }
    }
}
