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
            deltas.flatten().any(is_chat_token) || has_text(choices, "text")
        }
        Format::Responses => is_responses_token(kind, event),
        Format::Messages => is_messages_token(kind, event),
        Format::Gemini => {
            let candidates = json::objects(event, "candidates").into_iter();
            let contents = candidates.filter_map(|candidate| json::object(candidate, "content"));
            let mut parts = contents.flat_map(|content| json::objects(content, "parts"));
            parts.any(|part| {
                let call = part.get("functionCall");
                json::text(part, "text").is_some() || call.is_some_and(|call| !call.is_null())
            })
        }
        Format::Ollama => {
            let message = json::object(event, "message");
            let in_message = message.is_some_and(|message| {
                let calls = message.get("tool_calls").and_then(Value::as_array);
                has_any(message, &["content", "thinking"])
                    || calls.is_some_and(|calls| !calls.is_empty())
            });
            in_message || has_any(event, &["response", "thinking"])
        }
    }
}

fn is_chat_token(delta: &Object) -> bool {
    let texts = ["content", "reasoning_content", "reasoning", "refusal"];
    let calls = json::objects(delta, "tool_calls").into_iter();
    let functions = calls.filter_map(|call| json::object(call, "function"));
    let mut functions = functions.chain(json::object(delta, "function_call"));
    has_any(delta, &texts)
        || has_text(json::objects(delta, "content"), "text")
        || functions.any(|function| has_any(function, &["name", "arguments"]))
}

fn is_responses_token(kind: &str, event: &Object) -> bool {
    if kind == "response.output_item.added" {
        let item = json::object(event, "item");
        // Only calls have a name: of functions, of custom tools, of MCP.
        return item.is_some_and(|item| has_any(item, &["name"]));
    }
    let is_delta = kind.starts_with("response.") && kind.rsplit('.').next() == Some("delta");
    is_delta && json::text(event, "delta").is_some()
}

fn is_messages_token(kind: &str, event: &Object) -> bool {
    match kind {
        // Only calls of tools have a name.
        "content_block_start" => json::object(event, "content_block")
            .is_some_and(|block| has_any(block, &["text", "name"])),
        "content_block_delta" => json::object(event, "delta")
            .is_some_and(|delta| has_any(delta, &["text", "thinking", "partial_json"])),
        _ => false,
    }
}

/// Whether one of these members is a string that is not empty, or an object, as arguments can be.
fn has_any(object: &Object, keys: &[&str]) -> bool {
    let has = |key: &&str| {
        let is_object = object.get(*key).is_some_and(Value::is_object);
        is_object || json::text(object, key).is_some()
    };
    keys.iter().any(has)
}

fn has_text(objects: Vec<&Object>, key: &str) -> bool {
    objects
        .into_iter()
        .any(|object| json::text(object, key).is_some())
}
