//! A tracer, or a span of its, panics, each method in turn.

use http::Request;
use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanContext, Status, TraceContextExt as _};
use tower_layer::Layer as _;

use crate::support::client::Exchange;
use crate::support::foreign::{Foreign, Method};
use crate::support::{get, handle_of};

/// A handler that has every method of its span called, some now and some at the end.
fn say_everything(request: &Request<()>) {
    let handle = handle_of(request);
    handle.set_attribute(KeyValue::new("test.tenant", "blue"));
    handle.add_event("mine", Vec::new());
    handle.set_route("/x/{id}");
    let context = handle.context();
    let span = context.span();
    let recording = (handle.is_recording(), span.is_recording());
    span.set_attribute(KeyValue::new("test.shard", 7));
    span.add_event("its", Vec::new());
    span.update_name("other");
    span.set_status(Status::Ok);
    span.add_link(SpanContext::NONE, Vec::new());
    span.end();
    // What failed in between has not broken the span for its other users.
    assert_eq!((handle.is_recording(), span.is_recording()), recording);
}

/// The response in `exchange` through a layer of `tracer`, compared with that of the bare service.
fn assert_transparent(tracer: &Foreign, exchange: &Exchange, why: &str) {
    let layer = tracer.layer();
    let bare = exchange.seen(&mut exchange.service(say_everything), get());
    let seen = exchange.seen(&mut layer.layer(exchange.service(say_everything)), get());
    assert_eq!(seen, bare, "{why}");
}

#[test]
fn a_method_of_the_tracer_panics_and_the_span_is_ended_once() {
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
fn no_method_of_the_tracer_panics_and_the_span_is_ended_once() {
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
            ["api.ARRIVED", "mine", "its", &terminal],
            "{}",
            exchange.name
        );
    }
}

#[test]
fn a_method_that_settling_needs_panics_and_there_is_no_terminal_event() {
    let exchange = Exchange::all().remove(2);
    assert_eq!(exchange.name, "500");
    for (method, events) in [
        (Method::Build, &[][..]),
        (Method::SpanContext, &["api.ARRIVED"][..]),
        (Method::IsRecording, &["api.ARRIVED"]),
        (Method::SetAttribute, &["api.ARRIVED", "mine", "its"]),
        (Method::SetStatus, &["api.ARRIVED", "mine", "its"]),
        (Method::AddEvent, &["api.ARRIVED"]),
        (Method::UpdateName, &["api.ARRIVED", "mine", "its"]),
        (
            Method::AddLink,
            &["api.ARRIVED", "mine", "its", "api.ABORTED"],
        ),
        (Method::End, &["api.ARRIVED", "mine", "its", "api.ABORTED"]),
        (Method::Drop, &["api.ARRIVED", "mine", "its", "api.ABORTED"]),
    ] {
        let tracer = Foreign::new().panicking_in(&[method]);
        assert_transparent(&tracer, &exchange, "500");
        assert_eq!(tracer.log().events, events, "{method:?}");
    }
}

#[test]
fn every_method_of_the_span_panics_and_the_span_is_ended_once() {
    for (panicking, why) in [
        (&Method::ALL[1..], "all of a span's"),
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
fn a_span_that_does_not_record_panics_and_is_ended_once() {
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
                let tracer = tracer.fresh().panicking_in(panicking);
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
