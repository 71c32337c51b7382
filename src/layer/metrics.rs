//! Setters for optional metrics, and for the durations of streams.

use std::sync::Arc;

use opentelemetry::KeyValue;

use super::ApiSpanLayer;
use crate::outcome::Completion;
use crate::settings::callback::Callback;
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

    /// Replaces the list of keys that the application may add to metrics.
    ///
    /// Default: none. What has another key is left out, and with feature `internal-logs` the first such
    /// key is reported.
    ///
    /// Each value of an attribute is a time series of each metric, for each of the values of the others. So list what
    /// has few values, and whose values no client can choose: a plan, a region, a tenant of a short list. An empty key,
    /// and a key of the [layer's own](crate::guide::attributes#metrics), is left out.
    ///
    /// ```
    /// use opentelemetry::KeyValue;
    /// use tower_api_span::{ApiSpanLayer, SpanHandle};
    ///
    /// fn handler(span: &SpanHandle) {
    ///     span.set_metric_attribute(KeyValue::new("app.plan", "free"));
    /// }
    ///
    /// let layer = ApiSpanLayer::new().metric_attribute_keys(["app.plan"]);
    /// # let _ = (layer, handler as fn(&SpanHandle));
    /// ```
    pub fn metric_attribute_keys<K: Into<String>>(self, keys: impl IntoIterator<Item = K>) -> Self {
        self.with(|settings| settings.metric_attributes.set_keys(keys))
    }

    /// Sets the function that returns additional attributes for a request's metrics.
    ///
    /// Default: none. Only [listed](Self::metric_attribute_keys) keys are recorded.
    ///
    /// They apply to each histogram of the layer, also to those of language models, and not to
    /// `http.server.active_requests`. The callback is called once for each request that is measured. If it panics, the
    /// request is measured without them. With feature `internal-logs`, the first panic is reported.
    ///
    /// ```
    /// use opentelemetry::KeyValue;
    /// use tower_api_span::{ApiSpanLayer, Outcome};
    ///
    /// let layer = ApiSpanLayer::new()
    ///     .metric_attribute_keys(["app.reason"])
    ///     .metric_attributes(|completion| match completion.outcome() {
    ///         Some(Outcome::Aborted(aborted)) => vec![KeyValue::new("app.reason", aborted.reason)],
    ///         _ => vec![],
    ///     });
    /// # let _ = layer;
    /// ```
    pub fn metric_attributes<A: IntoIterator<Item = KeyValue>>(
        self,
        attributes: impl Fn(&Completion) -> A + Send + Sync + 'static,
    ) -> Self {
        let attributes = move |completion: &Completion| -> Vec<KeyValue> {
            attributes(completion).into_iter().collect()
        };
        self.with(|settings| {
            settings.metric_attributes.callback =
                Callback::new("ApiSpanLayer::metric_attributes", Arc::new(attributes));
        })
    }

    /// Sets the boundaries of the buckets of a histogram, in its unit: seconds, or bytes.
    ///
    /// Default: those of the conventions for durations, with an end at 10 s, or at 82 s for the responses of language
    /// models; powers of four from 64 B to 256 MiB for sizes. The metrics are [listed](crate::guide::attributes#metrics).
    ///
    /// The boundaries are sorted. Duplicates, infinities and NaN are left out. Without any, the histogram has one bucket.
    /// A name of no metric of the layer has no effect. With feature `internal-logs` it is reported. A view
    /// of the SDK wins. If several layers share a meter provider, the first that measures sets the boundaries.
    ///
    /// ```
    /// use tower_api_span::ApiSpanLayer;
    ///
    /// // For streams of minutes.
    /// let layer = ApiSpanLayer::new()
    ///     .bucket_boundaries("http.server.request.duration", [0.1, 1.0, 10.0, 60.0, 600.0]);
    /// # let _ = layer;
    /// ```
    pub fn bucket_boundaries(
        self,
        metric: &str,
        boundaries: impl IntoIterator<Item = f64>,
    ) -> Self {
        let boundaries = boundaries.into_iter().collect();
        self.with_providers(|providers| providers.meters.set_boundaries(metric, boundaries))
    }

    /// Sets whether this layer measures a request that an outer layer already measures.
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

    /// Sets whether `gen_ai.server.*` metrics are recorded, for requests whose
    /// [operation](crate::GenAi::operation_name) was read or set by the handler.
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
