//! Setters for `tracing`: the access log, and the request's span.

use std::sync::Arc;

use http::request;
use tracing::Span;

use super::ApiSpanLayer;
use crate::settings::callback::Callback;
use crate::settings::tracing::AccessLog;

#[cfg_attr(docsrs, doc(cfg(feature = "tracing")))]
impl ApiSpanLayer {
    /// Logs each request once, at its true end, as an event of `tracing`.
    ///
    /// Default: no log.
    ///
    /// The line has the method, the path, the status, the outcome and its reason, the duration and the trace id: see
    /// the [guide](crate::guide::tracing). It is written on every path, also for a client that disconnected, for a
    /// panic, and for a request without a span. Its target is `tower_api_span::access_log`. Before it, the request is measured and
    /// its log events are emitted; after it, [`on_completion`](Self::on_completion) is called and the span ends.
    ///
    /// If no subscriber wants events of this target, a request is not logged and costs next to nothing. A subscriber
    /// that panics affects no request.
    ///
    /// ```
    /// use tower_api_span::{AccessLog, ApiSpanLayer};
    ///
    /// let layer = ApiSpanLayer::new().access_log(AccessLog::new());
    /// # let _ = layer;
    /// ```
    pub fn access_log(self, log: AccessLog) -> Self {
        self.with(|settings| settings.tracing.access_log = Some(log))
    }

    /// Sets whether each request has a span of `tracing`, named `request`, at level INFO.
    ///
    /// Default: false.
    ///
    /// It is current in the service, its future, its body and their destructors, so every line that is logged there
    /// has the span's fields: `method`, `path`, `route`, `request_id`, `trace_id` and `span_id`, those that are known.
    /// A task has them if it is instrumented with `Span::current()`. A handler may record in `route`, `request_id`,
    /// `user_id`, `session_id` and `tenant`: `Span::current().record("user_id", 7)`.
    ///
    /// A request that [`filter`](Self::filter) refuses has none. The target is `tower_api_span`. With tracing-opentelemetry, wrap the tracer in a
    /// [`RequestTracer`](crate::RequestTracer), else the span is exported besides the SERVER span. `request_id` is the
    /// header of [`request_id_header`](Self::request_id_header).
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new().tracing_span(true);
    /// # let _ = layer;
    /// ```
    pub fn tracing_span(self, is_made: bool) -> Self {
        self.with(|settings| settings.tracing.has_span = is_made)
    }

    /// Sets the function that makes the request's `tracing` span.
    ///
    /// Default: the span of [`tracing_span`](Self::tracing_span), which this turns on.
    ///
    /// If it has fields `trace_id` and `span_id`, the layer records the ids of the SERVER span. `Span::none()` makes
    /// no span. If the callback panics, the request has the default span. Return a new span each time. What you put into
    /// its fields is neither truncated nor redacted.
    ///
    /// ```
    /// use tower_api_span::ApiSpanLayer;
    /// use tracing::field::Empty;
    ///
    /// let layer = ApiSpanLayer::new().tracing_span_fn(|parts| {
    ///     tracing::info_span!("http", path = parts.uri.path(), trace_id = Empty, shard = Empty)
    /// });
    /// # let _ = layer;
    /// ```
    pub fn tracing_span_fn(
        self,
        span: impl Fn(&request::Parts) -> Span + Send + Sync + 'static,
    ) -> Self {
        self.with(|settings| {
            settings.tracing.has_span = true;
            settings.tracing.span = Callback::new("ApiSpanLayer::tracing_span_fn", Arc::new(span));
        })
    }
}
