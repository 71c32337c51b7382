//! Observes the request body: the bytes that are read, and a disconnect of the client.

use std::fmt::{self, Debug};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, ready};

use bytes::Buf;
use http::{Request, Version};
use http_body::{Body, Frame, SizeHint};
use pin_project::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::catch_panic::{PanicReport, catch_panic};
use crate::handle::SpanHandle;
use crate::outcome::disconnect::is_disconnect;
use crate::protocol::http::content_type::ContentType;
use crate::protocol::http::progress::{declared_length, is_unencoded};
use crate::protocol::llm::RequestReader;
use crate::recording::request_end::RequestEnd;
use crate::recording::shared_span::SharedSpan;
use crate::telemetry::gen_ai::describe_request;

/// Observes request bodies as they are read, for the [`ApiSpanLayer`](crate::ApiSpanLayer) around it.
///
/// Put it directly inside an `ApiSpanLayer`, so that it wraps the body that the server made. It is a separate layer
/// because it changes the type of the request's body; routers of axum and tonic accept any.
///
/// * If the client disconnects while its request is being read, the outcome is `client_disconnect`, whatever status is
///   returned: 400 by axum's `Json`, `INTERNAL` by tonic. A later status is not recorded, because the client usually
///   does not receive it. A panic, a handler's mark and a passed gRPC deadline come first. See
///   [`Stage::ReadingRequest`](crate::Stage::ReadingRequest).
/// * With [`body_sizes`](crate::ApiSpanLayer::body_sizes) the request's size is the number of bytes that were read.
///   Without this layer it is the Content-Length, whether or not the body was read. If a retry inside copies the
///   request, the copy that was read furthest counts.
/// * With [`gen_ai_attributes`](crate::ApiSpanLayer::gen_ai_attributes) the model, the limit on tokens, the temperature,
///   `stream` and the output's type are read in `application/json` requests to a language model, as they pass. The
///   handler's values win. Prompts are not recorded.
///
/// A disconnect is recognised by the error that hyper's body returns: the end of the connection inside the body, a
/// reset stream, or an error of the operating system. After another error, the response decides the outcome: a limit,
/// a malformed chunk, a failed decompression. So it does if the body is dropped early.
///
/// ```
/// use axum::{Router, routing::post};
/// use tower_api_span::{ApiSpanLayer, RequestBodyLayer};
///
/// let app: Router = Router::new()
///     .route("/upload", post(async |body: axum::body::Bytes| body.len().to_string()))
///     .layer(RequestBodyLayer::new())
///     .layer(ApiSpanLayer::new());
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[must_use = "a layer does nothing until it wraps a service"]
pub struct RequestBodyLayer(());

impl RequestBodyLayer {
    /// Creates the layer. It has no settings.
    ///
    /// ```
    /// let layer = tower_api_span::RequestBodyLayer::new();
    /// # let _ = layer;
    /// ```
    pub fn new() -> Self {
        Self::default()
    }
}

impl<S> Layer<S> for RequestBodyLayer {
    type Service = RequestBodyService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RequestBodyService { inner }
    }
}

/// A service whose request bodies are observed, made by [`RequestBodyLayer`].
///
/// ```
/// use http::{Request, Response};
/// use tower::{Layer, service_fn};
/// use tower_api_span::{RequestBodyLayer, RequestBody};
///
/// let service = RequestBodyLayer::new().layer(service_fn(
///     async |_: Request<RequestBody<String>>| {
///         Ok::<_, std::convert::Infallible>(Response::new(String::new()))
///     },
/// ));
/// # let _ = service;
/// ```
#[derive(Clone, Debug)]
pub struct RequestBodyService<S> {
    inner: S,
}

impl<S, B> Service<Request<B>> for RequestBodyService<S>
where
    S: Service<Request<RequestBody<B>>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut parts, inner) = request.into_parts();
        let handle = SpanHandle::from_extensions(&parts.extensions);
        let span = handle.shared_span();
        let counted = parts.extensions.get::<Counted>();
        let span = span.filter(|span| counted.is_none_or(|Counted(by)| !Arc::ptr_eq(span, by)));
        if let Some(span) = &span {
            // Starts the count, so that a body that is never read has size 0.
            span.record_request_bytes(0);
            parts.extensions.insert(Counted(Arc::clone(span)));
        }
        let is_multiplexed = parts.version >= Version::HTTP_2;
        let reads_length = is_multiplexed && span.is_some();
        let declared = reads_length.then(|| declared_length(&parts.headers, parts.version, None));
        let is_json = || {
            let content_type = ContentType::from_headers(&parts.headers);
            let is_json = content_type.is_some_and(|it| it.is("application/json"));
            is_json && is_unencoded(&parts.headers)
        };
        let is_read = span.is_some() && handle.is_body_read() && is_json();
        let body = RequestBody {
            inner,
            span,
            reader: is_read.then(Box::default),
            bytes: 0,
            is_multiplexed,
            declared: declared.flatten(),
        };
        self.inner.call(Request::from_parts(parts, body))
    }
}

/// A request body that is observed as it is read, made by [`RequestBodyService`].
///
/// Frames, trailers, errors, `size_hint` and `is_end_stream` are those of the inner body.
///
/// ```
/// use tower_api_span::RequestBody;
///
/// async fn handler(request: http::Request<RequestBody<String>>) {
///     use http_body_util::BodyExt;
///
///     let _bytes = request.into_body().collect().await;
/// }
/// # drop(handler);
/// ```
#[pin_project]
pub struct RequestBody<B> {
    #[pin]
    inner: B,
    span: Option<Arc<SharedSpan>>,
    /// The number of bytes that were read.
    bytes: u64,
    /// Whether the stream can be reset without an error, as in HTTP/2.
    is_multiplexed: bool,
    /// The request's Content-Length, if the stream can be reset without an error.
    declared: Option<u64>,
    /// Reads the attributes of generative AI, until they are recorded.
    reader: Option<Box<RequestReader>>,
}

static PANICS: PanicReport = PanicReport::new("RequestBody, its error");

/// Marks a request whose body is counted for this span, in its extensions. If there are two such layers, only
/// the outer one counts.
#[derive(Clone)]
struct Counted(Arc<SharedSpan>);

impl<B> Body for RequestBody<B>
where
    B: Body,
    B::Error: Debug,
{
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let mut this = self.project();
        let frame = ready!(this.inner.as_mut().poll_frame(cx));
        let Some(span) = this.span else {
            return Poll::Ready(frame);
        };
        match &frame {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    let bytes = catch_panic(|| data.remaining()).unwrap_or(0);
                    let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
                    *this.bytes = this.bytes.saturating_add(bytes);
                    span.record_request_bytes(*this.bytes);
                    if this.reader.is_some() {
                        catch_panic(|| read_request(this.reader, data, span));
                    }
                }
            }
            Some(Err(error)) => {
                if is_disconnect(error, &PANICS) {
                    span.record_request_end(RequestEnd::Disconnected);
                }
            }
            None => {
                // hyper ends a body without an error if the client resets its stream with NO_ERROR.
                let is_at_end = || this.inner.is_end_stream();
                if *this.is_multiplexed && catch_panic(is_at_end) == Some(false) {
                    let is_short = this.declared.is_some_and(|declared| *this.bytes < declared);
                    span.record_request_end(if is_short {
                        RequestEnd::Disconnected
                    } else {
                        RequestEnd::Unfinished
                    });
                }
            }
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

/// Reads a frame. Once the JSON is whole, what it asks for is recorded. A frame that is not contiguous ends the
/// reading.
fn read_request(reader: &mut Option<Box<RequestReader>>, data: &impl Buf, span: &SharedSpan) {
    let Some(mut reading) = reader.take() else {
        return;
    };
    let piece = data.chunk();
    if piece.len() != data.remaining() {
        return;
    }
    reading.read(piece);
    match reading.facts() {
        Some(facts) => span.record_internal(|buffer| describe_request(facts, buffer)),
        None => *reader = Some(reading),
    }
}

impl<B: fmt::Debug> fmt::Debug for RequestBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBody")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}
