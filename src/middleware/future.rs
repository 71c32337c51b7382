//! The response future: waits for the head.

use std::fmt::{self, Display};
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll, ready};

use http::Response;
use http_body::Body;
use opentelemetry::Context;
use pin_project::pin_project;

use crate::catch_panic::catch_panic;
use crate::exchange::RequestSpan;
use crate::middleware::body::ResponseBody;
use crate::middleware::in_context::InContext;

/// The future of a response made by [`ApiSpan`](crate::ApiSpan).
///
/// Resolves to what the inner service's future does, with the body in a [`ResponseBody`]. That future is
/// dropped as soon as it has resolved, and not when this one is: should its destructor panic, that is a
/// panic of `poll`, and there is no response.
///
/// # Panics
///
/// When polled once more after it has resolved, with or without a span.
///
/// ```
/// use tower::Service;
/// use tower_api_span::{ApiSpan, ResponseFuture};
///
/// fn of<S>(service: &mut ApiSpan<S>) -> ResponseFuture<S::Future>
/// where
///     S: Service<http::Request<()>, Response = http::Response<String>>,
///     S::Error: std::fmt::Display,
/// {
///     service.call(http::Request::new(()))
/// }
/// ```
#[pin_project]
pub struct ResponseFuture<F> {
    // Before the span, so that the wrapped future's destructor runs while the span is open.
    #[pin]
    inner: InContext<F>,
    span: Option<Box<RequestSpan>>,
}

impl<F> ResponseFuture<F> {
    pub(crate) fn new(inner: F, context: Option<Context>, span: Option<Box<RequestSpan>>) -> Self {
        Self {
            inner: InContext::new(inner, context),
            span,
        }
    }
}

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
    E: Display,
{
    type Output = Result<Response<ResponseBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let polled = RequestSpan::watch(this.span, || this.inner.as_mut().poll_once(cx));
        let span = match &polled {
            Poll::Pending => None,
            Poll::Ready(_) => this.span.take(),
        };
        Poll::Ready(match ready!(polled) {
            Ok(response) => {
                let (mut parts, body) = response.into_parts();
                if let Some(span) = &span {
                    span.tell_caller(&mut parts.headers);
                }
                let span = span.and_then(|span| {
                    // The server asks the body the same things next, where a panic is its own.
                    let (ended, exact) =
                        catch_panic(|| (body.is_end_stream(), body.size_hint().exact()))
                            .unwrap_or((false, None));
                    span.head(&parts, ended, exact)
                });
                let context = this.inner.take_context();
                Ok(Response::from_parts(
                    parts,
                    ResponseBody::new(body, context, span),
                ))
            }
            Err(error) => {
                if let Some(span) = span {
                    span.service_error(&error);
                }
                Err(error)
            }
        })
    }
}

impl<F: fmt::Debug> fmt::Debug for ResponseFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture")
            .field("inner", &self.inner)
            .field("span", &self.span)
            .finish()
    }
}
