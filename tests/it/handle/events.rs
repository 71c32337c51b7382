//! Events that the handler adds: their order, their times and their limit.

use std::time::SystemTime;

use opentelemetry::KeyValue;
use opentelemetry::trace::TraceContextExt as _;

use super::{record_span, serve};
use crate::support::body::Boom;
use crate::support::get;
use crate::support::recorder::Recorder;

#[test]
fn handler_events_lie_between_arrived_and_departed_in_order() {
    let mut before = Vec::new();
    let span = record_span(|handle| {
        for name in ["one", "two", "three"] {
            before.push(SystemTime::now());
            handle.add_event(name, vec![KeyValue::new("n", name)]);
        }
    });
    assert_eq!(
        span.events(),
        ["api.ARRIVED", "one", "two", "three", "api.DEPARTED"]
    );
    let events = &span.0.events.events;
    for (event, before) in events[1..4].iter().zip(before) {
        assert_eq!(event.attributes, [KeyValue::new("n", event.name.clone())]);
        assert!(event.timestamp >= before, "{}", event.name);
    }
    assert_eq!(events[0].timestamp, span.0.start_time);
    assert_eq!(events[4].timestamp, span.0.start_time + span.duration());
}

#[test]
fn events_added_through_the_context_are_recorded() {
    let span = record_span(|handle| {
        handle
            .context()
            .span()
            .add_event("from_context", vec![KeyValue::new("n", 1)]);
        handle.context().span().record_error(&Boom);
    });
    assert_eq!(
        span.events(),
        ["api.ARRIVED", "from_context", "exception", "api.DEPARTED"]
    );
}

#[test]
fn event_added_with_a_timestamp_keeps_it() {
    let at = Recorder::new();
    serve(&at.layer(), get(), 200, |handle| {
        let (context, time) = (handle.context(), SystemTime::UNIX_EPOCH);
        context
            .span()
            .add_event_with_timestamp("given", time, Vec::new());
    });
    let span = &at.exported()[0];
    assert_eq!(span.events[1].timestamp, SystemTime::UNIX_EPOCH);
}

#[test]
fn events_over_the_limit_are_dropped_and_the_terminal_event_is_last() {
    for (via, add) in [
        (
            "handle",
            (|handle, name| handle.add_event(name, Vec::new()))
                as fn(&tower_api_span::SpanHandle, String),
        ),
        ("context", |handle, name| {
            handle.context().span().add_event(name, Vec::new());
        }),
    ] {
        let span = record_span(|handle| (0..300).for_each(|n| add(&handle, n.to_string())));
        let events = span.events();
        assert_eq!(events.len(), 122, "{via}");
        assert_eq!(events[1], "0", "{via}");
        assert_eq!(events[120], "119", "{via}");
        assert_eq!(events[121], "api.DEPARTED", "{via}");
        assert_eq!(span.0.events.dropped_count, 0, "{via}");
    }
}

#[test]
fn layer_events_do_not_count_towards_the_handlers_limit() {
    let span = record_span(|handle| {
        handle.handoff_to_core();
        (0..300).for_each(|n| handle.add_event(n.to_string(), Vec::new()));
    });
    let events = span.events();
    assert_eq!(events.len(), 123);
    assert_eq!(events[1], "api.HANDOFF_TO_CORE");
    assert_eq!(events[121], "119");
    assert_eq!(events[122], "api.DEPARTED");
    let dropped = span.attribute("api.dropped_events");
    assert_eq!(dropped.as_deref(), Some("180"));
}

#[test]
fn events_with_reserved_or_empty_names_are_refused_and_counted() {
    let span = record_span(|handle| {
        for name in [
            "api.ARRIVED",
            "api.HANDOFF_TO_CORE",
            "api.FIRST_RESPONSE_FROM_CORE",
            "api.DEPARTED",
            "api.ABORTED",
            "",
        ] {
            handle.add_event(name, Vec::new());
            handle.context().span().add_event(name, Vec::new());
        }
    });
    assert_eq!(span.events(), ["api.ARRIVED", "api.DEPARTED"]);
    assert_eq!(span.attribute("api.dropped_events").as_deref(), Some("12"));
}

#[test]
fn events_with_other_names_are_the_applications_own() {
    let names = ["api.cache", "apis", "arrived"];
    let span = record_span(|handle| {
        for name in names {
            handle.add_event(name, Vec::new());
        }
    });
    let events = span.events();
    assert_eq!(events[1..=names.len()], names);
    assert_eq!(events.len(), names.len() + 2);
    assert_eq!(span.attribute("api.dropped_events"), None);
}

#[test]
fn dropped_events_and_attributes_are_counted() {
    let span = record_span(|handle| {
        for n in 0..200 {
            handle.add_event("from_handle", Vec::new());
            handle.set_attribute(opentelemetry::KeyValue::new(format!("test.key_{n}"), n));
        }
    });
    assert_eq!(span.attribute("api.dropped_events").as_deref(), Some("80"));
    assert_eq!(
        span.attribute("api.dropped_attributes").as_deref(),
        Some("72")
    );
    let span = record_span(|handle| handle.add_event("from_handle", Vec::new()));
    assert_eq!(span.attribute("api.dropped_events"), None);
}
