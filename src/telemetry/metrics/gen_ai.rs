//! What a language model has done for a request, by the word of its handler.

use std::time::Duration;

use opentelemetry::{StringValue, Value};

use super::attributes::List;
use crate::outcome::Outcome;
use crate::protocol::http::methods::OTHER;
use crate::recording::completion::Completion;
use crate::semconv as key;

/// A request of which the handler has said what the model was asked to do.
pub(super) struct Operation {
    name: StringValue,
}

impl Operation {
    /// None of a request that the handler says nothing of: it may be no model's.
    pub(super) fn of(summary: &Completion<'_>) -> Option<Self> {
        let name = text(summary, key::GEN_AI_OPERATION_NAME)?;
        Some(Self { name })
    }

    pub(super) fn attributes(&self, summary: &Completion<'_>) -> List {
        let mut list = List::new();
        list.push(key::GEN_AI_OPERATION_NAME, self.name.clone());
        let provider = text(summary, key::GEN_AI_PROVIDER_NAME);
        let provider = provider.unwrap_or(StringValue::from(OTHER));
        list.push(key::GEN_AI_PROVIDER_NAME, provider);
        // Of a request that was refused, or was not answered, the model's name may be the client's
        // invention.
        if summary.head.status.is_some() && !summary.is_refused() {
            for key in [key::GEN_AI_REQUEST_MODEL, key::GEN_AI_RESPONSE_MODEL] {
                if let Some(model) = text(summary, key) {
                    list.push(key, model);
                }
            }
        }
        if let Some(error_type) = summary.error_type() {
            list.push(key::ERROR_TYPE, error_type.clone());
        }
        list
    }

    /// Of a successful response, if it shows its tokens as they come.
    #[expect(clippy::unused_self, reason = "there is an operation")]
    pub(super) fn time_to_first_token(&self, summary: &Completion<'_>) -> Option<Duration> {
        let is_success = matches!(summary.outcome, Some(Outcome::Departed));
        summary
            .time_to_first_byte
            .filter(|_| is_success && summary.is_event_stream)
    }

    /// The rest of the time over the rest of the tokens, in seconds.
    pub(super) fn time_per_output_token(&self, summary: &Completion<'_>) -> Option<f64> {
        let first = self.time_to_first_token(summary)?;
        let Value::I64(tokens) = value(summary, key::GEN_AI_USAGE_OUTPUT_TOKENS)? else {
            return None;
        };
        let tokens = u32::try_from(*tokens).ok()?;
        let after_the_first = tokens.checked_sub(1).filter(|tokens| *tokens > 0)?;
        let rest = summary.duration.saturating_sub(first);
        Some(rest.as_secs_f64() / f64::from(after_the_first))
    }
}

fn value<'a>(summary: &'a Completion<'_>, key: &str) -> Option<&'a Value> {
    summary.told.as_ref()?.attributes.value(key)
}

fn text(summary: &Completion<'_>, key: &str) -> Option<StringValue> {
    let Value::String(text) = value(summary, key)? else {
        return None;
    };
    (!text.as_str().is_empty()).then(|| text.clone())
}
