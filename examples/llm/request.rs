//! Parses a client's request.

use serde_json::Value;

use crate::error::ApiError;

/// The requested endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Chat,
    Completions,
}

/// A parsed request.
#[derive(Debug)]
pub(crate) struct CompletionRequest {
    pub(crate) endpoint: Endpoint,
    pub(crate) model: String,
    pub(crate) input_tokens: u32,
    pub(crate) choices: u32,
    pub(crate) max_tokens: Option<u32>,
    pub(crate) temperature: Option<f64>,
    pub(crate) stream: bool,
    pub(crate) include_usage: bool,
}

const MAX_CHOICES: u32 = 16;

impl CompletionRequest {
    /// Parses the body.
    ///
    /// # Errors
    ///
    /// If a value is missing or invalid.
    pub(crate) fn parse(endpoint: Endpoint, body: &Value) -> Result<Self, ApiError> {
        let model = body["model"]
            .as_str()
            .ok_or_else(|| ApiError::invalid("model must be a string"))?;
        let max_tokens = match count(body, "max_completion_tokens")? {
            None => count(body, "max_tokens")?,
            given => given,
        };
        let choices = count(body, "n")?.unwrap_or(1);
        if choices > MAX_CHOICES {
            let message = format!("n must not be more than {MAX_CHOICES}");
            return Err(ApiError::invalid(message));
        }
        Ok(Self {
            endpoint,
            model: model.to_owned(),
            input_tokens: prompt_tokens(endpoint, body)?,
            choices,
            max_tokens,
            temperature: optional(body, "temperature", "a number", Value::as_f64)?,
            stream: flag(body, "stream")?,
            include_usage: flag(&body["stream_options"], "include_usage")?,
        })
    }
}

/// Counts the tokens of the prompt, one per word.
fn prompt_tokens(endpoint: Endpoint, body: &Value) -> Result<u32, ApiError> {
    let words = |text: &str| text.split_whitespace().count();
    let tokens = match endpoint {
        Endpoint::Completions => body["prompt"]
            .as_str()
            .map(words)
            .ok_or_else(|| ApiError::invalid("prompt must be a string"))?,
        Endpoint::Chat => body["messages"]
            .as_array()
            .filter(|messages| !messages.is_empty())
            .ok_or_else(|| ApiError::invalid("messages must be a non-empty list"))?
            .iter()
            .filter_map(|message| message["content"].as_str())
            .map(words)
            .sum(),
    };
    u32::try_from(tokens).map_err(|_| ApiError::invalid("the prompt is too long"))
}

/// Reads a positive number.
fn count(body: &Value, key: &str) -> Result<Option<u32>, ApiError> {
    optional(body, key, "a positive number", |value| {
        let count = value.as_u64().and_then(|count| u32::try_from(count).ok());
        count.filter(|count| *count > 0)
    })
}

fn flag(body: &Value, key: &str) -> Result<bool, ApiError> {
    let flag = optional(body, key, "true or false", Value::as_bool);
    flag.map(Option::unwrap_or_default)
}

/// Reads a value that may be missing or null.
fn optional<T>(
    body: &Value,
    key: &str,
    should_be: &str,
    read: impl Fn(&Value) -> Option<T>,
) -> Result<Option<T>, ApiError> {
    let value = &body[key];
    if value.is_null() {
        return Ok(None);
    }
    let read = read(value).map(Some);
    read.ok_or_else(|| ApiError::invalid(format!("{key} must be {should_be}")))
}
