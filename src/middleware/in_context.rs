//! A future or body of the inner service, polled *and dropped* with the request's context current.

use std::fmt;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll, ready};

use pin_project::{pin_project, pinned_drop};

use crate::propagation::current::InnerContext;

/// A future or body of the inner service, with the request's context.
///
/// A destructor can be part of the request. For example, an engine aborts its generation there, in a child span.
/// So the context is current while the value is dropped, even after the request's span has ended.
#[pin_project(PinnedDrop)]
pub(crate) struct InContext<T> {
    /// `None` once a future has resolved, and while `drop` runs. Setting an `Option` to `None` drops a pinned value
    /// early without `unsafe`.
    #[pin]
    inner: Option<T>,
    context: InnerContext,
}

impl<T> InContext<T> {
    pub(crate) fn new(inner: T, context: InnerContext) -> Self {
        Self {
            inner: Some(inner),
            context,
        }
    }

    pub(crate) fn get_ref(&self) -> &T {
        self.inner.as_ref().expect(PRESENT)
    }

    /// Takes the context of a future that has resolved.
    pub(crate) fn take_context(self: Pin<&mut Self>) -> InnerContext {
        std::mem::take(self.project().context)
    }

    /// Polls the wrapped future with the context current, and drops it when it has resolved. A later drop would
    /// have to attach the context again.
    pub(crate) fn poll_once(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<T::Output>
    where
        T: Future,
    {
        let mut this = self.project();
        this.context.enter(|| {
            let inner = this.inner.as_mut().as_pin_mut().expect(UNFINISHED);
            let output = ready!(inner.poll(cx));
            this.inner.set(None);
            Poll::Ready(output)
        })
    }

    /// Calls `f` with the wrapped value, and the context current.
    pub(crate) fn enter<R>(self: Pin<&mut Self>, f: impl FnOnce(Pin<&mut T>) -> R) -> R {
        let this = self.project();
        let inner = this.inner.as_pin_mut().expect(PRESENT);
        this.context.enter(|| f(inner))
    }
}

const PRESENT: &str = "the value is there until the wrapper is dropped";
const UNFINISHED: &str = "`ResponseFuture` is not polled after it has returned its response";

#[pinned_drop]
impl<T> PinnedDrop for InContext<T> {
    fn drop(self: Pin<&mut Self>) {
        let mut this = self.project();
        if this.inner.is_some() {
            this.context.enter(|| this.inner.set(None));
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for InContext<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}
