//! The handle with which a handler records on its request's span. It imports neither the layer nor the exchange.

#[cfg(feature = "axum")]
mod extractor;
pub(crate) mod gen_ai;
mod propagate;
mod record;

use std::fmt;
use std::sync::Arc;

use http::Extensions;
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, TraceContextExt};

use crate::propagation::Propagation;
use crate::recording::buffer::SpanBuffer;
use crate::recording::measured::Measured;
use crate::recording::shared_span::SharedSpan;

/// A handle to the span of a request, for its handler.
///
/// Getting a handle never fails. It is inert if no recording span, metrics, logs or callback at the end can use its
/// data, as when tracing is off or the request is filtered out. After the span's end it records no more data. A handle
/// neither ends the span nor keeps it open. It can be cloned, sent to other threads and kept.
///
/// ```
/// use opentelemetry::KeyValue;
/// use tower_api_span::SpanHandle;
///
/// fn handler(request: &http::Request<()>) {
///     let span = SpanHandle::from_extensions(request.extensions());
///     span.set_attribute(KeyValue::new("tenant", "blue"));
///     if request.uri().path() == "/broken" {
///         span.mark_aborted("generation_error", "the engine ran out of memory");
///     }
/// }
/// # handler(&http::Request::new(()));
/// ```
///
/// With feature `axum` the handle is an extractor that never rejects:
///
/// ```
/// # #[cfg(feature = "axum")] {
/// use tower_api_span::SpanHandle;
///
/// async fn handler(span: SpanHandle) {
///     span.add_event("cache.miss", []);
/// }
/// # let _: axum::Router = axum::Router::new().route("/", axum::routing::get(handler));
/// # }
/// ```
#[doc(alias("extractor", "FromRequestParts"))]
#[derive(Clone, Default)]
pub struct SpanHandle(Option<Request>);

#[derive(Clone)]
struct Request {
    span: Arc<SharedSpan>,
    context: Context,
    propagation: Propagation,
    /// Whether the attributes of generative AI are read in the request's body.
    is_body_read: bool,
    measured: Measured,
}

impl SpanHandle {
    pub(crate) fn new(
        span: Arc<SharedSpan>,
        context: Context,
        propagation: Propagation,
        is_body_read: bool,
        measured: Measured,
    ) -> Self {
        Self(Some(Request {
            span,
            context,
            propagation,
            is_body_read,
            measured,
        }))
    }

    /// Returns the handle that the layer inserted into a request's extensions, else an inert one.
    ///
    /// ```
    /// let span = tower_api_span::SpanHandle::from_extensions(&http::Extensions::new());
    /// assert!(!span.is_recording());
    /// ```
    #[must_use]
    pub fn from_extensions(extensions: &Extensions) -> Self {
        extensions.get().cloned().unwrap_or_default()
    }

    /// Whether the span is open and records. If it does not record, metrics, logs and callbacks still use routes,
    /// verdicts and the attributes of language models.
    ///
    /// ```
    /// assert!(!tower_api_span::SpanHandle::default().is_recording());
    /// ```
    #[must_use]
    pub fn is_recording(&self) -> bool {
        self.0
            .as_ref()
            .is_some_and(|request| request.span.is_open_and_recording())
    }

    /// Returns the span context of the request's span: trace id, span id, flags and trace state. Invalid for
    /// an inert handle.
    ///
    /// Without a span, metrics, logs or a callback may observe the request. Then it is that of the span's parent.
    ///
    /// ```
    /// # let span = tower_api_span::SpanHandle::default();
    /// let trace_id = span.span_context().trace_id().to_string();
    /// assert_eq!(trace_id, "00000000000000000000000000000000");
    /// ```
    #[must_use]
    pub fn span_context(&self) -> SpanContext {
        let Some(request) = &self.0 else {
            return SpanContext::NONE;
        };
        let (in_context, ids) = (request.context.span(), request.span.span_context());
        // A span without valid ids is not in the context, where its parent is.
        if in_context.span_context().span_id() == ids.span_id() {
            in_context.span_context().clone()
        } else {
            ids.clone()
        }
    }

    /// Returns how many calls of this request recorded nothing because its span had ended. 0 for an inert
    /// handle.
    ///
    /// ```
    /// assert_eq!(tower_api_span::SpanHandle::default().lost_records(), 0);
    /// ```
    #[must_use]
    pub fn lost_records(&self) -> u32 {
        let request = self.0.as_ref();
        request.map_or(0, |request| request.span.lost_records())
    }

    /// Returns the shared span, on which the bytes of the request's body are counted.
    pub(crate) fn shared_span(&self) -> Option<Arc<SharedSpan>> {
        self.0.as_ref().map(|request| Arc::clone(&request.span))
    }

    /// Whether the attributes of generative AI are to be read in the request's body.
    pub(crate) fn is_body_read(&self) -> bool {
        self.0.as_ref().is_some_and(|request| request.is_body_read)
    }

    /// Returns the metrics that are recorded of the request.
    pub(crate) fn measured(&self) -> Measured {
        let request = self.0.as_ref();
        request.map_or_else(Measured::default, |request| request.measured)
    }

    pub(crate) fn record(&self, f: impl FnOnce(&mut SpanBuffer)) {
        if let Some(request) = &self.0 {
            request.span.record(f);
        }
    }
}

impl fmt::Debug for SpanHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let span_context = self.0.as_ref().map(|request| request.span.span_context());
        f.debug_tuple("SpanHandle").field(&span_context).finish()
    }
}
