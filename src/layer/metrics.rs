//! Setters for optional metrics, and for the durations of streams.

use super::ApiSpanLayer;
use crate::settings::streams::{ContentTypes, StreamDurations};

impl ApiSpanLayer {
    /// Sets whether `http.server.active_requests` is recorded: the number of requests, gRPC included, whose responses
    /// have not ended.
    ///
    /// Default: false, because the conventions make this metric opt-in.
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new().active_requests(true);
    /// # let _ = layer;
    /// ```
    pub fn active_requests(self, are_recorded: bool) -> Self {
        self.with(|settings| settings.metrics.active_requests = are_recorded)
    }

    /// Sets whether `api.server.time_to_head` and `api.server.time_to_first_byte` are recorded (histograms, seconds
    /// from the arrival). They show the latency of streams, whose durations do not.
    ///
    /// Default: false.
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new().response_times(true);
    /// # let _ = layer;
    /// ```
    pub fn response_times(self, are_recorded: bool) -> Self {
        self.with(|settings| settings.metrics.response_times = are_recorded)
    }

    /// Sets how the durations of streams are recorded.
    ///
    /// Default: [`StreamDurations::Included`].
    ///
    /// ```
    /// use tower_api_span::{ApiSpanLayer, StreamDurations};
    ///
    /// let layer = ApiSpanLayer::new().stream_durations(StreamDurations::Excluded);
    /// # let _ = layer;
    /// ```
    pub fn stream_durations(self, durations: StreamDurations) -> Self {
        self.with(|settings| settings.stream_durations = durations)
    }

    /// Replaces the list of content types of streams. Parameters are ignored.
    ///
    /// Default: `application/jsonl`, `application/stream+json`, `application/x-ndjson`,
    /// `multipart/x-mixed-replace` and `text/event-stream`.
    ///
    /// A response is also a stream if the handler declares it with
    /// [`SpanHandle::declare_stream`](crate::SpanHandle::declare_stream).
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new().stream_content_types(["text/event-stream"]);
    /// # let _ = layer;
    /// ```
    pub fn stream_content_types<T: Into<String>>(self, types: impl IntoIterator<Item = T>) -> Self {
        let types = ContentTypes::from_names(types);
        self.with(|settings| settings.stream_content_types = types)
    }

    /// Sets whether metrics are recorded of a request of which a layer outside of this one records them already.
    ///
    /// Default: false, so that stacked layers count a request once: the outermost with a meter provider records the
    /// metrics of HTTP and gRPC, and the outermost with [`gen_ai_metrics`](Self::gen_ai_metrics) those of language
    /// models. Each layer makes its own span. Set it on the inner layer if its meter provider is another one, or if
    /// its routes are to be counted too.
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new().nested_metrics(true);
    /// # let _ = layer;
    /// ```
    pub fn nested_metrics(self, are_recorded: bool) -> Self {
        self.with(|settings| settings.metrics.nested = are_recorded)
    }

    /// Sets whether `gen_ai.server.*` metrics are recorded, for requests whose handler has set the
    /// [operation](crate::GenAi::operation_name).
    ///
    /// Default: false; with [`llm`](Self::llm) true.
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new().gen_ai_metrics(true);
    /// # let _ = layer;
    /// ```
    pub fn gen_ai_metrics(self, are_recorded: bool) -> Self {
        self.with(|settings| settings.metrics.gen_ai = are_recorded)
    }
}
