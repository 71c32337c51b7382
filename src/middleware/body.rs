//! The response body: passes frames on and notices the end.

use std::fmt::{self, Display};
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use http_body::{Body, Frame, SizeHint};
use opentelemetry::Context;
use pin_project::pin_project;

use crate::catch_panic::catch_panic;
use crate::exchange::RequestSpan;
use crate::middleware::in_context::InContext;

/// The body of a response made by [`ApiSpan`](crate::ApiSpan).
///
/// Frames, trailers, errors, panics, `size_hint` and `is_end_stream` are those of the wrapped body.
/// The one exception, with or without a span: once it has returned `None`, the wrapped body is not
/// polled again, because middleware does so and some bodies panic.
///
/// The span ends before the frame, `None` or error that makes the end certain is returned, or else
/// when this body is dropped.
///
/// ```
/// use tower_api_span::ResponseBody;
///
/// // Where the wrapped body has a default, as middleware that makes responses asks for.
/// let _body = ResponseBody::<String>::default();
/// ```
#[pin_project]
pub struct ResponseBody<B> {
    // Before the span, so that the wrapped body's destructor runs while the span is open.
    #[pin]
    inner: InContext<B>,
    span: Option<Box<RequestSpan>>,
    exhausted: bool,
}

impl<B> ResponseBody<B> {
    pub(crate) fn new(inner: B, context: Option<Context>, span: Option<Box<RequestSpan>>) -> Self {
        Self {
            inner: InContext::new(inner, context),
            span,
            exhausted: false,
        }
    }
}

impl<B> Body for ResponseBody<B>
where
    B: Body,
    B::Error: Display,
{
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let mut this = self.project();
        if *this.exhausted {
            return Poll::Ready(None);
        }
        let Some(span) = this.span else {
            // Nobody looks on.
            let polled = this.inner.as_mut().enter(|body| body.poll_frame(cx));
            *this.exhausted = matches!(polled, Poll::Ready(None));
            return polled;
        };
        span.polled();
        let polled = RequestSpan::watch(this.span, || {
            this.inner.as_mut().enter(|body| body.poll_frame(cx))
        });
        if let Poll::Ready(frame) = &polled {
            *this.exhausted = frame.is_none();
            if this.span.is_some() {
                // A `Buf` or an `is_end_stream` that panics here panics again where the server
                // asks, if it does.
                catch_panic(|| notice(this.span, frame.as_ref(), this.inner.get_ref()));
            }
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

/// Tells the span what is about to be handed on, and ends it if that makes the end certain.
fn notice<B>(
    span: &mut Option<Box<RequestSpan>>,
    frame: Option<&Result<Frame<B::Data>, B::Error>>,
    body: &B,
) where
    B: Body,
    B::Error: Display,
{
    let frame = match frame {
        Some(Ok(frame)) => frame,
        Some(Err(error)) => {
            if let Some(span) = span.take() {
                span.body_error(error);
            }
            return;
        }
        None => {
            if let Some(span) = span.take() {
                span.over(None);
            }
            return;
        }
    };
    if let Some(data) = frame.data_ref()
        && span.as_mut().is_some_and(|span| span.data(data))
    {
        if let Some(span) = span.take() {
            span.terminated();
        }
        return;
    }
    // Nobody polls on after trailers, so what follows them can't be waited for.
    if (frame.is_trailers() || body.is_end_stream())
        && let Some(span) = span.take()
    {
        span.over(frame.trailers_ref());
    }
}

impl<B: Default> Default for ResponseBody<B> {
    fn default() -> Self {
        Self::new(B::default(), None, None)
    }
}

impl<B: fmt::Debug> fmt::Debug for ResponseBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody")
            .field("inner", &self.inner)
            .field("span", &self.span)
            .finish_non_exhaustive()
    }
}
