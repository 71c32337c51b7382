//! A span that keeps only its ids, and counts how often it is ended.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use opentelemetry::KeyValue;
use opentelemetry::trace::{Span, SpanContext, SpanId, Status, TraceFlags, TraceId, TraceState};

#[derive(Debug)]
pub(crate) struct CountedSpan {
    span_context: SpanContext,
    ends: Arc<AtomicUsize>,
}

impl CountedSpan {
    /// Returns a span with this id. Without an id, it does not record.
    pub(crate) fn new(id: Option<SpanId>, ends: &Arc<AtomicUsize>) -> Self {
        let (trace_id, flags) = (TraceId::from(7), TraceFlags::SAMPLED);
        let context = |id| SpanContext::new(trace_id, id, flags, false, TraceState::NONE);
        Self {
            span_context: id.map_or(SpanContext::NONE, context),
            ends: Arc::clone(ends),
        }
    }
}

impl Span for CountedSpan {
    fn add_event_with_timestamp<T>(&mut self, _: T, _: SystemTime, _: Vec<KeyValue>)
    where
        T: Into<Cow<'static, str>>,
    {
    }

    fn span_context(&self) -> &SpanContext {
        &self.span_context
    }

    fn is_recording(&self) -> bool {
        self.span_context.is_valid()
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
        self.ends.fetch_add(1, Ordering::SeqCst);
    }
}
