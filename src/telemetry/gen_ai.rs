//! Describes what was read in a request to a language model, and in its answer.

use opentelemetry::{Array, KeyValue, StringValue, Value};

use crate::protocol::llm::{Answer, LlmFormat, OutputType, RequestFacts};
use crate::recording::buffer::SpanBuffer;
use crate::semconv as key;

/// Sets the attributes that were read, unless they have a value: the handler's wins.
pub(crate) fn describe_answer(answer: &Answer, buffer: &mut SpanBuffer) {
    let Some(format) = answer.format else {
        return;
    };
    let text = |text: &Option<Box<str>>| text.as_deref().map(|text| Value::from(text.to_owned()));
    let reasons = answer.finish_reasons.iter();
    let reasons: Vec<_> = reasons
        .map(|(_, reason)| StringValue::from(reason.to_string()))
        .collect();
    let reasons = (!reasons.is_empty()).then_some(Value::Array(Array::String(reasons)));
    let usage = &answer.usage;
    for (key, value) in [
        (
            key::GEN_AI_OPERATION_NAME,
            Some(operation(answer, format).into()),
        ),
        (key::GEN_AI_PROVIDER_NAME, Some(provider(format).into())),
        (key::GEN_AI_RESPONSE_ID, text(&answer.id)),
        (key::GEN_AI_RESPONSE_MODEL, text(&answer.model)),
        (key::GEN_AI_RESPONSE_FINISH_REASONS, reasons),
        (key::GEN_AI_USAGE_INPUT_TOKENS, count(usage.input(format))),
        (key::GEN_AI_USAGE_OUTPUT_TOKENS, count(usage.output(format))),
        (
            key::GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS,
            count(usage.cache_read(format)),
        ),
        (
            key::GEN_AI_USAGE_CACHE_CREATION_INPUT_TOKENS,
            count(usage.cache_creation()),
        ),
        (
            key::GEN_AI_USAGE_REASONING_OUTPUT_TOKENS,
            count(usage.reasoning()),
        ),
    ] {
        if let Some(value) = value {
            buffer.set_if_absent(KeyValue::new(key, value));
        }
    }
}

/// Sets the attributes of a request, unless they have a value. The conventions have `stream` only if it is true.
pub(crate) fn describe_request(facts: &RequestFacts, buffer: &mut SpanBuffer) {
    let output_type = facts.output_type.map(OutputType::as_str);
    for (key, value) in [
        (
            key::GEN_AI_REQUEST_MODEL,
            facts
                .model
                .as_deref()
                .map(|model| Value::from(model.to_owned())),
        ),
        (key::GEN_AI_REQUEST_MAX_TOKENS, count(facts.max_tokens)),
        (
            key::GEN_AI_REQUEST_TEMPERATURE,
            facts.temperature.map(Value::from),
        ),
        (
            key::GEN_AI_REQUEST_STREAM,
            facts.is_stream.then_some(Value::from(true)),
        ),
        (key::GEN_AI_OUTPUT_TYPE, output_type.map(Value::from)),
    ] {
        if let Some(value) = value {
            buffer.set_if_absent(KeyValue::new(key, value));
        }
    }
}

/// The operation, by the conventions for generative AI. They have none for responses other than `chat`.
fn operation(answer: &Answer, format: LlmFormat) -> &'static str {
    match format {
        LlmFormat::ChatCompletions | LlmFormat::Responses | LlmFormat::Messages => "chat",
        LlmFormat::Gemini => "generate_content",
        LlmFormat::Ollama if answer.has_message => "chat",
        LlmFormat::Completions | LlmFormat::Ollama => "text_completion",
    }
}

/// The provider, by the format: the conventions let it stand for the flavor of an API. They have none for Ollama.
fn provider(format: LlmFormat) -> &'static str {
    match format {
        LlmFormat::ChatCompletions | LlmFormat::Completions | LlmFormat::Responses => "openai",
        LlmFormat::Messages => "anthropic",
        LlmFormat::Gemini => "gcp.gemini",
        LlmFormat::Ollama => "ollama",
    }
}

fn count(tokens: Option<u64>) -> Option<Value> {
    tokens.map(|tokens| Value::from(i64::try_from(tokens).unwrap_or(i64::MAX)))
}
