//! Setters for APIs in front of a language model.

use std::borrow::Cow;

use http::HeaderName;

use super::ApiSpanLayer;

impl ApiSpanLayer {
    /// Sets the request header that is recorded as attribute `gen_ai.request.id`.
    ///
    /// Default: no header; with [`llm`](Self::llm) `x-request-id`. Truncated to 1,024 bytes.
    ///
    /// A request without the header gets no attribute.
    ///
    /// ```
    /// use http::HeaderName;
    ///
    /// let header = HeaderName::from_static("x-request-id");
    /// let layer = tower_api_span::ApiSpanLayer::new().request_id_header(header);
    /// # let _ = layer;
    /// ```
    pub fn request_id_header(self, name: HeaderName) -> Self {
        self.with(|settings| settings.request_id_header = Some(name))
    }

    /// Sets the data of the event that terminates an event stream.
    ///
    /// Default: no terminator; with [`llm`](Self::llm) `[DONE]`. Empty data, or more than 1,000 bytes, turns the
    /// terminator off.
    ///
    /// The span ends just before the frame that completes the line of this data is returned to the server. Later data
    /// does not affect the span, not even a second data line of the same event. So use a terminator that cannot be
    /// the first data line of another event. In a stream of JSON, `[DONE]` cannot.
    ///
    /// The layer looks for the terminator in `text/event-stream` responses without a content encoding. It stops at a
    /// frame whose `Buf` is not contiguous.
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new().stream_terminator("[DONE]");
    /// # let _ = layer;
    /// ```
    pub fn stream_terminator(self, data: impl Into<Cow<'static, str>>) -> Self {
        let data = Some(data.into()).filter(|data| (1..=1_000).contains(&data.len()));
        self.with(|settings| settings.stream_terminator = data)
    }

    /// Sets whether an error event in an event stream counts as a verdict with reason `generation_error` and the
    /// event's message.
    ///
    /// Default: false; with [`llm`](Self::llm) true.
    ///
    /// An error event has type `error`, or its data is a JSON object whose first key is `"error"`, with a value other
    /// than `null`, `false` or `""`. The layer looks for it in the same responses as for the
    /// [`stream_terminator`](Self::stream_terminator).
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new().stream_errors(true);
    /// # let _ = layer;
    /// ```
    pub fn stream_errors(self, are_verdicts: bool) -> Self {
        self.with(|settings| settings.stream_errors = are_verdicts)
    }

    /// Sets whether the first non-empty data frame of a response with a status below 400 adds event
    /// `api.FIRST_RESPONSE_FROM_CORE`.
    ///
    /// Default: false; with [`llm`](Self::llm) true.
    ///
    /// In an event stream the frame also sets attribute `gen_ai.response.time_to_first_chunk` (double, seconds from
    /// the arrival). The conventions measure that attribute at the client.
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new().journey_events(true);
    /// # let _ = layer;
    /// ```
    pub fn journey_events(self, are_added: bool) -> Self {
        self.with(|settings| settings.journey_events = are_added)
    }
}
