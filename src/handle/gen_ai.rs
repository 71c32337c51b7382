//! A view of the handle that sets the attributes of generative AI.

use std::fmt::Display;

use opentelemetry::{Array, KeyValue, StringValue, Value};

use crate::catch_panic::PanicReport;
use crate::handle::SpanHandle;
use crate::semconv as key;
use crate::text::format_bounded;

/// The largest number of finish reasons.
const MAX_REASONS: usize = 128;

/// A view of a [`SpanHandle`] that sets the attributes of generative AI. Each method returns the view.
///
/// **Unstable**, like the conventions. Names follow `semantic-conventions-genai` (1.42.0, all in development). They
/// may change with a minor release of this crate.
///
/// The conventions set these attributes on the client's span; here they are on the server's. A sum of
/// `gen_ai.usage.*` over clients and servers counts every token twice.
///
/// Text is truncated to 1,024 bytes. Empty text is ignored.
///
/// ```
/// # let span = tower_api_span::SpanHandle::default();
/// span.gen_ai()
///     .request_model("llama-4")
///     .max_tokens(256)
///     .temperature(0.7)
///     .finish_reasons(["stop"])
///     .input_tokens(12)
///     .output_tokens(80);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct GenAi<'a>(&'a SpanHandle);

impl SpanHandle {
    /// Returns a view that sets the attributes of generative AI. They are unstable, like the `GenAI` conventions.
    ///
    /// ```
    /// # let span = tower_api_span::SpanHandle::default();
    /// span.gen_ai().request_model("llama-4").max_tokens(256);
    /// ```
    #[must_use]
    pub fn gen_ai(&self) -> GenAi<'_> {
        GenAi(self)
    }
}

#[expect(clippy::must_use_candidate, reason = "returned for chaining")]
impl GenAi<'_> {
    /// Sets `gen_ai.operation.name` (string), such as `chat`, `text_completion` or `embeddings`. A request without
    /// it is not recorded in `gen_ai.server.*` metrics.
    ///
    /// ```
    /// # let span = tower_api_span::SpanHandle::default();
    /// span.gen_ai().operation_name("chat");
    /// ```
    pub fn operation_name(&self, name: impl Display) -> &Self {
        self.set_text(key::GEN_AI_OPERATION_NAME, &name)
    }

    /// Sets `gen_ai.provider.name` (string): the provider of the model.
    ///
    /// ```
    /// # let span = tower_api_span::SpanHandle::default();
    /// span.gen_ai().provider_name("mistral_ai");
    /// ```
    pub fn provider_name(&self, name: impl Display) -> &Self {
        self.set_text(key::GEN_AI_PROVIDER_NAME, &name)
    }

    /// Sets `gen_ai.request.model` (string): the requested model.
    ///
    /// ```
    /// # let span = tower_api_span::SpanHandle::default();
    /// span.gen_ai().request_model("llama-4");
    /// ```
    pub fn request_model(&self, model: impl Display) -> &Self {
        self.set_text(key::GEN_AI_REQUEST_MODEL, &model)
    }

    /// Sets `gen_ai.response.model` (string): the model that made the response.
    ///
    /// ```
    /// # let span = tower_api_span::SpanHandle::default();
    /// span.gen_ai().response_model("llama-4-8b-q4");
    /// ```
    pub fn response_model(&self, model: impl Display) -> &Self {
        self.set_text(key::GEN_AI_RESPONSE_MODEL, &model)
    }

    /// Sets `gen_ai.request.max_tokens` (int): the limit on generated tokens.
    ///
    /// ```
    /// # let span = tower_api_span::SpanHandle::default();
    /// span.gen_ai().max_tokens(256);
    /// ```
    pub fn max_tokens(&self, tokens: u32) -> &Self {
        self.set(key::GEN_AI_REQUEST_MAX_TOKENS, i64::from(tokens))
    }

    /// Sets `gen_ai.request.temperature` (double).
    ///
    /// ```
    /// # let span = tower_api_span::SpanHandle::default();
    /// span.gen_ai().temperature(0.7);
    /// ```
    pub fn temperature(&self, temperature: f64) -> &Self {
        self.set(key::GEN_AI_REQUEST_TEMPERATURE, temperature)
    }

    /// Sets `gen_ai.response.finish_reasons` (string[]): why each choice stopped, such as `stop` or `length`. The
    /// first 128 are kept. If the iterator panics, the attribute is not set.
    ///
    /// ```
    /// # let span = tower_api_span::SpanHandle::default();
    /// span.gen_ai().finish_reasons(["stop", "length"]);
    /// ```
    pub fn finish_reasons(&self, reasons: impl IntoIterator<Item: Display>) -> &Self {
        static PANICS: PanicReport = PanicReport::new("GenAi::finish_reasons");
        if self.0.begin_record() {
            // The handler's iterator may panic, or never end.
            let reasons = PANICS.catch(|| {
                let reasons = reasons.into_iter().take(MAX_REASONS);
                let reasons = reasons.filter_map(|reason| format_bounded(&reason, &PANICS));
                reasons.map(StringValue::from).collect::<Vec<_>>()
            });
            let reasons = reasons.unwrap_or_default();
            if !reasons.is_empty() {
                let reasons = Value::Array(Array::String(reasons));
                self.set(key::GEN_AI_RESPONSE_FINISH_REASONS, reasons);
            }
        }
        self
    }

    /// Sets `gen_ai.usage.input_tokens` (int): the number of tokens of the prompt.
    ///
    /// ```
    /// # let span = tower_api_span::SpanHandle::default();
    /// span.gen_ai().input_tokens(12);
    /// ```
    pub fn input_tokens(&self, tokens: u32) -> &Self {
        self.set(key::GEN_AI_USAGE_INPUT_TOKENS, i64::from(tokens))
    }

    /// Sets `gen_ai.usage.output_tokens` (int): the number of generated tokens.
    ///
    /// ```
    /// # let span = tower_api_span::SpanHandle::default();
    /// span.gen_ai().output_tokens(80);
    /// ```
    pub fn output_tokens(&self, tokens: u32) -> &Self {
        self.set(key::GEN_AI_USAGE_OUTPUT_TOKENS, i64::from(tokens))
    }

    fn set_text(&self, key: &'static str, value: &dyn Display) -> &Self {
        static PANICS: PanicReport = PanicReport::new("GenAi, a text");
        if self.0.begin_record()
            && let Some(text) = format_bounded(value, &PANICS)
        {
            self.set(key, text);
        }
        self
    }

    fn set(&self, key: &'static str, value: impl Into<Value>) -> &Self {
        self.0.set_attribute(KeyValue::new(key, value));
        self
    }
}
