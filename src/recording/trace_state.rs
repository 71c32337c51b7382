//! Takes the trace state off a span context.

use opentelemetry::trace::{SpanContext, TraceState};

/// Returns a span context without its trace state, and whether it has one.
pub(super) fn without_trace_state(full: &SpanContext) -> (SpanContext, bool) {
    let (trace_id, span_id) = (full.trace_id(), full.span_id());
    let (flags, is_remote) = (full.trace_flags(), full.is_remote());
    let reduced = SpanContext::new(trace_id, span_id, flags, is_remote, TraceState::NONE);
    let has_trace_state = *full.trace_state() != TraceState::NONE;
    (reduced, has_trace_state)
}
