//! Lifecycle events as log events: `api.ARRIVED` to `api.DEPARTED` or `api.ABORTED`.

use std::time::SystemTime;

use http::HeaderValue;
use opentelemetry::logs::{AnyValue, Severity};
use opentelemetry::trace::Status;
use opentelemetry::{Key, KeyValue};
use opentelemetry_sdk::trace::SpanData;
use tower::Service;
use tower_api_span::{ApiSpanLayer, LifecycleEvents, SpanHandle};

use super::{Log, Logs, format_trace, server_span};
use crate::support::body::ScriptedBody;
use crate::support::body::Step::{self, Data, Error};
use crate::support::recorder::{Recorder, value};
use crate::support::{answering, get, handle_of, read, ready, response};

/// The first event of the stream, which has data.
const EVENT: Step = Step::Bytes(b"data: a\n\n");

/// Serves an event stream whose handler adds an event. Records the handoff before the first byte or after it.
fn serve(layer: &ApiSpanLayer, hands_off_late: bool, fails: bool) {
    let mut service = answering(layer, move |request| {
        let handle: SpanHandle = handle_of(&request);
        handle.add_event("cache_miss", vec![KeyValue::new("test.key", "a")]);
        if !hands_off_late {
            handle.handoff_to_core();
        }
        let mut polls = 0;
        let steps = if fails {
            vec![EVENT, Error]
        } else {
            vec![EVENT]
        };
        let body = ScriptedBody::new(steps).on_poll(move || {
            polls += 1;
            if polls == 2 {
                handle.handoff_to_core();
            }
        });
        let mut response = response(200, body);
        let events = HeaderValue::from_static("text/event-stream");
        response.headers_mut().insert("content-type", events);
        response
    });
    let response = ready(service.call(get())).expect("a response");
    assert_eq!(read(&mut response.into_body()).is_err(), fails);
}

/// Name, time and attributes of an event.
type Event = (String, SystemTime, Vec<(String, String)>);

fn span_events(span: &SpanData) -> Vec<Event> {
    let events = span.events.iter().map(|event| {
        let attributes = event.attributes.iter();
        let attributes = attributes.map(|kv| (kv.key.to_string(), kv.value.to_string()));
        (
            event.name.to_string(),
            event.timestamp,
            attributes.collect(),
        )
    });
    events.collect()
}

fn log_events(logs: &[Log]) -> Vec<Event> {
    let events = logs.iter().map(|log| {
        let attributes = log.attributes.iter().map(|(key, value)| {
            let AnyValue::String(text) = value else {
                panic!("{key} is {value:?}");
            };
            (key.clone(), text.as_str().to_owned())
        });
        (log.name.to_owned(), log.time, attributes.collect())
    });
    events.collect()
}

fn is_layer_event((name, ..): &Event) -> bool {
    name.starts_with("api.")
}

#[test]
fn both_records_the_same_events_at_the_same_times_on_span_and_logs() {
    for hands_off_late in [false, true] {
        for fails in [false, true] {
            let (recorder, logs) = (Recorder::new(), Logs::new());
            let layer = logs
                .layer(&recorder)
                .journey_events(true)
                .lifecycle_events(LifecycleEvents::Both);
            serve(&layer, hands_off_late, fails);
            let span = recorder.only().0;
            let all = logs.all();
            let (mut on_span, mut logged) = (span_events(&span), log_events(&all));
            assert_eq!(on_span.len(), 5);
            on_span.retain(is_layer_event);
            if fails {
                let exception = logged.pop().expect("an event");
                assert_eq!(exception.0, "http.server.request.exception");
            }
            assert_eq!(logged, on_span, "late {hands_off_late}, fails {fails}");
            for log in all.iter().filter(|log| log.name.starts_with("api.")) {
                assert_eq!(log.severity, (Severity::Info, "INFO"));
                assert_eq!(log.trace, Some(format_trace(&span.span_context)));
            }
        }
    }
}

/// Serves a stream that fails, with a logger. Returns its span and the names of its log events.
fn serve_failing(events: LifecycleEvents) -> (SpanData, Vec<&'static str>) {
    let (recorder, logs) = (Recorder::new(), Logs::new());
    let layer = logs.layer(&recorder).journey_events(true);
    serve(&layer.lifecycle_events(events), false, true);
    (server_span(&recorder), logs.names())
}

fn keys(span: &SpanData) -> Vec<Key> {
    let keys = span.attributes.iter();
    keys.map(|attribute| attribute.key.clone()).collect()
}

#[test]
fn as_logs_leaves_only_the_handlers_events_on_the_span() {
    let (on_span, names) = serve_failing(LifecycleEvents::OnSpan);
    assert_eq!(names, ["http.server.request.exception"]);
    assert_eq!(on_span.events.len(), 5);

    let (as_logs, names) = serve_failing(LifecycleEvents::AsLogs);
    assert_eq!(
        names,
        [
            "api.ARRIVED",
            "api.HANDOFF_TO_CORE",
            "api.FIRST_RESPONSE_FROM_CORE",
            "api.ABORTED",
            "http.server.request.exception"
        ]
    );
    let events: Vec<_> = as_logs.events.iter().map(|event| &*event.name).collect();
    assert_eq!(events, ["cache_miss"]);
    assert_eq!(as_logs.status, Status::error("boom"));
    for (key, expected) in [
        ("api.outcome", "ABORTED"),
        ("api.abort.reason", "exception"),
        ("error.type", "exception"),
    ] {
        let found = value(&as_logs, key).map(|value| value.to_string());
        assert_eq!(found.as_deref(), Some(expected), "{key}");
    }
    assert_eq!(keys(&as_logs), keys(&on_span));
}

#[test]
fn off_leaves_only_the_handlers_events_and_every_attribute() {
    let (on_span, _) = serve_failing(LifecycleEvents::OnSpan);
    let (off, names) = serve_failing(LifecycleEvents::Off);
    assert_eq!(names, ["http.server.request.exception"]);
    let events: Vec<_> = off.events.iter().map(|event| &*event.name).collect();
    assert_eq!(events, ["cache_miss"]);
    assert_eq!(off.status, on_span.status);
    assert_eq!(keys(&off), keys(&on_span));

    // Without a logger there is nothing to warn about either.
    let recorder = Recorder::new();
    let layer = recorder.layer().lifecycle_events(LifecycleEvents::Off);
    serve(&layer, true, false);
    let events = server_span(&recorder).events;
    let events: Vec<_> = events.iter().map(|event| &*event.name).collect();
    assert_eq!(events, ["cache_miss"]);
}

#[test]
fn the_first_byte_emits_no_event_without_journey_events() {
    let (recorder, logs) = (Recorder::new(), Logs::new());
    let layer = logs
        .layer(&recorder)
        .lifecycle_events(LifecycleEvents::AsLogs);
    let mut service = answering(&layer, |_| response(200, ScriptedBody::new([Data(3)])));
    let response = ready(service.call(get())).expect("a response");
    read(&mut response.into_body()).expect("bytes");
    assert_eq!(logs.names(), ["api.ARRIVED", "api.DEPARTED"]);
    let span = server_span(&recorder);
    let times: Vec<_> = logs.all().iter().map(|log| log.time).collect();
    assert_eq!(times, [span.start_time, span.end_time]);
}
