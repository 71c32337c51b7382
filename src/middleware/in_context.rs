//! What is wrapped, polled *and dropped* with the request's context current.

use std::fmt;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll, ready};

use opentelemetry::Context;
use pin_project::{pin_project, pinned_drop};

use crate::catch_panic::catch_panic;

/// Calls `f` with `context` current, if there is one.
///
/// Where the thread's stack of contexts is in use, or gone with the thread, attaching panics; `f` is
/// called all the same.
pub(crate) fn attached<R>(context: Option<&Context>, f: impl FnOnce() -> R) -> R {
    let _attached = context.and_then(|context| catch_panic(|| context.clone().attach()));
    f()
}

/// A future or body of the inner service.
///
/// A stream's destructor is part of the request: the engine's abort is made there, and its span is
/// a child like any other. So the context is current while the value is dropped, also when the span
/// has ended long before.
#[pin_project(PinnedDrop)]
pub(crate) struct InContext<T> {
    /// `None` once a future has finished, and while `drop` runs: a pinned value can be dropped early in no
    /// other safe way.
    #[pin]
    inner: Option<T>,
    context: Option<Context>,
}

impl<T> InContext<T> {
    pub(crate) fn new(inner: T, context: Option<Context>) -> Self {
        Self {
            inner: Some(inner),
            context,
        }
    }

    pub(crate) fn get_ref(&self) -> &T {
        self.inner.as_ref().expect(PRESENT)
    }

    /// The context, of a future that has finished and needs it no more.
    pub(crate) fn take_context(self: Pin<&mut Self>) -> Option<Context> {
        self.project().context.take()
    }

    /// Polls the wrapped future with the context current. Once it has given its output it is dropped, as
    /// whoever awaits it would do next: in the same context, which need not be attached again for that.
    pub(crate) fn poll_once(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<T::Output>
    where
        T: Future,
    {
        let mut this = self.project();
        attached(this.context.as_ref(), || {
            let inner = this.inner.as_mut().as_pin_mut().expect(UNFINISHED);
            let output = ready!(inner.poll(cx));
            this.inner.set(None);
            Poll::Ready(output)
        })
    }

    /// Calls `f` with the wrapped value and the context current.
    pub(crate) fn enter<R>(self: Pin<&mut Self>, f: impl FnOnce(Pin<&mut T>) -> R) -> R {
        let this = self.project();
        let inner = this.inner.as_pin_mut().expect(PRESENT);
        attached(this.context.as_ref(), || f(inner))
    }
}

const PRESENT: &str = "the value is there until the wrapper is dropped";
const UNFINISHED: &str = "`ResponseFuture` is not polled after it has given its response";

#[pinned_drop]
impl<T> PinnedDrop for InContext<T> {
    fn drop(self: Pin<&mut Self>) {
        let mut this = self.project();
        if this.inner.is_some() {
            attached(this.context.as_ref(), || this.inner.set(None));
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for InContext<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}
