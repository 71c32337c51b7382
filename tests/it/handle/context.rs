//! What is told through the context that a handle gives, and what is told when the outcome is decided.

use std::sync::{Arc, OnceLock};

use opentelemetry::KeyValue;
use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState,
};
use tower_api_span::{SpanHandle, classify};

use super::{said, serve};
use crate::support::get;
use crate::support::recorder::{Recorder, Seen};

fn link(handle: &SpanHandle, number: u64) {
    let (trace_id, span_id) = (TraceId::from(1), SpanId::from(number));
    let flags = TraceFlags::SAMPLED;
    let to = SpanContext::new(trace_id, span_id, flags, true, TraceState::NONE);
    handle.context().span().add_link(to, Vec::new());
}

fn linked(span: &Seen) -> Vec<SpanId> {
    let links = span.0.links.iter();
    links.map(|link| link.span_context.span_id()).collect()
}

#[test]
fn a_name_is_the_spans_and_an_empty_one_is_none() {
    let span = said(|handle| {
        handle.context().span().update_name("its");
        handle.context().span().update_name("");
    });
    assert_eq!(span.0.name, "its");
}

#[test]
fn links_are_the_spans_up_to_as_many_as_are_kept() {
    let at = Recorder::with(|builder| builder.with_max_links_per_span(1_000));
    serve(&at.layer(), get(), 200, |handle| {
        (1..=200).for_each(|number| link(&handle, number));
    });
    let kept: Vec<_> = (1..=128).map(SpanId::from).collect();
    assert_eq!(linked(&at.only()), kept);
}

#[test]
fn what_is_told_late_is_added_to_what_was_told_in_time_and_what_does_not_fit_is_counted() {
    fn tell(handle: &SpanHandle, when: &str, events: usize, attributes: usize) {
        for _ in 0..events {
            handle.add_event(when.to_owned(), Vec::new());
        }
        for n in 0..attributes {
            handle.set_attribute(KeyValue::new(format!("test.{when}_{n}"), true));
        }
    }
    for (in_time, late, kept, dropped) in [
        ((1, 1), (1, 1), (2, 2), (None, None)),
        // Late, 120 events and 128 attributes find room at first.
        (
            (123, 130),
            (122, 131),
            (120, 128),
            (Some("125"), Some("133")),
        ),
    ] {
        let at = Recorder::with(|builder| builder.with_max_attributes_per_span(1_000));
        let told = Arc::new(OnceLock::new());
        let tells = Arc::clone(&told);
        let layer = at.layer().classify(move |head, end, verdict| {
            let handle = tells.get().expect("a handle");
            tell(handle, "late", late.0, late.1);
            link(handle, 8);
            classify(head, end, verdict)
        });
        serve(&layer, get(), 200, |handle| {
            tell(&handle, "in_time", in_time.0, in_time.1);
            link(&handle, 7);
            told.set(handle).expect("one request");
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
        assert_eq!(linked(&span), [SpanId::from(7), SpanId::from(8)]);
    }
}
