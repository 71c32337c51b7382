//! Setters for APIs in front of a language model.

use std::borrow::Cow;

use http::HeaderName;

use super::ApiSpanLayer;

impl ApiSpanLayer {
    /// Sets the request header that is recorded as attribute `gen_ai.request.id`.
    ///
    /// Default: none; with [`llm`](Self::llm) `x-request-id`. Truncated to 1,024 bytes. A request
    /// without the header gets no id.
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

    /// Sets the data of the event that terminates an event stream.
    ///
    /// Default: none; with [`llm`](Self::llm) `[DONE]`. Empty data, or more than 1,000 bytes,
    /// turns it off.
    ///
    /// The span ends before the frame that completes this event's line is returned to the server.
    /// Nothing that follows affects it, not even a second line of data. So use it for streams in which
    /// no other event can have such a line, such as streams of JSON.
    ///
    /// It is looked for in responses of `text/event-stream` without a content encoding, in frames whose
    /// `Buf` is contiguous.
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new().stream_terminator("[DONE]");
    /// # let _ = layer;
    /// ```
    pub fn stream_terminator(self, data: impl Into<Cow<'static, str>>) -> Self {
        let data = Some(data.into()).filter(|data| (1..=1_000).contains(&data.len()));
        self.with(|config| config.stream_terminator = data)
    }

    /// Sets whether an error event in an event stream is a verdict `generation_error`, with its message.
    ///
    /// Default: false; with [`llm`](Self::llm) true.
    ///
    /// An error event is of type `error`, or its data is a JSON object with first key `"error"`. It is
    /// looked for in the same responses as [`stream_terminator`](Self::stream_terminator).
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new().stream_errors(true);
    /// # let _ = layer;
    /// ```
    pub fn stream_errors(self, are_verdicts: bool) -> Self {
        self.with(|config| config.stream_errors = are_verdicts)
    }

    /// Sets whether the first non-empty data frame of a response below 400 adds event
    /// `api.FIRST_RESPONSE_FROM_CORE`. In an event stream it also sets attribute
    /// `gen_ai.response.time_to_first_chunk` (double, seconds from the arrival).
    ///
    /// Default: false; with [`llm`](Self::llm) true.
    ///
    /// The conventions measure that attribute at the client.
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new().journey_events(true);
    /// # let _ = layer;
    /// ```
    pub fn journey_events(self, are_added: bool) -> Self {
        self.with(|config| config.journey_events = are_added)
    }
}
