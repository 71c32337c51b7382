//! An event is emitted while its span is open and current: a bridge finds it there.

use std::sync::{Arc, Mutex};

use opentelemetry::trace::TraceContextExt as _;
use opentelemetry::{Context, KeyValue};
use tower_api_span::LifecycleEvents;

use super::{Calls, Logs, body_of, server, trace_of};
use crate::support::body::ScriptedBody;
use crate::support::body::Step::{Data, Error};
use crate::support::recorder::Recorder;
use crate::support::{called, get, handle_of, panic_of, poll_frame, read};

/// What a bridge saw of the current span at each event: whether it was recording, and its ids.
type Seen = Arc<Mutex<Vec<(bool, String)>>>;

/// Logs with a bridge that adds each event to the span that is current, under the time of the record
/// or of now.
fn bridged(has_time: bool) -> (Logs, Seen) {
    let seen = Seen::default();
    let logs = Logs::with(|builder| {
        let seen = Arc::clone(&seen);
        builder.with_log_processor(Calls(
            move |record: &opentelemetry_sdk::logs::SdkLogRecord| {
                let context = Context::current();
                let span = context.span();
                let ids = trace_of(span.span_context());
                let mut seen = seen.lock().expect("no panic");
                seen.push((span.is_recording(), ids));
                let name = record.event_name().expect("a name");
                let attributes = vec![KeyValue::new("exception.type", "bridged")];
                match record.timestamp().filter(|_| has_time) {
                    Some(at) => span.add_event_with_timestamp(name, at, attributes),
                    None => span.add_event(name, attributes),
                }
            },
        ))
    });
    (logs, seen)
}

#[test]
fn a_bridge_finds_the_span_open_and_its_event_is_before_the_terminal_one() {
    for has_time in [true, false] {
        let (at, (logs, seen)) = (Recorder::new(), bridged(has_time));
        let mut body = body_of(
            &logs.layer(&at),
            get(),
            200,
            ScriptedBody::new([Data(3), Error]),
        );
        assert!(read(&mut body).is_err());
        // Held against all that is true of a span: its times do not fall, its terminal event is last.
        let span = at.only().0;
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
        let ids = trace_of(&span.span_context);
        assert_eq!(*seen.lock().expect("no panic"), [(true, ids)]);
        assert!(
            !Context::current().has_active_span(),
            "nothing stays current"
        );
    }
}

#[test]
fn a_bridge_finds_the_span_while_the_thread_unwinds() {
    let (at, (logs, seen)) = (Recorder::new(), bridged(false));
    let body = body_of(&logs.layer(&at), get(), 200, ScriptedBody::new([Data(3)]));
    let panic = panic_of(move || {
        let _body = body;
        panic!("elsewhere in the task");
    });
    assert_eq!(panic, "elsewhere in the task");
    assert_eq!(at.only().outcome(), "ABORTED(panic)");
    let ids = trace_of(&server(&at).span_context);
    assert_eq!(*seen.lock().expect("no panic"), [(true, ids)]);
}

#[test]
fn a_bridge_finds_the_requests_span_and_not_that_of_another() {
    let (at, (logs, seen)) = (Recorder::new(), bridged(false));
    let other = Context::new().with_remote_span_context(opentelemetry::trace::SpanContext::new(
        opentelemetry::trace::TraceId::from(1),
        opentelemetry::trace::SpanId::from(2),
        opentelemetry::trace::TraceFlags::SAMPLED,
        true,
        opentelemetry::trace::TraceState::NONE,
    ));
    let mut body = body_of(&logs.layer(&at), get(), 200, ScriptedBody::new([Data(3)]));
    assert!(poll_frame(&mut body).is_ready());
    {
        let _other = other.attach();
        drop(body);
        assert_eq!(
            Context::current().span().span_context().span_id(),
            opentelemetry::trace::SpanId::from(2)
        );
    }
    let ids = trace_of(&server(&at).span_context);
    assert_eq!(*seen.lock().expect("no panic"), [(true, ids)]);
}

#[test]
fn what_a_bridge_adds_of_the_lifecycle_is_not_told_twice() {
    for (events, expected) in [
        (
            LifecycleEvents::OnSpan,
            &["api.ARRIVED", "api.DEPARTED"][..],
        ),
        (LifecycleEvents::Both, &["api.ARRIVED", "api.DEPARTED"]),
        (LifecycleEvents::AsLogs, &[]),
    ] {
        let (at, (logs, _)) = (Recorder::new(), bridged(true));
        let layer = logs.layer(&at).lifecycle_events(events);
        let mut body = body_of(&layer, get(), 200, ScriptedBody::new([Data(3)]));
        read(&mut body).expect("bytes");
        let span = server(&at);
        let names: Vec<_> = span.events.iter().map(|event| &*event.name).collect();
        assert_eq!(names, expected, "{events:?}");
    }
}

#[test]
fn of_an_unsampled_request_a_bridge_finds_a_span_that_does_not_record() {
    let (at, (logs, seen)) = (Recorder::new(), bridged(false));
    let mut ids = String::new();
    let mut service = crate::support::answering(&logs.layer(&at), |request| {
        let context = handle_of(&request).context();
        ids = trace_of(context.span().span_context());
        crate::support::response(200, ScriptedBody::new([Error]))
    });
    let future = tower::Service::call(&mut service, called("00"));
    let mut body = crate::support::ready(future)
        .expect("a response")
        .into_body();
    assert!(read(&mut body).is_err());
    assert_eq!(at.starts(), 0);
    drop(service);
    assert_eq!(*seen.lock().expect("no panic"), [(false, ids)]);
}
