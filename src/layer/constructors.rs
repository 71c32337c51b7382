//! The constructors of the layer.

use std::sync::Arc;

use http::HeaderName;

use super::ApiSpanLayer;
use crate::exchange::shared::Shared;
use crate::protocol::llm::LlmFormat;

impl ApiSpanLayer {
    /// Creates a layer with the global providers and propagator, and the default of each setting.
    ///
    /// Set the global tracer provider before the server starts. If it is set or replaced later, up to 1,023 requests may
    /// have no span: see [global providers](crate#global-providers).
    ///
    /// [`describe`](Self::describe) returns which of them the layer finds.
    ///
    /// Reads the environment variable `OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS`, once: see
    /// [`known_http_methods`](Self::known_http_methods). No other variable is read, and none later.
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new();
    /// # let _ = layer;
    /// ```
    pub fn new() -> Self {
        Self {
            shared: Arc::new(Shared::from_environment()),
        }
    }

    /// Creates a layer for an API in front of a language model.
    ///
    /// The layer is [`new`](Self::new) with [`span_name`](Self::span_name) `llm_request`,
    /// [`request_id_header`](Self::request_id_header) `x-request-id`,
    /// all [`llm_formats`](Self::llm_formats), [`gen_ai_attributes`](Self::gen_ai_attributes),
    /// [`stream_terminator`](Self::stream_terminator) `[DONE]`,
    /// [`stream_errors`](Self::stream_errors), [`journey_events`](Self::journey_events) and
    /// [`gen_ai_metrics`](Self::gen_ai_metrics). It reads the same environment variable.
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
            .llm_formats(LlmFormat::ALL)
            .gen_ai_attributes(true)
            .stream_terminator("[DONE]")
            .stream_errors(true)
            .journey_events(true)
    }
}

impl Default for ApiSpanLayer {
    /// Creates the same layer as [`new`](Self::new), which reads an environment variable.
    fn default() -> Self {
        Self::new()
    }
}
