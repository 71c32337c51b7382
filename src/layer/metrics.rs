//! Settings: metrics.

use opentelemetry::metrics::MeterProvider;

use super::ApiSpanLayer;
use crate::settings::streams::{ContentTypes, StreamDurations};
use crate::telemetry::metrics::Meters;

impl ApiSpanLayer {
    /// Where metrics go (feature `metrics`); by default the global provider, looked for as that of
    /// [tracers](Self::new) is. `NoopMeterProvider` is for none. Metrics are measured whether or not
    /// there is a span, and not of requests that are [filtered](Self::filter) out.
    ///
    /// A provider that has no state at all is taken for a no-op.
    ///
    /// ```
    /// use opentelemetry_sdk::metrics::SdkMeterProvider;
    /// use tower_api_span::ApiSpanLayer;
    ///
    /// let provider = SdkMeterProvider::default();
    /// let layer = ApiSpanLayer::new().meter_provider(&provider);
    /// # let _ = layer;
    /// ```
    pub fn meter_provider(self, provider: &dyn MeterProvider) -> Self {
        self.with_providers(|providers| providers.meters = Meters::given(provider))
    }

    /// Whether `http.server.active_requests` is measured: requests, of gRPC as well, whose responses
    /// have not ended; by default false (the conventions have it as opt-in).
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new().active_requests(true);
    /// # let _ = layer;
    /// ```
    pub fn active_requests(self, are_measured: bool) -> Self {
        self.with(|config| config.metrics.active_requests = are_measured)
    }

    /// Whether `api.server.time_to_head` and `api.server.time_to_first_byte` are measured (histograms,
    /// seconds from the arrival): latency, where a duration is as long as a stream; by default false.
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new().response_times(true);
    /// # let _ = layer;
    /// ```
    pub fn response_times(self, are_measured: bool) -> Self {
        self.with(|config| config.metrics.response_times = are_measured)
    }

    /// What becomes of the durations of streams; by default they are [included](StreamDurations).
    ///
    /// ```
    /// use tower_api_span::{ApiSpanLayer, StreamDurations};
    ///
    /// let layer = ApiSpanLayer::new().stream_durations(StreamDurations::Excluded);
    /// # let _ = layer;
    /// ```
    pub fn stream_durations(self, durations: StreamDurations) -> Self {
        self.with(|config| config.stream_durations = durations)
    }

    /// The content types of responses that are streams, these and no others, whatever their
    /// parameters; and so are those of which the handler says it with
    /// [`SpanHandle::declare_stream`](crate::SpanHandle::declare_stream). By default
    /// `application/jsonl`, `application/stream+json`, `application/x-ndjson`,
    /// `multipart/x-mixed-replace` and `text/event-stream`.
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new().stream_content_types(["text/event-stream"]);
    /// # let _ = layer;
    /// ```
    pub fn stream_content_types<T: Into<String>>(self, types: impl IntoIterator<Item = T>) -> Self {
        let types = ContentTypes::given(types);
        self.with(|config| config.stream_content_types = types)
    }

    /// Whether `gen_ai.server.*` is measured, of requests of which the handler has told the
    /// [operation](crate::GenAi::operation_name); by default false, with [`llm`](Self::llm) true.
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new().gen_ai_metrics(true);
    /// # let _ = layer;
    /// ```
    pub fn gen_ai_metrics(self, are_measured: bool) -> Self {
        self.with(|config| config.metrics.gen_ai = are_measured)
    }
}
