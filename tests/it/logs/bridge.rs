//! Log bridges: an event is emitted while its span is open and current, so a bridge can add to that span.

use std::sync::{Arc, Mutex};

use opentelemetry::trace::TraceContextExt as _;
use opentelemetry::{Context, KeyValue};
use tower_api_span::LifecycleEvents;

use super::{FnProcessor, Logs, format_trace, open_body, server_span};
use crate::support::body::ScriptedBody;
use crate::support::body::Step::{Data, Error};
use crate::support::recorder::Recorder;
use crate::support::{called, get, handle_of, panic_of, poll_frame, read};

/// For each event, whether the current span was recording, and its ids.
type CurrentSpans = Arc<Mutex<Vec<(bool, String)>>>;

/// Returns logs with a bridge that adds each event to the current span, with the record's time or without one.
fn with_bridge(has_time: bool) -> (Logs, CurrentSpans) {
    let seen = CurrentSpans::default();
    let logs = Logs::with(|builder| {
        let seen = Arc::clone(&seen);
        builder.with_log_processor(FnProcessor(
            move |record: &opentelemetry_sdk::logs::SdkLogRecord| {
                let context = Context::current();
                let span = context.span();
                let ids = format_trace(span.span_context());
                let mut seen = seen.lock().expect("no panic");
                seen.push((span.is_recording(), ids));
                let name = record.event_name().expect("a name");
                let attributes = vec![KeyValue::new("exception.type", "bridged")];
                match record.timestamp().filter(|_| has_time) {
                    Some(time) => span.add_event_with_timestamp(name, time, attributes),
                    None => span.add_event(name, attributes),
                }
            },
        ))
    });
    (logs, seen)
}

#[test]
fn a_bridge_sees_the_open_span_and_adds_its_event_before_the_terminal_one() {
    for has_time in [true, false] {
        let (recorder, (logs, seen)) = (Recorder::new(), with_bridge(has_time));
        let mut body = open_body(
            &logs.layer(&recorder),
            get(),
            200,
            ScriptedBody::new([Data(3), Error]),
        );
        assert!(read(&mut body).is_err());
        // The recorder checks that event times do not decrease and that the terminal event is last.
        let span = recorder.only().0;
        let names: Vec<_> = span.events.iter().map(|event| &*event.name).collect();
        assert_eq!(
            names,
            [
                "api.ARRIVED",
                "http.server.request.exception",
                "api.ABORTED"
            ],
            "{has_time}"
        );
        let bridged = [KeyValue::new("exception.type", "bridged")];
        assert_eq!(span.events[1].attributes, bridged);
        let ids = format_trace(&span.span_context);
        assert_eq!(*seen.lock().expect("no panic"), [(true, ids)]);
        assert!(
            !Context::current().has_active_span(),
            "a span is still current"
        );
    }
}

#[test]
fn a_bridge_sees_the_open_span_while_the_thread_unwinds() {
    let (recorder, (logs, seen)) = (Recorder::new(), with_bridge(false));
    let body = open_body(
        &logs.layer(&recorder),
        get(),
        200,
        ScriptedBody::new([Data(3)]),
    );
    let panic = panic_of(move || {
        let _body = body;
        panic!("elsewhere in the task");
    });
    assert_eq!(panic, "elsewhere in the task");
    assert_eq!(recorder.only().outcome(), "ABORTED(panic)");
    let ids = format_trace(&server_span(&recorder).span_context);
    assert_eq!(*seen.lock().expect("no panic"), [(true, ids)]);
}

#[test]
fn a_bridge_sees_the_requests_span_and_not_another_current_span() {
    let (recorder, (logs, seen)) = (Recorder::new(), with_bridge(false));
    let other = Context::new().with_remote_span_context(opentelemetry::trace::SpanContext::new(
        opentelemetry::trace::TraceId::from(1),
        opentelemetry::trace::SpanId::from(2),
        opentelemetry::trace::TraceFlags::SAMPLED,
        true,
        opentelemetry::trace::TraceState::NONE,
    ));
    let mut body = open_body(
        &logs.layer(&recorder),
        get(),
        200,
        ScriptedBody::new([Data(3)]),
    );
    assert!(poll_frame(&mut body).is_ready());
    {
        let _other = other.attach();
        drop(body);
        assert_eq!(
            Context::current().span().span_context().span_id(),
            opentelemetry::trace::SpanId::from(2)
        );
    }
    let ids = format_trace(&server_span(&recorder).span_context);
    assert_eq!(*seen.lock().expect("no panic"), [(true, ids)]);
}

#[test]
fn a_bridge_does_not_duplicate_lifecycle_events_on_the_span() {
    for (events, expected) in [
        (
            LifecycleEvents::OnSpan,
            &["api.ARRIVED", "api.DEPARTED"][..],
        ),
        (LifecycleEvents::Both, &["api.ARRIVED", "api.DEPARTED"]),
        (LifecycleEvents::AsLogs, &[]),
    ] {
        let (recorder, (logs, _)) = (Recorder::new(), with_bridge(true));
        let layer = logs.layer(&recorder).lifecycle_events(events);
        let mut body = open_body(&layer, get(), 200, ScriptedBody::new([Data(3)]));
        read(&mut body).expect("bytes");
        let span = server_span(&recorder);
        let names: Vec<_> = span.events.iter().map(|event| &*event.name).collect();
        assert_eq!(names, expected, "{events:?}");
    }
}

#[test]
fn a_bridge_sees_a_non_recording_span_for_an_unsampled_request() {
    let (recorder, (logs, seen)) = (Recorder::new(), with_bridge(false));
    let mut ids = String::new();
    let mut service = crate::support::answering(&logs.layer(&recorder), |request| {
        let context = handle_of(&request).context();
        ids = format_trace(context.span().span_context());
        crate::support::response(200, ScriptedBody::new([Error]))
    });
    let future = tower::Service::call(&mut service, called("00"));
    let mut body = crate::support::ready(future)
        .expect("a response")
        .into_body();
    assert!(read(&mut body).is_err());
    assert_eq!(recorder.starts(), 0);
    drop(service);
    assert_eq!(*seen.lock().expect("no panic"), [(false, ids)]);
}
