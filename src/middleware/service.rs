//! The service: starts an exchange for each call.

use std::fmt::Display;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use crate::exchange::shared::Shared;
use crate::exchange::start::start;
use crate::middleware::body::ResponseBody;
use crate::middleware::future::ResponseFuture;

/// A service that opens a span for each request, made by [`ApiSpanLayer`](crate::ApiSpanLayer).
///
/// It is a [`Service`] if the inner service takes an [`http::Request`] and returns an [`http::Response`] with an
/// [`http_body::Body`], and if the errors of both implement [`Display`]. The compiler may not name the bound that is
/// not met: see the guide [troubleshooting](crate::guide::troubleshooting#it-does-not-compile).
///
/// ```
/// use tower_api_span::ApiSpan;
///
/// let service = ApiSpan::new(tower::service_fn(async |_: http::Request<()>| {
///     Ok::<_, std::convert::Infallible>(http::Response::new(String::new()))
/// }));
/// # let _ = service;
/// ```
#[derive(Clone, Debug)]
pub struct ApiSpan<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S> ApiSpan<S> {
    /// Wraps `inner` with the defaults of [`ApiSpanLayer::new`](crate::ApiSpanLayer::new), and reads the same
    /// environment variable.
    #[must_use]
    pub fn new(inner: S) -> Self {
        Self::with_shared(inner, Arc::new(Shared::from_environment()))
    }

    pub(crate) fn with_shared(inner: S, shared: Arc<Shared>) -> Self {
        Self { inner, shared }
    }

    /// Returns a reference to the inner service.
    ///
    /// ```
    /// assert_eq!(*tower_api_span::ApiSpan::new(7).get_ref(), 7);
    /// ```
    #[must_use]
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// Returns a mutable reference to the inner service.
    ///
    /// ```
    /// let mut service = tower_api_span::ApiSpan::new(7);
    /// *service.get_mut() = 8;
    /// assert_eq!(*service.get_ref(), 8);
    /// ```
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// Returns the inner service, and drops the wrapper.
    ///
    /// ```
    /// assert_eq!(tower_api_span::ApiSpan::new(7).into_inner(), 7);
    /// ```
    #[must_use]
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for ApiSpan<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    S::Error: Display + 'static,
    ResBody: Body,
    ResBody::Error: Display + 'static,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let (mut parts, body) = request.into_parts();
        let (context, mut exchange) = start(&self.shared, &mut parts);
        // Put together where it is used: to move a request is a copy.
        let inner = &mut self.inner;
        let call = || inner.call(Request::from_parts(parts, body));
        let future = exchange.run(|| context.enter(call));
        ResponseFuture::new(future, context, exchange)
    }
}
