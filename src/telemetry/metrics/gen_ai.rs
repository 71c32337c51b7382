//! Metrics of language models, from the attributes that the handler has set.

use std::time::Duration;

use opentelemetry::{StringValue, Value};

use super::attributes::AttributeList;
use crate::outcome::Outcome;
use crate::protocol::http::methods::OTHER;
use crate::recording::completion::Completion;
use crate::semconv as key;

/// Describes a request to a language model. Returns `None` if the handler has not set the operation, because the
/// request may be of another kind.
pub(super) fn describe(completion: &Completion<'_>) -> Option<AttributeList> {
    let operation = text(completion, key::GEN_AI_OPERATION_NAME)?;
    let mut list = AttributeList::new();
    list.push(key::GEN_AI_OPERATION_NAME, operation);
    let provider = text(completion, key::GEN_AI_PROVIDER_NAME);
    let provider = provider.unwrap_or(StringValue::from(OTHER));
    list.push(key::GEN_AI_PROVIDER_NAME, provider);
    // A request without a successful response may name a model that does not exist.
    if completion.head.status.is_some() && !completion.is_refused() {
        for key in [key::GEN_AI_REQUEST_MODEL, key::GEN_AI_RESPONSE_MODEL] {
            if let Some(model) = text(completion, key) {
                list.push(key, model);
            }
        }
    }
    if let Some(error_type) = completion.error_type() {
        list.push(key::ERROR_TYPE, error_type.clone());
    }
    Some(list)
}

/// Returns the time to the first token of a successful event stream.
pub(super) fn time_to_first_token(completion: &Completion<'_>) -> Option<Duration> {
    let is_success = matches!(completion.outcome, Some(Outcome::Departed));
    completion
        .time_to_first_byte
        .filter(|_| is_success && completion.is_event_stream)
}

/// Returns the seconds for each token after the first.
pub(super) fn time_per_output_token(completion: &Completion<'_>) -> Option<f64> {
    let first = time_to_first_token(completion)?;
    let Value::I64(tokens) = value(completion, key::GEN_AI_USAGE_OUTPUT_TOKENS)? else {
        return None;
    };
    let tokens = u32::try_from(*tokens).ok()?;
    let after_the_first = tokens.checked_sub(1).filter(|tokens| *tokens > 0)?;
    let rest = completion.duration.saturating_sub(first);
    Some(rest.as_secs_f64() / f64::from(after_the_first))
}

fn value<'a>(completion: &'a Completion<'_>, key: &str) -> Option<&'a Value> {
    completion.buffer.as_ref()?.attributes.get(key)
}

fn text(completion: &Completion<'_>, key: &str) -> Option<StringValue> {
    let Value::String(text) = value(completion, key)? else {
        return None;
    };
    (!text.as_str().is_empty()).then(|| text.clone())
}
