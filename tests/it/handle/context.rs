//! Data recorded through the context of a handle, and data recorded while the request is classified.

use std::sync::{Arc, OnceLock};

use opentelemetry::KeyValue;
use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState,
};
use tower_api_span::{SpanHandle, classify};

use super::{record_span, serve};
use crate::support::get;
use crate::support::recorder::{Recorder, Seen};

fn add_link(handle: &SpanHandle, number: u64) {
    let (trace_id, span_id) = (TraceId::from(1), SpanId::from(number));
    let flags = TraceFlags::SAMPLED;
    let to = SpanContext::new(trace_id, span_id, flags, true, TraceState::NONE);
    handle.context().span().add_link(to, Vec::new());
}

fn linked_spans(span: &Seen) -> Vec<SpanId> {
    let links = span.0.links.iter();
    links.map(|link| link.span_context.span_id()).collect()
}

#[test]
fn name_updated_through_the_context_is_kept_unless_empty() {
    let span = record_span(|handle| {
        handle.context().span().update_name("custom");
        handle.context().span().update_name("");
    });
    assert_eq!(span.0.name, "custom");
}

#[test]
fn links_over_the_limit_are_dropped_and_counted() {
    let at = Recorder::with(|builder| builder.with_max_links_per_span(1_000));
    serve(&at.layer(), get(), 200, |handle| {
        (1..=200).for_each(|number| add_link(&handle, number));
    });
    let kept: Vec<_> = (1..=128).map(SpanId::from).collect();
    let span = at.only();
    assert_eq!(linked_spans(&span), kept);
    assert_eq!(span.attribute("api.dropped_links").as_deref(), Some("72"));
}

#[test]
fn links_dropped_before_and_during_classification_are_counted_together() {
    let at = Recorder::new();
    let slot = Arc::new(OnceLock::new());
    let filled = Arc::clone(&slot);
    let layer = at.layer().classify(move |completion| {
        let handle = filled.get().expect("a handle");
        (0..130).for_each(|number| add_link(handle, 200 + number));
        classify(completion)
    });
    serve(&layer, get(), 200, |handle| {
        (1..=129).for_each(|number| add_link(&handle, number));
        slot.set(handle).expect("one request");
    });
    let dropped = at.only().attribute("api.dropped_links");
    assert_eq!(dropped.as_deref(), Some("131"));
}

#[test]
fn data_recorded_during_classification_is_added_and_the_overflow_counted() {
    fn record(handle: &SpanHandle, when: &str, events: usize, attributes: usize) {
        for _ in 0..events {
            handle.add_event(when.to_owned(), Vec::new());
        }
        for n in 0..attributes {
            handle.set_attribute(KeyValue::new(format!("test.{when}_{n}"), true));
        }
    }
    for (in_time, late, kept, dropped) in [
        ((1, 1), (1, 1), (2, 2), (None, None)),
        // At first, 120 late events and 128 late attributes are kept as well.
        (
            (123, 130),
            (122, 131),
            (120, 128),
            (Some("125"), Some("133")),
        ),
    ] {
        let at = Recorder::with(|builder| builder.with_max_attributes_per_span(1_000));
        let slot = Arc::new(OnceLock::new());
        let filled = Arc::clone(&slot);
        let layer = at.layer().classify(move |completion| {
            let handle = filled.get().expect("a handle");
            record(handle, "late", late.0, late.1);
            add_link(handle, 8);
            classify(completion)
        });
        serve(&layer, get(), 200, |handle| {
            record(&handle, "in_time", in_time.0, in_time.1);
            add_link(&handle, 7);
            slot.set(handle).expect("one request");
        });
        let span = at.only();
        let (events, attributes) = (span.events(), &span.0.attributes);
        let events = events.iter().filter(|name| !name.starts_with("api."));
        let attributes = attributes
            .iter()
            .filter(|kv| kv.key.as_str().starts_with("test."));
        assert_eq!((events.count(), attributes.count()), kept);
        assert_eq!(span.attribute("api.dropped_events").as_deref(), dropped.0);
        assert_eq!(
            span.attribute("api.dropped_attributes").as_deref(),
            dropped.1
        );
        assert_eq!(linked_spans(&span), [SpanId::from(7), SpanId::from(8)]);
    }
}
