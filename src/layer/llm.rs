//! Settings for APIs in front of a language model.

use std::borrow::Cow;

use http::HeaderName;

use super::ApiSpanLayer;

impl ApiSpanLayer {
    /// The request header whose value becomes attribute `gen_ai.request.id`, cut at 1,024 bytes; by
    /// default none. A request without it gets no id.
    ///
    /// ```
    /// use http::HeaderName;
    ///
    /// let header = HeaderName::from_static("x-request-id");
    /// let layer = tower_api_span::ApiSpanLayer::new().request_id_header(header);
    /// # let _ = layer;
    /// ```
    pub fn request_id_header(self, name: HeaderName) -> Self {
        self.with(|config| config.request_id_header = Some(name))
    }

    /// The data of the event that ends an event stream; by default none. The span ends before the
    /// frame that completes this event's line is handed on, and what follows does not matter to it, not
    /// even a second line of data: it is for streams in which nothing else can be such a line, as
    /// in those of JSON.
    ///
    /// Read in responses of `text/event-stream` without a content encoding, in frames whose `Buf` is
    /// contiguous. An empty one, or one longer than 1,000 bytes, is none.
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new().stream_terminator("[DONE]");
    /// # let _ = layer;
    /// ```
    pub fn stream_terminator(self, data: impl Into<Cow<'static, str>>) -> Self {
        let data = Some(data.into()).filter(|data| (1..=1_000).contains(&data.len()));
        self.with(|config| config.stream_terminator = data)
    }

    /// Whether an error event in an event stream is a verdict `generation_error`, with its message;
    /// by default false. It is one of type `error`, or one whose data is a JSON object with first key
    /// `"error"`. Read where [`stream_terminator`](Self::stream_terminator) is.
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new().stream_errors(true);
    /// # let _ = layer;
    /// ```
    pub fn stream_errors(self, are_verdicts: bool) -> Self {
        self.with(|config| config.stream_errors = are_verdicts)
    }

    /// Whether the first non-empty data frame of a response below 400 is event `api.FIRST_RESPONSE_FROM_CORE` and, in an
    /// event stream, attribute `gen_ai.response.time_to_first_chunk` (double, seconds, from the
    /// arrival: the conventions measure it at the client); by default false.
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new().journey_events(true);
    /// # let _ = layer;
    /// ```
    pub fn journey_events(self, are_added: bool) -> Self {
        self.with(|config| config.journey_events = are_added)
    }
}
