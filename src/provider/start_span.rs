//! Starts a span with a tracer of any type.

use std::sync::Arc;

use opentelemetry::Context;
use opentelemetry::trace::{SpanBuilder, SpanContext, TraceContextExt, Tracer};

use crate::provider::parent::Parent;
use crate::recording::clock::Clock;
use crate::recording::context_span::with_context_span;
use crate::recording::shared_span::SharedSpan;

/// A span that has started.
pub(crate) struct StartedSpan {
    pub(crate) span: Arc<SharedSpan>,
    /// The parent context of its children.
    pub(crate) context: Context,
}

/// Options of the start of a span.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StartOptions {
    pub(crate) clock: Clock,
    /// Whether metrics or logs read the recorded data, even if the span does not record.
    pub(crate) has_other_readers: bool,
}

/// The span context that a tracer returned without making a span, without its trace state: that of the parent, or an
/// invalid one.
pub(crate) struct NotStarted(pub(super) SpanContext);

/// A tracer whose type is erased.
pub(crate) trait StartSpan: Send + Sync {
    /// Starts a span.
    fn start(
        &self,
        builder: SpanBuilder,
        parent: &mut Parent<'_>,
        options: StartOptions,
    ) -> Result<StartedSpan, NotStarted>;
}

impl<T> StartSpan for T
where
    T: Tracer + Send + Sync,
    T::Span: Send + Sync + 'static,
{
    fn start(
        &self,
        builder: SpanBuilder,
        parent: &mut Parent<'_>,
        options: StartOptions,
    ) -> Result<StartedSpan, NotStarted> {
        let StartOptions {
            clock,
            has_other_readers,
        } = options;
        // Built in place: moving a span is expensive.
        let mut span = Arc::new(SharedSpan::empty(has_other_readers, clock));
        let started = Arc::get_mut(&mut span);
        let has_trace_state = started
            .is_some_and(|span| span.set(self.build_with_context(builder, parent.context())));
        let has_own_id = span.span_context().is_valid()
            && span.span_context().span_id() != parent.context().span().span_context().span_id();
        if !has_own_id && !span.is_recording() {
            let answer = span.span_context().clone();
            let span: Arc<SharedSpan> = span;
            span.end_unrecorded();
            return Err(NotStarted(answer));
        }
        let context = if has_own_id {
            with_context_span(parent.drop_caller_span(), &mut span, has_trace_state)
        } else {
            // With an invalid span in the context, the children would not be in the caller's trace.
            parent.context().clone()
        };
        Ok(StartedSpan { span, context })
    }
}
