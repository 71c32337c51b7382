//! What the spans of a context record, and that they are put back.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry::trace::{SpanId, TraceFlags, TraceId, TraceState, Tracer, TracerProvider};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};

use super::*;
use crate::recording::buffer::Event;
use crate::recording::clock::{Clock, mock, now};

const HOUR: Duration = Duration::from_secs(3_600);
const SECOND: Duration = Duration::from_secs(1);

/// Returns the new time of the wall clock.
type SetClock = fn(SystemTime) -> SystemTime;

/// A span that started a second ago, and its clock.
fn started() -> (Arc<SharedSpan>, Clock) {
    let tracer = SdkTracerProvider::builder().build().tracer("test");
    let span = tracer.start("test");
    let clock = Clock::start();
    mock::advance(SECOND);
    let mut shared = SharedSpan::empty(false, clock);
    shared.set(span);
    (Arc::new(shared), clock)
}

/// Adds an event as `add_event` of the API does, which reads the wall clock.
fn add_event(context: &Context, name: &'static str) {
    let span = context.span();
    span.add_event_with_timestamp(name, mock::wall_now(), Vec::new());
}

fn recorded(span: &SharedSpan) -> Vec<Event> {
    span.close().map(|buffer| buffer.events).unwrap_or_default()
}

#[test]
fn an_event_of_the_api_lies_inside_the_span_wherever_the_wall_clock_was_set() {
    let second = |clock: SystemTime| clock + SECOND;
    let cases: [(&str, SetClock); 6] = [
        ("not set", |wall| wall),
        ("an hour back", |wall| wall - HOUR),
        ("an hour forward", |wall| wall + HOUR),
        ("to the start of the span", |wall| wall - SECOND),
        ("back by two milliseconds", |wall| {
            wall - Duration::from_millis(2)
        }),
        ("to 1970", |_| SystemTime::UNIX_EPOCH),
    ];
    for (rule, set) in cases {
        let (span, clock) = started();
        let context = Context::new().with_span(ContextSpan::new(Arc::clone(&span)));
        mock::set_wall(set(mock::wall_now()));
        add_event(&context, "first");
        mock::advance(SECOND);
        add_event(&context, "second");
        let times: Vec<_> = recorded(&span).iter().map(|event| event.at).collect();
        let first = second(clock.started());
        assert_eq!(times, [first, second(first)], "{rule}");
    }
}

#[test]
fn an_explicit_time_is_kept_also_outside_the_span_and_after_the_wall_clock_was_set() {
    let (span, clock) = started();
    let context = Context::new().with_span(ContextSpan::new(Arc::clone(&span)));
    mock::set_wall(clock.started() - HOUR);
    let explicit = [
        ("before the start", clock.started() - SECOND),
        ("inside", clock.started() + SECOND / 2),
        ("now by the request's clock", clock.at(now())),
        ("after now", clock.at(now()) + HOUR),
        ("before now by the wall clock", mock::wall_now() - SECOND),
    ];
    for (name, at) in explicit {
        let span = context.span();
        span.add_event_with_timestamp(name, at, Vec::new());
    }
    for ((rule, at), event) in explicit.iter().zip(recorded(&span)) {
        assert_eq!(event.at, *at, "{rule}");
    }
}

#[test]
fn a_late_event_of_the_api_is_not_after_the_end_of_the_span() {
    let (span, clock) = started();
    let context = Context::new().with_span(ContextSpan::new(Arc::clone(&span)));
    let in_time = span.close();
    let end = clock.at(now());
    mock::advance(SECOND);
    mock::set_wall(end + HOUR);
    add_event(&context, "late");
    let late = span.close();
    let merged = crate::recording::buffer::SpanBuffer::merge(in_time, late, end);
    let times: Vec<_> = merged
        .expect("an event")
        .events
        .iter()
        .map(|event| event.at)
        .collect();
    assert_eq!(times, [end]);
}

#[test]
fn a_span_with_a_trace_state_is_put_back_and_its_context_has_the_trace_state() {
    for list in ["", "a=1", "a=1,b=2"] {
        let exporter = InMemorySpanExporter::default();
        let provider = SdkTracerProvider::builder()
            .with_simple_exporter(exporter.clone())
            .build();
        let tracer = provider.tracer("test");
        let caller = SpanContext::new(
            TraceId::from(1),
            SpanId::from(2),
            TraceFlags::SAMPLED,
            true,
            list.parse::<TraceState>().expect("a list"),
        );
        let parent = Context::new().with_remote_span_context(caller);
        let mut shared = Arc::new(SharedSpan::empty(false, Clock::start()));
        let span = tracer.start_with_context("test", &parent);
        let only = Arc::get_mut(&mut shared).expect("the only one");
        let has_trace_state = only.set(span);
        assert_eq!(has_trace_state, !list.is_empty());
        let context = with_context_span(&parent, &mut shared, has_trace_state);
        assert_eq!(context.span().span_context().trace_state().header(), list);
        context.span().set_attribute(KeyValue::new("in", "time"));
        context.span().end();
        assert!(context.span().is_recording(), "it ends with the response");
        assert_eq!(exporter.get_finished_spans().expect("spans").len(), 0);
        let shared: Arc<SharedSpan> = shared;
        let recorded = shared.close().expect("an attribute");
        assert!(recorded.attributes.get("in").is_some());
        shared.end(shared.clock().started(), &mut |_, _| {});
        let spans = exporter.get_finished_spans().expect("spans");
        assert_eq!(spans[0].span_context.trace_state().header(), list);
        assert_eq!(spans[0].span_context, *context.span().span_context());
    }
}

/// A span with a trace state whose span context can be read once, and panics then.
struct AnswersOnce {
    span_context: SpanContext,
    is_read: AtomicBool,
    ended: Arc<AtomicBool>,
}

impl Span for AnswersOnce {
    fn add_event_with_timestamp<T>(&mut self, _: T, _: SystemTime, _: Vec<KeyValue>)
    where
        T: Into<Cow<'static, str>>,
    {
    }

    fn span_context(&self) -> &SpanContext {
        let is_read = self.is_read.swap(true, Ordering::Relaxed);
        assert!(!is_read, "a second call");
        &self.span_context
    }

    fn is_recording(&self) -> bool {
        true
    }

    fn set_attribute(&mut self, _: KeyValue) {}

    fn set_status(&mut self, _: Status) {}

    fn update_name<T>(&mut self, _: T)
    where
        T: Into<Cow<'static, str>>,
    {
    }

    fn add_link(&mut self, _: SpanContext, _: Vec<KeyValue>) {}

    fn end_with_timestamp(&mut self, _: SystemTime) {
        self.ended.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_span_that_panics_while_its_context_is_made_ends_with_the_response() {
    let ended = Arc::new(AtomicBool::new(false));
    let state = "a=1".parse().expect("a list");
    let (trace_id, span_id) = (TraceId::from(1), SpanId::from(2));
    let span_context = SpanContext::new(trace_id, span_id, TraceFlags::SAMPLED, false, state);
    let mut shared = Arc::new(SharedSpan::empty(false, Clock::start()));
    let has_trace_state = Arc::get_mut(&mut shared)
        .expect("the only one")
        .set(AnswersOnce {
            span_context,
            is_read: AtomicBool::new(false),
            ended: Arc::clone(&ended),
        });
    assert!(has_trace_state);
    let context = with_context_span(&Context::new(), &mut shared, has_trace_state);
    assert_eq!(context.span().span_context().span_id(), span_id);
    assert!(!ended.load(Ordering::Relaxed), "too early");
    let shared: Arc<SharedSpan> = shared;
    shared.end(SystemTime::now(), &mut |_, _| {});
    assert!(ended.load(Ordering::Relaxed));
}
