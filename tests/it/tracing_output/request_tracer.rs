//! `RequestTracer` as the tracer of spans that are no request's: each call arrives at the wrapped span.

use std::time::{Duration, SystemTime};

use opentelemetry::KeyValue;
use opentelemetry::trace::noop::NoopTracer;
use opentelemetry::trace::{Span as _, SpanContext, SpanId, Status, Tracer as _};
use opentelemetry::trace::{TraceFlags, TraceId, TraceState, TracerProvider as _};
use tower_api_span::RequestTracer;

use crate::support::recorder::Recorder;

#[test]
fn another_span_of_a_request_tracer_is_that_of_the_wrapped_tracer() {
    let at = Recorder::new();
    let mut span = RequestTracer::new(at.provider.tracer("app")).start("first");
    assert!(span.is_recording());
    let id = span.span_context().span_id();
    assert!(format!("{span:?}").contains(&format!("{id}")), "{span:?}");

    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
    let linked = SpanContext::new(
        TraceId::from(7),
        SpanId::from(8),
        TraceFlags::SAMPLED,
        true,
        TraceState::NONE,
    );
    span.add_event_with_timestamp("event", time, Vec::new());
    span.set_attribute(KeyValue::new("key", 1));
    span.set_status(Status::error("no"));
    span.update_name("second");
    span.add_link(linked.clone(), Vec::new());
    span.end_with_timestamp(time);

    let spans = at.exported();
    let [span] = &spans[..] else {
        panic!("{spans:?}");
    };
    assert_eq!(span.span_context.span_id(), id);
    assert_eq!(span.name, "second");
    assert_eq!(span.end_time, time);
    assert_eq!(span.status, Status::error("no"));
    assert_eq!(span.attributes, [KeyValue::new("key", 1)]);
    let events: Vec<_> = span.events.iter().map(|event| &*event.name).collect();
    assert_eq!(events, ["event"]);
    let links: Vec<_> = span.links.iter().map(|link| &link.span_context).collect();
    assert_eq!(links, [&linked]);
}

#[test]
fn a_span_of_a_wrapped_no_op_does_not_record() {
    let span = RequestTracer::new(NoopTracer::new()).start("none");
    assert!(!span.is_recording());
}
