//! The formats, and which of them an event shows.

use serde_json::Value;

use super::json::{self, Object};

/// A format of LLM APIs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    ChatCompletions,
    Completions,
    Responses,
    Messages,
    Gemini,
    Ollama,
}

const MESSAGES_EVENTS: [&str; 6] = [
    "message_start",
    "content_block_start",
    "content_block_delta",
    "content_block_stop",
    "message_delta",
    "message_stop",
];

const RESPONSES_ENDS: [&str; 5] = [
    "response.completed",
    "response.done",
    "response.incomplete",
    "response.failed",
    "response.cancelled",
];

/// The values of `"object"` in the formats.
const OBJECTS: [(&str, Format); 5] = [
    ("chat.completion.chunk", Format::ChatCompletions),
    ("chat.completion", Format::ChatCompletions),
    ("text_completion", Format::Completions),
    ("text_completion.chunk", Format::Completions),
    ("response", Format::Responses),
];

/// Returns the type of an event: that in its data, else its name.
pub(super) fn kind<'a>(name: &'a str, object: Option<&'a Object>) -> &'a str {
    let in_data = object.and_then(|object| object.get("type")?.as_str());
    in_data.unwrap_or(name)
}

/// Whether a type of an event is one of Responses or Messages.
pub(super) fn is_typed(kind: &str) -> bool {
    kind.starts_with("response.") || MESSAGES_EVENTS.contains(&kind)
}

/// Whether a value of `"object"` is one of the formats.
pub(super) fn is_of_format(value: &str) -> bool {
    OBJECTS.iter().any(|(object, _)| *object == value)
}

impl Format {
    pub const ALL: [Self; 6] = [
        Self::ChatCompletions,
        Self::Completions,
        Self::Responses,
        Self::Messages,
        Self::Gemini,
        Self::Ollama,
    ];

    /// Returns the formats that an event shows by its name and its data, one for each rule. The first counts.
    pub(super) fn shown(
        name: &str,
        object: Option<&Object>,
        is_whole: bool,
        may_be_record: bool,
    ) -> Vec<Self> {
        let kind = kind(name, object);
        let mut shown = Vec::new();
        if kind.starts_with("response.") {
            shown.push(Self::Responses);
        }
        if MESSAGES_EVENTS.contains(&kind) || is_whole && kind == "message" {
            shown.push(Self::Messages);
        }
        let Some(object) = object else {
            return shown;
        };
        let named = object.get("object").and_then(Value::as_str);
        let mut formats = OBJECTS.iter();
        shown.extend(
            formats
                .find(|(value, _)| Some(*value) == named)
                .map(|(_, format)| *format),
        );
        if object.get("choices").is_some_and(Value::is_array) {
            let choices = json::objects(object, "choices");
            let has_text = choices.iter().any(|choice| choice.contains_key("text"));
            shown.push(if has_text {
                Self::Completions
            } else {
                Self::ChatCompletions
            });
        }
        let gemini = ["candidates", "usageMetadata", "modelVersion"];
        if gemini.iter().any(|key| object.contains_key(*key)) {
            shown.push(Self::Gemini);
        }
        // The record of a job can have `done`, too.
        let has_more = object.contains_key("model")
            || object.get("message").is_some_and(Value::is_object)
            || object.get("response").is_some_and(Value::is_string);
        if object.get("done").is_some_and(Value::is_boolean) && (!may_be_record || has_more) {
            shown.push(Self::Ollama);
        }
        shown
    }

    /// Whether both are formats with `choices`, which a first event without a choice does not tell apart.
    pub(super) fn is_like(self, other: Self) -> bool {
        let is_of_choices = |format| matches!(format, Self::ChatCompletions | Self::Completions);
        self == other || is_of_choices(self) && is_of_choices(other)
    }

    /// Whether an event of this type ends a stream of the format.
    pub(super) fn is_end(self, kind: &str, object: Option<&Object>) -> bool {
        match self {
            Self::Responses => RESPONSES_ENDS.contains(&kind),
            Self::Messages => kind == "message_stop",
            Self::Ollama => {
                let done = object.and_then(|object| object.get("done"));
                done == Some(&Value::Bool(true))
            }
            Self::ChatCompletions | Self::Completions | Self::Gemini => false,
        }
    }

    /// Returns `gen_ai.operation.name`; for Ollama that without a `message`.
    pub(super) fn operation(self) -> &'static str {
        match self {
            Self::ChatCompletions | Self::Responses | Self::Messages => "chat",
            Self::Completions | Self::Ollama => "text_completion",
            Self::Gemini => "generate_content",
        }
    }

    /// Returns `gen_ai.provider.name`.
    pub(super) fn provider(self) -> &'static str {
        match self {
            Self::ChatCompletions | Self::Completions | Self::Responses => "openai",
            Self::Messages => "anthropic",
            Self::Gemini => "gcp.gemini",
            Self::Ollama => "ollama",
        }
    }
}
