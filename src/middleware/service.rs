//! The service: one call is a span started and handed on.

use std::fmt::Display;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use crate::exchange::{Opened, RequestSpan};
use crate::middleware::body::ResponseBody;
use crate::middleware::future::ResponseFuture;
use crate::middleware::in_context::attached;
use crate::settings::Settings;

/// A service whose requests have a span each, made by [`ApiSpanLayer`](crate::ApiSpanLayer).
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
    config: Arc<Settings>,
}

impl<S> ApiSpan<S> {
    /// Wraps `inner` with the defaults of [`ApiSpanLayer::new`](crate::ApiSpanLayer::new).
    #[must_use]
    pub fn new(inner: S) -> Self {
        Self::with_config(inner, Arc::default())
    }

    pub(crate) fn with_config(inner: S, config: Arc<Settings>) -> Self {
        Self { inner, config }
    }

    /// The wrapped service.
    ///
    /// ```
    /// assert_eq!(*tower_api_span::ApiSpan::new(7).get_ref(), 7);
    /// ```
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The wrapped service.
    ///
    /// ```
    /// let mut service = tower_api_span::ApiSpan::new(7);
    /// *service.get_mut() = 8;
    /// assert_eq!(*service.get_ref(), 8);
    /// ```
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The wrapped service.
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
    S::Error: Display,
    ResBody: Body,
    ResBody::Error: Display,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let (mut parts, body) = request.into_parts();
        let Opened { context, mut span } = RequestSpan::open(&self.config, &mut parts);
        let request = Request::from_parts(parts, body);
        let future = RequestSpan::watch(&mut span, || {
            attached(context.as_ref(), || self.inner.call(request))
        });
        ResponseFuture::new(future, context, span)
    }
}
