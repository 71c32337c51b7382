//! Events of the handler's, in order and bounded.

use std::time::SystemTime;

use opentelemetry::KeyValue;
use opentelemetry::trace::TraceContextExt as _;

use super::{said, serve};
use crate::support::body::Boom;
use crate::support::get;
use crate::support::recorder::Recorder;

#[test]
fn events_are_between_the_first_and_the_last_in_order_and_time() {
    let mut before = Vec::new();
    let span = said(|handle| {
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
fn an_event_of_the_apis_is_among_the_others() {
    let span = said(|handle| {
        handle
            .context()
            .span()
            .add_event("its", vec![KeyValue::new("n", 1)]);
        handle.context().span().record_error(&Boom);
    });
    assert_eq!(
        span.events(),
        ["api.ARRIVED", "its", "exception", "api.DEPARTED"]
    );
}

#[test]
fn an_event_of_the_apis_has_a_time_and_keeps_it() {
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
fn more_events_than_are_kept_and_the_terminal_one_is_the_last() {
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
        let span = said(|handle| (0..300).for_each(|n| add(&handle, n.to_string())));
        let events = span.events();
        assert_eq!(events.len(), 122, "{via}");
        assert_eq!(events[1], "0", "{via}");
        assert_eq!(events[120], "119", "{via}");
        assert_eq!(events[121], "api.DEPARTED", "{via}");
        assert_eq!(span.0.events.dropped_count, 0, "{via}");
    }
}

#[test]
fn the_layers_own_events_take_no_room_from_the_handlers() {
    let span = said(|handle| {
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
fn events_of_the_layers_names_and_of_none_are_not_added() {
    let span = said(|handle| {
        for name in ["api.ABORTED", "api.DEPARTED", "api.ARRIVED", "api.", ""] {
            handle.add_event(name, Vec::new());
            handle.context().span().add_event(name, Vec::new());
        }
        handle.add_event("apis", Vec::new());
    });
    assert_eq!(span.events(), ["api.ARRIVED", "apis", "api.DEPARTED"]);
}

#[test]
fn what_did_not_fit_is_counted() {
    let span = said(|handle| {
        for n in 0..200 {
            handle.add_event("mine", Vec::new());
            handle.set_attribute(opentelemetry::KeyValue::new(format!("test.key_{n}"), n));
        }
    });
    assert_eq!(span.attribute("api.dropped_events").as_deref(), Some("80"));
    assert_eq!(
        span.attribute("api.dropped_attributes").as_deref(),
        Some("72")
    );
    let span = said(|handle| handle.add_event("mine", Vec::new()));
    assert_eq!(span.attribute("api.dropped_events"), None);
}
