//! The response future: polls the inner future and reports the head to the exchange.

use std::fmt::{self, Display};
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll, ready};

use http::Response;
use http_body::Body;
use pin_project::pin_project;

use crate::exchange::guard::ExchangeGuard;
use crate::middleware::body::ResponseBody;
use crate::middleware::in_context::InContext;
use crate::propagation::current::InnerContext;

/// The response future of [`ApiSpan`](crate::ApiSpan).
///
/// Resolves to the inner service's response, with the body in a [`ResponseBody`], or to its error. The inner
/// future is dropped as soon as it has resolved, inside `poll`. If its destructor panics, `poll` panics, and
/// there is no response.
///
/// # Panics
///
/// `poll` panics if the future has resolved already, with or without a span.
///
/// ```
/// use tower::Service;
/// use tower_api_span::{ApiSpan, ResponseFuture};
///
/// fn call<S>(service: &mut ApiSpan<S>) -> ResponseFuture<S::Future>
/// where
///     S: Service<http::Request<()>, Response = http::Response<String>>,
///     S::Error: std::fmt::Display + 'static,
/// {
///     service.call(http::Request::new(()))
/// }
/// ```
#[pin_project]
pub struct ResponseFuture<F> {
    // Dropped before the guard, so that the inner future's destructor runs while the span is open.
    #[pin]
    inner: InContext<F>,
    exchange: ExchangeGuard,
}

impl<F> ResponseFuture<F> {
    pub(crate) fn new(inner: F, context: InnerContext, exchange: ExchangeGuard) -> Self {
        Self {
            inner: InContext::new(inner, context),
            exchange,
        }
    }
}

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
    E: Display + 'static,
{
    type Output = Result<Response<ResponseBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let polled = this.exchange.run(|| this.inner.as_mut().poll_once(cx));
        let result = ready!(polled);
        let mut exchange = std::mem::take(this.exchange);
        Poll::Ready(match result {
            Ok(response) => {
                let (mut parts, body) = response.into_parts();
                exchange.receive_head(&mut parts, &body);
                let body = ResponseBody::new(body, this.inner.take_context(), exchange);
                Ok(Response::from_parts(parts, body))
            }
            Err(error) => {
                exchange.fail(&error);
                Err(error)
            }
        })
    }
}

impl<F: fmt::Debug> fmt::Debug for ResponseFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture")
            .field("inner", &self.inner)
            .field("exchange", &self.exchange)
            .finish()
    }
}
