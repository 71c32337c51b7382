//! The request's span of `tracing`, which is current while the inner service runs.

use std::sync::Arc;

use tracing::Span;
use tracing::span::Entered;

use crate::catch_panic::catch_panic;

/// A span of `tracing` that is enabled. A subscriber that panics affects no request.
#[derive(Clone, Debug)]
pub(crate) struct TracingSpan(Arc<Open>);

/// Closes the span when the last clone is dropped.
#[derive(Debug)]
struct Open(Option<Span>);

impl Drop for Open {
    fn drop(&mut self) {
        catch_panic(|| drop(self.0.take()));
    }
}

impl TracingSpan {
    /// Returns `None` if no subscriber records the span.
    pub(crate) fn new(span: Span) -> Option<Self> {
        (!span.is_disabled()).then(|| Self(Arc::new(Open(Some(span)))))
    }

    pub(crate) fn span(&self) -> Option<&Span> {
        self.0.0.as_ref()
    }

    /// Makes the span current until what is returned is dropped.
    pub(crate) fn enter(&self) -> EnteredSpan<'_> {
        let entered = catch_panic(|| self.span().map(Span::enter));
        if entered.is_none() {
            // One of several layers has panicked, and the others have it as current.
            catch_panic(|| self.span()?.with_subscriber(|(id, to)| to.exit(id)));
        }
        EnteredSpan(entered.flatten())
    }
}

/// A span that is current.
pub(crate) struct EnteredSpan<'a>(Option<Entered<'a>>);

impl Drop for EnteredSpan<'_> {
    fn drop(&mut self) {
        catch_panic(|| drop(self.0.take()));
    }
}
