//! The response body: forwards each frame and reports it to the exchange.

use std::fmt::{self, Display};
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use http_body::{Body, Frame, SizeHint};
use pin_project::pin_project;

use crate::exchange::guard::ExchangeGuard;
use crate::middleware::in_context::InContext;
use crate::propagation::current::InnerContext;

/// The body of a response of [`ApiSpan`](crate::ApiSpan).
///
/// Frames, trailers, errors, panics, `size_hint` and `is_end_stream` are those of the inner body. There is one
/// exception, with or without a span: once the inner body has returned `None`, it is not polled again. Some
/// bodies panic then, and some middleware polls again.
///
/// The span ends just before the frame, `None` or error that makes the end certain is returned. Otherwise it
/// ends when this body is dropped.
///
/// ```
/// use tower_api_span::ResponseBody;
///
/// // Middleware that makes empty responses needs a body with a default.
/// let _body = ResponseBody::<String>::default();
/// ```
#[pin_project]
pub struct ResponseBody<B> {
    // Dropped before the guard, so that the inner body's destructor runs while the span is open.
    #[pin]
    inner: InContext<B>,
    exchange: ExchangeGuard,
    is_exhausted: bool,
}

impl<B> ResponseBody<B> {
    pub(crate) fn new(inner: B, context: InnerContext, exchange: ExchangeGuard) -> Self {
        Self {
            inner: InContext::new(inner, context),
            exchange,
            is_exhausted: false,
        }
    }
}

impl<B> Body for ResponseBody<B>
where
    B: Body,
    B::Error: Display + 'static,
{
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let mut this = self.project();
        if *this.is_exhausted {
            return Poll::Ready(None);
        }
        if !this.exchange.mark_body_polled() {
            // There is no exchange, or it has ended.
            let polled = this.inner.as_mut().enter(|body| body.poll_frame(cx));
            *this.is_exhausted = matches!(polled, Poll::Ready(None));
            return polled;
        }
        let polled = this
            .exchange
            .run(|| this.inner.as_mut().enter(|body| body.poll_frame(cx)));
        // The result is returned in place: moving a frame is expensive.
        if let Poll::Ready(frame) = &polled {
            *this.is_exhausted = frame.is_none();
            let body = this.inner.get_ref();
            this.exchange.receive_frame(frame.as_ref(), body);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.get_ref().is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.get_ref().size_hint()
    }
}

impl<B: Default> Default for ResponseBody<B> {
    fn default() -> Self {
        Self::new(
            B::default(),
            InnerContext::default(),
            ExchangeGuard::default(),
        )
    }
}

impl<B: fmt::Debug> fmt::Debug for ResponseBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody")
            .field("inner", &self.inner)
            .field("exchange", &self.exchange)
            .finish_non_exhaustive()
    }
}
