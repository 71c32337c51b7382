//! The span that a `Context` holds.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use opentelemetry::trace::{Span, SpanContext, Status, TraceContextExt};
use opentelemetry::{Context, KeyValue};

use crate::catch_panic::catch_panic;
use crate::outcome::Verdict;
use crate::recording::clock::is_wall_now;
use crate::recording::shared_span::SharedSpan;

/// A span that records into the shared span and cannot end it.
pub(crate) struct ContextSpan<H = Arc<SharedSpan>>(H);

impl ContextSpan {
    /// Returns a span whose span context has no trace state.
    pub(crate) fn new(shared: Arc<SharedSpan>) -> Self {
        Self(shared)
    }
}

/// Returns `parent` with a span that has started. `has_trace_state` is whether that has a trace state.
pub(crate) fn with_context_span<S>(
    parent: &Context,
    shared: &mut Arc<SharedSpan<Mutex<Option<S>>>>,
    has_trace_state: bool,
) -> Context
where
    S: Span + Send + Sync + 'static,
{
    if !has_trace_state {
        return parent.with_span(ContextSpan::new(Arc::clone(shared) as Arc<SharedSpan>));
    }
    // The API copies the span context of the span that it gets, with a few allocations. So it gets the span itself, for
    // a moment, and not one that would need a copy, too.
    let span = Arc::get_mut(shared).and_then(SharedSpan::take_out);
    let shared = Arc::clone(shared);
    let context = parent.with_span(ContextSpan(Opening { shared, span }));
    // The first call puts it back.
    context.span().end_with_timestamp(SystemTime::UNIX_EPOCH);
    context
}

/// Holds the shared span for a [`ContextSpan`].
pub(crate) trait Holder {
    fn shared(&self) -> &SharedSpan;

    fn span_context(&self) -> &SpanContext {
        self.shared().span_context()
    }

    /// Puts the span back into the shared span.
    fn put_back(&mut self) {}
}

impl Holder for Arc<SharedSpan> {
    fn shared(&self) -> &SharedSpan {
        self
    }
}

/// Holds the span itself, too, while a context copies its span context.
struct Opening<S> {
    shared: Arc<SharedSpan<Mutex<Option<S>>>>,
    /// In a box, because an open stream holds its place.
    span: Option<Box<S>>,
}

impl<S: Span + Send + Sync + 'static> Holder for Opening<S> {
    fn shared(&self) -> &SharedSpan {
        &*self.shared
    }

    fn span_context(&self) -> &SpanContext {
        match &self.span {
            // The tracer's code. A panic here would end the span too early.
            Some(span) => {
                catch_panic(|| span.span_context()).unwrap_or_else(|| self.shared.span_context())
            }
            None => self.shared.span_context(),
        }
    }

    fn put_back(&mut self) {
        if let Some(span) = self.span.take() {
            self.shared.put_back(*span);
        }
    }
}

impl<H: Holder> fmt::Debug for ContextSpan<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ContextSpan")
            .field(self.0.shared().span_context())
            .finish()
    }
}

impl<H: Holder> Span for ContextSpan<H> {
    fn add_event_with_timestamp<T>(&mut self, name: T, at: SystemTime, attributes: Vec<KeyValue>)
    where
        T: Into<Cow<'static, str>>,
    {
        // `add_event` of the API reads the wall clock and calls this method. Such a time is replaced with now by
        // the request's clock. So the event lies inside the span, even if the wall clock was set meanwhile. Any
        // other time is the application's own, and may lie outside the span, as the specification allows.
        // It is compared before the span's lock is taken, since waiting for that would age it.
        let is_now = is_wall_now(at);
        let time = |now| if is_now { now } else { at };
        self.0.shared().add_event(name.into(), attributes, time);
    }

    fn span_context(&self) -> &SpanContext {
        self.0.span_context()
    }

    fn is_recording(&self) -> bool {
        self.0.shared().is_open_and_recording()
    }

    fn set_attribute(&mut self, attribute: KeyValue) {
        self.0
            .shared()
            .record(|buffer| buffer.set_attribute(attribute));
    }

    /// Records an Error status. It becomes the verdict if the handler gives none. `Ok` is ignored, because the
    /// end of the response decides the outcome.
    fn set_status(&mut self, status: Status) {
        if let Status::Error { description } = status {
            self.0.shared().record(|buffer| {
                buffer
                    .status_error
                    .get_or_insert_with(|| Verdict::from_status(&description));
            });
        }
    }

    fn update_name<T>(&mut self, new_name: T)
    where
        T: Into<Cow<'static, str>>,
    {
        let new_name = new_name.into();
        if new_name.is_empty() {
            return;
        }
        self.0
            .shared()
            .record(|buffer| buffer.name = Some(new_name));
    }

    fn add_link(&mut self, span_context: SpanContext, attributes: Vec<KeyValue>) {
        self.0
            .shared()
            .record(|buffer| buffer.add_link(span_context, attributes));
    }

    /// Does not end the span, which ends with the response. The layer's own call puts the span back.
    fn end_with_timestamp(&mut self, _: SystemTime) {
        self.0.put_back();
    }
}

#[cfg(test)]
mod tests;
