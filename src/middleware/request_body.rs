//! The request body: counts the bytes that the handler reads.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, ready};

use bytes::Buf;
use http::Request;
use http_body::{Body, Frame, SizeHint};
use pin_project::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::catch_panic::catch_panic;
use crate::handle::SpanHandle;
use crate::recording::shared_span::SharedSpan;

/// Counts the bytes of request bodies as they are read, for
/// [`body_sizes`](crate::ApiSpanLayer::body_sizes).
///
/// Put it inside an [`ApiSpanLayer`](crate::ApiSpanLayer). It is a separate layer because it changes the type of
/// the request's body. Without it a request's size is its Content-Length, whether or not the body was read. If
/// a retry inside copies the request, the copy that was read furthest counts.
///
/// ```
/// use axum::{Router, routing::post};
/// use tower_api_span::{ApiSpanLayer, CountRequestBodyLayer};
///
/// let app: Router = Router::new()
///     .route("/upload", post(async |body: axum::body::Bytes| body.len().to_string()))
///     .layer(CountRequestBodyLayer::new())
///     .layer(ApiSpanLayer::new().body_sizes(true));
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[must_use = "a layer does nothing until it wraps a service"]
pub struct CountRequestBodyLayer(());

impl CountRequestBodyLayer {
    /// Creates the layer. It has no settings.
    ///
    /// ```
    /// let layer = tower_api_span::CountRequestBodyLayer::new();
    /// # let _ = layer;
    /// ```
    pub fn new() -> Self {
        Self::default()
    }
}

impl<S> Layer<S> for CountRequestBodyLayer {
    type Service = CountRequestBody<S>;

    fn layer(&self, inner: S) -> Self::Service {
        CountRequestBody { inner }
    }
}

/// A service that counts the bytes of request bodies, made by [`CountRequestBodyLayer`].
///
/// ```
/// use http::{Request, Response};
/// use tower::{Layer, service_fn};
/// use tower_api_span::{CountRequestBodyLayer, CountedBody};
///
/// let service = CountRequestBodyLayer::new().layer(service_fn(
///     async |_: Request<CountedBody<String>>| {
///         Ok::<_, std::convert::Infallible>(Response::new(String::new()))
///     },
/// ));
/// # let _ = service;
/// ```
#[derive(Clone, Debug)]
pub struct CountRequestBody<S> {
    inner: S,
}

impl<S, B> Service<Request<B>> for CountRequestBody<S>
where
    S: Service<Request<CountedBody<B>>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut parts, inner) = request.into_parts();
        let span = SpanHandle::from_extensions(&parts.extensions).shared_span();
        let counted = parts.extensions.get::<Counted>();
        let span = span.filter(|span| counted.is_none_or(|Counted(by)| !Arc::ptr_eq(span, by)));
        if let Some(span) = &span {
            // Starts the count, so that a body that is never read has size 0.
            span.record_request_bytes(0);
            parts.extensions.insert(Counted(Arc::clone(span)));
        }
        let body = CountedBody {
            inner,
            span,
            bytes: 0,
        };
        self.inner.call(Request::from_parts(parts, body))
    }
}

/// A request body that counts its bytes, made by [`CountRequestBody`].
///
/// Frames, trailers, errors, `size_hint` and `is_end_stream` are those of the inner body.
///
/// ```
/// use tower_api_span::CountedBody;
///
/// async fn handler(request: http::Request<CountedBody<String>>) {
///     use http_body_util::BodyExt;
///
///     let _bytes = request.into_body().collect().await;
/// }
/// # drop(handler);
/// ```
#[pin_project]
pub struct CountedBody<B> {
    #[pin]
    inner: B,
    span: Option<Arc<SharedSpan>>,
    /// The number of bytes that were read.
    bytes: u64,
}

/// Marks a request whose body is counted for this span, in its extensions. If there are two such layers, only
/// the outer one counts.
#[derive(Clone)]
struct Counted(Arc<SharedSpan>);

impl<B: Body> Body for CountedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.project();
        let frame = ready!(this.inner.poll_frame(cx));
        if let Some(span) = this.span
            && let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            let bytes = catch_panic(|| data.remaining()).unwrap_or(0);
            let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
            *this.bytes = this.bytes.saturating_add(bytes);
            span.record_request_bytes(*this.bytes);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl<B: fmt::Debug> fmt::Debug for CountedBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CountedBody")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}
