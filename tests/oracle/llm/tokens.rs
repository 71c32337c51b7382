//! The events that have generated text in them.

use serde_json::Value;

use super::format::Format;
use super::json::{self, Object};

/// Whether an event has a token: text, reasoning, a refusal, or the name or an argument of a tool call.
pub(super) fn has_token(format: Format, kind: &str, event: &Object) -> bool {
    match format {
        // A first event with `"choices":[]` does not show which of the two it is.
        Format::ChatCompletions | Format::Completions => {
            let choices = json::objects(event, "choices");
            let deltas = choices.iter().map(|choice| json::object(choice, "delta"));
            let mut choices = choices.iter();
            deltas.flatten().any(is_chat_token) || choices.any(|choice| has_text(choice, &["text"]))
        }
        Format::Responses => is_responses_token(kind, event),
        Format::Messages => is_messages_token(kind, event),
        Format::Gemini => {
            let candidates = json::objects(event, "candidates").into_iter();
            let contents = candidates.filter_map(|candidate| json::object(candidate, "content"));
            let mut parts = contents.flat_map(|content| json::objects(content, "parts"));
            parts.any(|part| has_text_or_object(part, &["text", "functionCall"]))
        }
        Format::Ollama => {
            let message = json::object(event, "message");
            let members = ["content", "thinking", "tool_calls"];
            let mut members = members.iter().filter_map(|key| message?.get(*key));
            members.any(|value| is_any_content(value, 2))
                || has_text(event, &["response", "thinking"])
        }
    }
}

/// Whether a value of a message is content: a text, an object, or a list with such an element. `depth` is the number of
/// objects and lists around it, of which 8 are read.
fn is_any_content(value: &Value, depth: usize) -> bool {
    match value {
        Value::String(text) => !text.is_empty(),
        Value::Object(_) => true,
        Value::Array(elements) if depth < 8 => elements
            .iter()
            .any(|element| is_any_content(element, depth + 1)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => false,
    }
}

fn is_chat_token(delta: &Object) -> bool {
    let has_parts = |object: &Object, keys: &[&str], depth| {
        let mut values = keys.iter().filter_map(|key| object.get(*key));
        values.any(|value| is_text_or_parts(value, depth))
    };
    let texts = ["content", "reasoning_content", "reasoning", "refusal"];
    let calls = json::objects(delta, "tool_calls").into_iter();
    let mut functions = calls.flat_map(|call| {
        let tools = ["function", "custom"].map(|key| json::object(call, key));
        tools.into_iter().flatten()
    });
    let in_function = ["name", "arguments", "input"];
    has_parts(delta, &texts, 4)
        || functions.any(|function| has_parts(function, &in_function, 7))
        || json::object(delta, "function_call")
            .is_some_and(|function| has_parts(function, &in_function, 5))
        || json::object(delta, "audio")
            .is_some_and(|audio| has_parts(audio, &["data", "transcript"], 5))
}

/// Whether a value of a choice is a text, or a list of parts with one, as far as 8 objects and lists.
fn is_text_or_parts(value: &Value, depth: usize) -> bool {
    match value {
        Value::String(text) => !text.is_empty(),
        Value::Array(parts) if depth <= 6 => {
            let parts = parts.iter().filter_map(Value::as_object);
            let mut texts = parts.flat_map(|part| [part.get("text"), part.get("thinking")]);
            texts.any(|text| text.is_some_and(|text| is_text_or_parts(text, depth + 2)))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            false
        }
    }
}

fn is_responses_token(kind: &str, event: &Object) -> bool {
    if kind == "response.output_item.added" {
        return is_block_token(event);
    }
    let is_delta = kind.starts_with("response.") && kind.rsplit('.').next() == Some("delta");
    is_delta && json::text(event, "delta").is_some()
}

fn is_messages_token(kind: &str, event: &Object) -> bool {
    match kind {
        "content_block_start" => is_block_token(event),
        "content_block_delta" => json::object(event, "delta")
            .is_some_and(|delta| has_text(delta, &["text", "thinking", "partial_json"])),
        _ => false,
    }
}

/// Whether a block or an item has text, or a name: only calls of tools, functions and MCP have one.
fn is_block_token(event: &Object) -> bool {
    let blocks = ["content_block", "item"].map(|key| json::object(event, key));
    let mut blocks = blocks.into_iter().flatten();
    blocks.any(|block| has_text(block, &["text", "name", "thinking"]))
}

/// Whether one of these members is a text that is not empty.
fn has_text(object: &Object, keys: &[&str]) -> bool {
    keys.iter().any(|key| json::text(object, key).is_some())
}

/// Whether one of these members is a text that is not empty, or an object.
fn has_text_or_object(object: &Object, keys: &[&str]) -> bool {
    let is_object = |key: &&str| object.get(*key).is_some_and(Value::is_object);
    keys.iter().any(is_object) || has_text(object, keys)
}
