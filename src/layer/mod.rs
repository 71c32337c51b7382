//! The layer and its settings. One file for each group of setters; no behaviour but that of `Layer`.

mod addresses;
mod attributes;
mod callers;
mod llm;
mod metrics;
mod names;
mod outcomes;
mod providers;

use std::sync::Arc;

use http::HeaderName;
use tower_layer::Layer;

use crate::exchange::shared::{Providers, Shared};
use crate::middleware::service::ApiSpan;
use crate::settings::Settings;

/// Opens one OpenTelemetry SERVER span for each request and ends it exactly once, at the true end
/// of the response.
///
/// A layer and its services share their settings. Cloning any of them is cheap.
///
/// ```
/// use tower::ServiceBuilder;
/// use tower_api_span::ApiSpanLayer;
///
/// let service = ServiceBuilder::new()
///     .layer(ApiSpanLayer::new())
///     .service_fn(async |_: http::Request<()>| {
///         Ok::<_, std::convert::Infallible>(http::Response::new(String::new()))
///     });
/// # let _ = service;
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a layer does nothing until it wraps a service"]
pub struct ApiSpanLayer {
    shared: Arc<Shared>,
}

impl ApiSpanLayer {
    /// Creates a layer with the global tracer provider and propagator, and the conventions for HTTP
    /// and gRPC.
    ///
    /// The global provider may be set later. Until then requests are served without a span. The layer
    /// looks for it at the 1st, 2nd, 4th, 8th … request and at every 1,024th. So if it is set after
    /// start-up, up to 1,023 requests may have no span: set it first. The first provider that creates
    /// a span is kept.
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new();
    /// # let _ = layer;
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates a layer for an API in front of a language model.
    ///
    /// It is [`new`](Self::new) with [`span_name`](Self::span_name) `llm_request`,
    /// [`request_id_header`](Self::request_id_header) `x-request-id`,
    /// [`stream_terminator`](Self::stream_terminator) `[DONE]`,
    /// [`stream_errors`](Self::stream_errors), [`journey_events`](Self::journey_events) and
    /// [`gen_ai_metrics`](Self::gen_ai_metrics).
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::llm();
    /// # let _ = layer;
    /// ```
    pub fn llm() -> Self {
        Self::new()
            .gen_ai_metrics(true)
            .span_name("llm_request")
            .request_id_header(HeaderName::from_static("x-request-id"))
            .stream_terminator("[DONE]")
            .stream_errors(true)
            .journey_events(true)
    }

    fn with(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut Arc::make_mut(&mut self.shared).settings);
        self
    }

    fn with_providers(mut self, change: impl FnOnce(&mut Providers)) -> Self {
        change(&mut Arc::make_mut(&mut self.shared).providers);
        self
    }
}

impl<S> Layer<S> for ApiSpanLayer {
    type Service = ApiSpan<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ApiSpan::with_shared(inner, Arc::clone(&self.shared))
    }
}
