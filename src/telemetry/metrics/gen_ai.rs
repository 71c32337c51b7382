//! Metrics of language models, from the attributes that the handler has set or that were read in the answer.

use std::time::Duration;

use opentelemetry::{StringValue, Value};

use super::attributes::AttributeList;
use crate::outcome::Outcome;
use crate::protocol::http::methods::OTHER;
use crate::recording::ended_request::EndedRequest;
use crate::recording::learnt_models::LearntModels;
use crate::semconv as key;

/// Describes a request to a language model. Returns `None` if the handler has set no operation: then it
/// may be another kind of request.
pub(super) fn describe(
    ended: &EndedRequest<'_>,
    learnt_models: &LearntModels,
) -> Option<AttributeList> {
    let operation = text(ended, key::GEN_AI_OPERATION_NAME)?;
    let mut list = AttributeList::new();
    list.push(key::GEN_AI_OPERATION_NAME, operation);
    let provider = text(ended, key::GEN_AI_PROVIDER_NAME);
    let provider = provider.unwrap_or(StringValue::from(OTHER));
    list.push(key::GEN_AI_PROVIDER_NAME, provider);
    // If the request was refused or not answered, a client may have made the model's name up.
    if ended.completion.status.is_some() && !ended.completion.is_error_status() {
        push_models(ended, learnt_models, &mut list);
    }
    if let Some(error_type) = ended.completion.error_type() {
        list.push(key::ERROR_TYPE, error_type.clone());
    }
    Some(list)
}

/// Adds the models of the request and of its answer. Each is `_OTHER` if the pair is one of too many, or if no request
/// with it has succeeded.
fn push_models(ended: &EndedRequest<'_>, learnt_models: &LearntModels, list: &mut AttributeList) {
    let requested = text(ended, key::GEN_AI_REQUEST_MODEL);
    let answered = text(ended, key::GEN_AI_RESPONSE_MODEL);
    let names = [&requested, &answered].map(|model| model.as_ref().map_or("", StringValue::as_str));
    // A client that names a model can also make its answer fail.
    let is_learnt = if is_success(ended) {
        learnt_models.add(names)
    } else {
        learnt_models.contain(names)
    };
    for (key, model) in [
        (key::GEN_AI_REQUEST_MODEL, requested),
        (key::GEN_AI_RESPONSE_MODEL, answered),
    ] {
        if let Some(model) = model {
            list.push(
                key,
                if is_learnt {
                    model
                } else {
                    StringValue::from(OTHER)
                },
            );
        }
    }
}

/// Returns the time to the first token of a successful stream.
pub(super) fn time_to_first_token(ended: &EndedRequest<'_>) -> Option<Duration> {
    let time = ended.completion.time_to_first_token;
    time.filter(|_| is_success(ended))
}

fn is_success(ended: &EndedRequest<'_>) -> bool {
    matches!(ended.completion.outcome, Some(Outcome::Departed))
}

/// Returns the seconds for each token after the first.
pub(super) fn time_per_output_token(ended: &EndedRequest<'_>) -> Option<f64> {
    let first = time_to_first_token(ended)?;
    let Value::I64(tokens) = value(ended, key::GEN_AI_USAGE_OUTPUT_TOKENS)? else {
        return None;
    };
    let tokens = u32::try_from(*tokens).ok()?;
    let after_the_first = tokens.checked_sub(1).filter(|tokens| *tokens > 0)?;
    let rest = ended.completion.duration.saturating_sub(first);
    Some(rest.as_secs_f64() / f64::from(after_the_first))
}

fn value<'a>(ended: &'a EndedRequest<'_>, key: &str) -> Option<&'a Value> {
    ended.attribute(key)
}

fn text(ended: &EndedRequest<'_>, key: &str) -> Option<StringValue> {
    let Value::String(text) = value(ended, key)? else {
        return None;
    };
    (!text.as_str().is_empty()).then(|| text.clone())
}
