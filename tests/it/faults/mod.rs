//! The tracing code panics or re-enters itself: the request is unaffected and the span is ended once.

mod callbacks;
mod context_stack;
mod processor;
mod reentrant_span;
#[cfg(feature = "internal-logs")]
mod reports;
mod tracer;
mod unwinding;
