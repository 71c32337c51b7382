//! Ends a span, whatever its type.

use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use opentelemetry::global::ObjectSafeSpan;
use opentelemetry::trace::Span;

use crate::catch_panic::catch_panic;

/// Ends a span of any type.
pub(crate) trait EndSpan: Send + Sync {
    /// Takes the span out, passes it to `write`, and ends it at `at`. A second call has no effect.
    fn end(&self, at: SystemTime, write: &mut dyn FnMut(&mut dyn ObjectSafeSpan));

    /// Takes the span out and ends it without writing to it.
    fn end_unrecorded(&self);
}

impl<S: Span + Send + Sync> EndSpan for Mutex<Option<S>> {
    fn end(&self, at: SystemTime, write: &mut dyn FnMut(&mut dyn ObjectSafeSpan)) {
        let mut span = take(self);
        if let Some(span) = &mut span {
            catch_panic(|| write(span));
            catch_panic(|| span.end_with_timestamp(at));
        }
        // If `end_with_timestamp` panicked, dropping the span still exports it. Dropped in place, since
        // moving a span is expensive.
        catch_panic(|| span = None);
    }

    fn end_unrecorded(&self) {
        let mut span = take(self);
        if let Some(span) = &mut span {
            catch_panic(|| span.end());
        }
        catch_panic(|| span = None);
    }
}

/// Takes the span out, and releases the lock.
fn take<S>(span: &Mutex<Option<S>>) -> Option<S> {
    span.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// Replaces the span of a request that only metrics or logs observe.
pub(crate) struct NoSpan;

impl EndSpan for NoSpan {
    fn end(&self, _: SystemTime, _: &mut dyn FnMut(&mut dyn ObjectSafeSpan)) {}

    fn end_unrecorded(&self) {}
}
