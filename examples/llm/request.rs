//! Parses a client's request.

use serde_json::Value;

use crate::error::ApiError;

/// The requested endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Chat,
    Completions,
    Responses,
    Messages,
}

/// A parsed request.
#[derive(Debug)]
pub(crate) struct LlmRequest {
    pub(crate) endpoint: Endpoint,
    pub(crate) model: String,
    pub(crate) input_tokens: usize,
    pub(crate) choices: usize,
    pub(crate) max_tokens: Option<usize>,
    pub(crate) stream: bool,
    /// Whether a stream ends with the numbers of tokens.
    pub(crate) include_usage: bool,
}

const MAX_CHOICES: usize = 16;

impl Endpoint {
    /// The keys of the limit on tokens. The first one that is given counts.
    fn max_tokens_keys(self) -> &'static [&'static str] {
        match self {
            Self::Chat | Self::Completions => &["max_completion_tokens", "max_tokens"],
            Self::Responses => &["max_output_tokens"],
            Self::Messages => &["max_tokens"],
        }
    }

    fn has_choices(self) -> bool {
        matches!(self, Self::Chat | Self::Completions)
    }
}

impl LlmRequest {
    /// Parses the body.
    ///
    /// # Errors
    ///
    /// If a value is missing or invalid.
    pub(crate) fn parse(endpoint: Endpoint, body: &Value) -> Result<Self, ApiError> {
        let model = body["model"]
            .as_str()
            .ok_or_else(|| ApiError::invalid("model must be a string"))?;
        let mut max_tokens = None;
        for key in endpoint.max_tokens_keys() {
            max_tokens = max_tokens.or(count(body, key)?);
        }
        if endpoint == Endpoint::Messages && max_tokens.is_none() {
            return Err(ApiError::invalid("max_tokens: Field required"));
        }
        let choices = count(body, "n")?.filter(|_| endpoint.has_choices());
        let choices = choices.unwrap_or(1);
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
            stream: flag(body, "stream")?,
            include_usage: !endpoint.has_choices()
                || flag(&body["stream_options"], "include_usage")?,
        })
    }
}

/// Counts the tokens of the prompt, one per word.
fn prompt_tokens(endpoint: Endpoint, body: &Value) -> Result<usize, ApiError> {
    let (key, is_text, is_list) = match endpoint {
        Endpoint::Completions => ("prompt", true, false),
        Endpoint::Responses => ("input", true, true),
        Endpoint::Chat | Endpoint::Messages => ("messages", false, true),
    };
    let messages = body[key].as_array().filter(|messages| !messages.is_empty());
    if let Some(text) = body[key].as_str().filter(|_| is_text) {
        Ok(words(text))
    } else if let Some(messages) = messages.filter(|_| is_list) {
        let contents = messages.iter().map(|message| &message["content"]);
        Ok(contents.map(words_of).sum())
    } else {
        let should_be = if is_list {
            "a non-empty list"
        } else {
            "a string"
        };
        Err(ApiError::invalid(format!("{key} must be {should_be}")))
    }
}

/// Counts the words of a text, or of a list of parts with texts.
fn words_of(content: &Value) -> usize {
    let parts = content.as_array().into_iter().flatten();
    let texts = parts.filter_map(|part| part["text"].as_str());
    texts.chain(content.as_str()).map(words).sum()
}

fn words(text: &str) -> usize {
    text.split_whitespace().count()
}

/// Reads a positive number.
fn count(body: &Value, key: &str) -> Result<Option<usize>, ApiError> {
    optional(body, key, "a positive number", |value| {
        let count = value.as_u64().and_then(|count| usize::try_from(count).ok());
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
