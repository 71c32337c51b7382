//! Setters for APIs in front of a language model.

use std::borrow::Cow;

use http::HeaderName;

use super::ApiSpanLayer;
use crate::protocol::llm::LlmFormat;

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

    /// Sets the formats of answers that are recognised.
    ///
    /// Default: none; with [`llm`](Self::llm) [`LlmFormat::ALL`].
    ///
    /// A stream of a recognised format ends with the event that ends the format: the span ends just before the frame that
    /// completes it is returned to the server, and a stream that is over without it is
    /// [`End::Truncated`](crate::End::Truncated), outcome `truncated_stream`. So is an event stream without any data, or
    /// a stream of lines without any. Gemini's streams end with their bodies, and are never truncated.
    ///
    /// The [guide](crate::guide::llm) defines the first token and the content types that are read. Frames are read in
    /// place, and not delayed. Reading stops at a frame whose `Buf` is not contiguous. Then no end is found, and none is
    /// missed.
    ///
    /// ```
    /// use tower_api_span::{ApiSpanLayer, LlmFormat};
    ///
    /// let layer = ApiSpanLayer::llm().llm_formats([LlmFormat::ChatCompletions, LlmFormat::Messages]);
    /// # let _ = layer;
    /// ```
    pub fn llm_formats(self, formats: impl IntoIterator<Item = LlmFormat>) -> Self {
        let formats = formats.into_iter().collect();
        self.with(|settings| settings.llm_formats = formats)
    }

    /// Sets whether attributes of generative AI are read: in answers of the [formats](Self::llm_formats) and, behind a
    /// [`RequestBodyLayer`](crate::RequestBodyLayer), in requests.
    ///
    /// Default: false; with [`llm`](Self::llm) true.
    ///
    /// The handler's value of the same attribute wins. Prompts and answers are not recorded. The attributes are listed in
    /// the [guide](crate::guide::llm).
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::llm().gen_ai_attributes(false);
    /// # let _ = layer;
    /// ```
    pub fn gen_ai_attributes(self, are_read: bool) -> Self {
        self.with(|settings| settings.gen_ai_attributes = are_read)
    }

    /// Sets the data of the event that terminates an event stream, for a format of your own.
    ///
    /// Default: no terminator; with [`llm`](Self::llm) `[DONE]`. Empty data, or more than 1,000 bytes, turns the
    /// terminator off.
    ///
    /// The span ends just before the frame that completes the line of this data is returned to the server. Later data
    /// does not affect the span, not even a second data line of the same event. So use a terminator that cannot be
    /// the first data line of another event. In a stream of JSON, `[DONE]` cannot.
    ///
    /// A stream without the terminator is not truncated: only those of [known formats](Self::llm_formats) are.
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new().stream_terminator("[DONE]");
    /// # let _ = layer;
    /// ```
    pub fn stream_terminator(self, data: impl Into<Cow<'static, str>>) -> Self {
        let data = Some(data.into()).filter(|data| (1..=1_000).contains(&data.len()));
        self.with(|settings| settings.stream_terminators.data = data)
    }

    /// Sets the name of the event that terminates an event stream, for a format of your own.
    ///
    /// Default: no name. An empty name, or one of more than 64 bytes, turns this terminator off.
    ///
    /// The span ends just before the frame that completes the event is returned to the server: its first line of data if
    /// the name comes first, else the empty line behind it.
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new().stream_terminator_event("done");
    /// # let _ = layer;
    /// ```
    pub fn stream_terminator_event(self, name: impl Into<Cow<'static, str>>) -> Self {
        let name = Some(name.into()).filter(|name| (1..=64).contains(&name.len()));
        self.with(|settings| settings.stream_terminators.event = name)
    }

    /// Sets whether a failure that is reported in a response counts as a verdict with reason `generation_error`, and
    /// the failure's message and code.
    ///
    /// Default: false; with [`llm`](Self::llm) true.
    ///
    /// A failure is one of these, in an event stream, in a line of JSON or in a whole answer:
    ///
    /// * an event of type `error`, by its name or its member `type`;
    /// * a member `error` of the outermost object unless it is `null`, `false`, a number, or an empty text, object
    ///   or array. In an object whose member `object` is of another API, such as `fine_tuning.job`, it is data;
    /// * `"object": "error"`;
    /// * `"base_resp"` with a `status_code` other than 0;
    /// * of [known formats](Self::llm_formats): `response.failed`, `"status": "failed"`, and a `finish_reason` that is
    ///   `error`, `abort` or `insufficient_system_resource`;
    /// * a field line `error: ..` of an event stream, unless it follows a line of data in its event;
    /// * a JSON object outside of the fields of an event stream that is one of these.
    ///
    /// Whole answers are read only if there are known formats.
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new().stream_errors(true);
    /// # let _ = layer;
    /// ```
    pub fn stream_errors(self, are_verdicts: bool) -> Self {
        self.with(|settings| settings.stream_errors = are_verdicts)
    }

    /// Sets whether the first token of a response with a status below 400 adds event
    /// `api.FIRST_RESPONSE_FROM_CORE`. In a response of no known [format](Self::llm_formats) it is the first event with
    /// data, or the first non-empty data frame.
    ///
    /// Default: false; with [`llm`](Self::llm) true.
    ///
    /// In a stream it also sets attribute `gen_ai.response.time_to_first_chunk` (double, seconds from the arrival). The
    /// conventions measure that attribute at the client.
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new().journey_events(true);
    /// # let _ = layer;
    /// ```
    pub fn journey_events(self, are_added: bool) -> Self {
        self.with(|settings| settings.journey_events = are_added)
    }
}
