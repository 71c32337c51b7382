//! The service behind every server: a function from request to response.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use tower::Service;

/// A function from request to response.
#[derive(Clone)]
pub struct Handler(Arc<dyn Fn(Request<Body>) -> ResponseFuture + Send + Sync>);

type ResponseFuture = BoxFuture<'static, Result<Response<Body>, Infallible>>;

impl Handler {
    pub fn new<F>(handle: impl Fn(Request<Body>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        Self(Arc::new(move |request| {
            let response = handle(request);
            Box::pin(async move { Ok(response.await) })
        }))
    }
}

impl Service<Request<Body>> for Handler {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> ResponseFuture {
        (self.0)(request)
    }
}
