//! What only the handler of an LLM API knows, under the names of the `GenAI` conventions.

use std::fmt::Display;

use opentelemetry::{Array, KeyValue, StringValue, Value};

use crate::catch_panic::catch_panic;
use crate::handle::SpanHandle;
use crate::semconv as key;
use crate::text::format_bounded;

/// How many finish reasons are kept.
const MAX_REASONS: usize = 128;

/// A view on a [`SpanHandle`] with the attributes of generative AI, each of which returns the view to go on with.
///
/// **Unstable**, as the conventions are: names follow `semantic-conventions-genai` (all in
/// development; this text is of 1.42.0), and may change with a minor release of this crate. They are
/// the client's names there, set here on the server's span: whoever adds up `gen_ai.usage.*` over
/// clients and servers counts every token twice.
///
/// Text is cut at 1,024 bytes; empty text sets nothing.
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
pub struct GenAi<'a>(pub(crate) &'a SpanHandle);

#[expect(clippy::must_use_candidate, reason = "returned only to go on with")]
impl GenAi<'_> {
    /// `gen_ai.operation.name`, string: what the model is asked to do, as `chat`, `text_completion` or
    /// `embeddings`. Without it a request has no metrics of language models.
    ///
    /// ```
    /// # let span = tower_api_span::SpanHandle::default();
    /// span.gen_ai().operation_name("chat");
    /// ```
    pub fn operation_name(&self, name: impl Display) -> &Self {
        self.text(key::GEN_AI_OPERATION_NAME, &name)
    }

    /// `gen_ai.provider.name`, string: whose model it is.
    ///
    /// ```
    /// # let span = tower_api_span::SpanHandle::default();
    /// span.gen_ai().provider_name("mistral_ai");
    /// ```
    pub fn provider_name(&self, name: impl Display) -> &Self {
        self.text(key::GEN_AI_PROVIDER_NAME, &name)
    }

    /// `gen_ai.request.model`, string: the model that was asked for.
    ///
    /// ```
    /// # let span = tower_api_span::SpanHandle::default();
    /// span.gen_ai().request_model("llama-4");
    /// ```
    pub fn request_model(&self, model: impl Display) -> &Self {
        self.text(key::GEN_AI_REQUEST_MODEL, &model)
    }

    /// `gen_ai.response.model`, string: the model that answered.
    ///
    /// ```
    /// # let span = tower_api_span::SpanHandle::default();
    /// span.gen_ai().response_model("llama-4-8b-q4");
    /// ```
    pub fn response_model(&self, model: impl Display) -> &Self {
        self.text(key::GEN_AI_RESPONSE_MODEL, &model)
    }

    /// `gen_ai.request.max_tokens`, int: the most tokens that may be generated.
    ///
    /// ```
    /// # let span = tower_api_span::SpanHandle::default();
    /// span.gen_ai().max_tokens(256);
    /// ```
    pub fn max_tokens(&self, tokens: u32) -> &Self {
        self.set(key::GEN_AI_REQUEST_MAX_TOKENS, i64::from(tokens))
    }

    /// `gen_ai.request.temperature`, double.
    ///
    /// ```
    /// # let span = tower_api_span::SpanHandle::default();
    /// span.gen_ai().temperature(0.7);
    /// ```
    pub fn temperature(&self, temperature: f64) -> &Self {
        self.set(key::GEN_AI_REQUEST_TEMPERATURE, temperature)
    }

    /// `gen_ai.response.finish_reasons`, string[]: why each choice stopped, as `stop` or `length`. The
    /// first 128 are kept; an iterator that panics has given none.
    ///
    /// ```
    /// # let span = tower_api_span::SpanHandle::default();
    /// span.gen_ai().finish_reasons(["stop", "length"]);
    /// ```
    pub fn finish_reasons(&self, reasons: impl IntoIterator<Item: Display>) -> &Self {
        if self.0.accepts_records() {
            // The caller's iterator: it may panic, and it may never end.
            let reasons = catch_panic(|| {
                let reasons = reasons.into_iter().take(MAX_REASONS);
                let reasons = reasons.filter_map(|reason| format_bounded(&reason));
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

    /// `gen_ai.usage.input_tokens`, int: tokens of the prompt.
    ///
    /// ```
    /// # let span = tower_api_span::SpanHandle::default();
    /// span.gen_ai().input_tokens(12);
    /// ```
    pub fn input_tokens(&self, tokens: u32) -> &Self {
        self.set(key::GEN_AI_USAGE_INPUT_TOKENS, i64::from(tokens))
    }

    /// `gen_ai.usage.output_tokens`, int: tokens that were generated.
    ///
    /// ```
    /// # let span = tower_api_span::SpanHandle::default();
    /// span.gen_ai().output_tokens(80);
    /// ```
    pub fn output_tokens(&self, tokens: u32) -> &Self {
        self.set(key::GEN_AI_USAGE_OUTPUT_TOKENS, i64::from(tokens))
    }

    fn text(&self, key: &'static str, value: &dyn Display) -> &Self {
        if self.0.accepts_records()
            && let Some(text) = format_bounded(value)
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
