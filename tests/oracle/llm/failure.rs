//! Failures that a response reports in its content.

use serde_json::Value;

use super::super::{MAX_STRING, truncate};
use super::events::Event;
use super::format::{self, Format};
use super::json::{self, Datum, Object};
use super::summary::MAX_WORD;

/// A failure: its message, and its code.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Failure {
    pub message: Option<String>,
    pub code: Option<String>,
}

impl Failure {
    fn new(message: Option<&str>, code: Option<String>) -> Self {
        let message = message.filter(|message| !message.is_empty());
        Self {
            message: message.map(|message| truncate(message.to_owned(), MAX_STRING)),
            code: code.map(|code| truncate(code, MAX_WORD)),
        }
    }
}

/// Returns the failure that an event reports.
pub(super) fn in_event(
    event: &Event,
    object: Option<&Object>,
    format: Option<Format>,
    is_whole: bool,
) -> Option<Failure> {
    let in_type = object.and_then(|object| object.get("type")?.as_str());
    if event.name == "error" || in_type == Some("error") {
        return Some(match object {
            Some(object) => described(object),
            None => Failure::new(event.data.as_deref(), None),
        });
    }
    let object = object?;
    let kind = format::kind(&event.name, Some(object));
    if has_error(object, kind) {
        return Some(described(object));
    }
    if object.get("object").and_then(Value::as_str) == Some("error") {
        let code = first_code(object, &["code", "type"]);
        return Some(Failure::new(json::text(object, "message"), code));
    }
    let error = match format? {
        Format::Responses if is_whole => {
            let is_failed = json::text(object, "status") == Some("failed");
            is_failed.then(|| json::object(object, "error"))
        }
        Format::Responses => {
            let response = json::object(object, "response");
            let error = response.and_then(|response| json::object(response, "error"));
            (kind == "response.failed").then_some(error)
        }
        Format::ChatCompletions | Format::Completions => {
            let choices = json::objects(object, "choices");
            let reasons = choices
                .iter()
                .map(|choice| json::text(choice, "finish_reason"));
            let has_failed = reasons.into_iter().any(|reason| reason == Some("error"));
            has_failed.then_some(None)
        }
        Format::Messages | Format::Gemini | Format::Ollama => None,
    }?;
    let message = error.and_then(|error| json::text(error, "message"));
    let code = error.and_then(|error| first_code(error, &["code"]));
    Some(Failure::new(message, code))
}

/// Returns the failure in a field line `error`.
pub(super) fn in_error_field(value: &str) -> Option<Failure> {
    let Datum::Object(object) = json::parse(value) else {
        return Some(Failure::new(Some(value), None));
    };
    let error = json::object(&object, "error").unwrap_or(&object);
    let code = first_code(error, &["code", "type"]);
    Some(Failure::new(json::text(error, "message"), code))
}

/// Whether a member `error` reports a failure.
fn has_error(object: &Object, kind: &str) -> bool {
    let named = object.get("object").and_then(Value::as_str).unwrap_or("");
    let is_other = !["", "error"].contains(&named) && !format::is_of_format(named);
    if is_other || format::is_typed(kind) && kind != "response.failed" {
        return false;
    }
    match object.get("error") {
        None | Some(Value::Number(_)) => false,
        Some(error) => says_something(error),
    }
}

fn says_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(elements) => elements.iter().any(says_something),
        Value::Object(members) => members.values().any(says_something),
    }
}

/// Returns what a member `error`, and the members beside it, say of a failure.
fn described(object: &Object) -> Failure {
    let error = json::object(object, "error");
    let message = error
        .and_then(|error| json::text(error, "message"))
        .or_else(|| json::text(object, "error"))
        .or_else(|| json::text(object, "message"));
    let code = error
        .and_then(|error| first_code(error, &["code", "type", "status"]))
        .or_else(|| first_code(object, &["code"]));
    Failure::new(message, code)
}

/// Returns the first of these members that is a number, or a string that is not empty.
fn first_code(object: &Object, keys: &[&str]) -> Option<String> {
    keys.iter().find_map(|key| match object.get(*key)? {
        Value::String(text) => Some(text.clone()).filter(|text| !text.is_empty()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    })
}
