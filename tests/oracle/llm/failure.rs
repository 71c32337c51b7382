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
    // Records of an application can hold errors.
    if event.is_element && format.is_none() {
        return None;
    }
    let in_type = object.and_then(|object| object.get("type")?.as_str());
    if event.name == "error" || in_type == Some("error") {
        return Some(match object {
            Some(object) => with_base(object, described(object)),
            None => Failure::new(event.data.as_deref().and_then(text_of), None),
        });
    }
    let kind = format::kind(&event.name, object);
    let is_failed =
        format == Some(Format::Responses) && is_end_that_failed(kind, object) && !is_whole;
    let Some(object) = object else {
        let message = event.data.as_deref().and_then(text_of);
        return is_failed.then(|| Failure::new(message, None));
    };
    if is_failed {
        let found = described(&with_error_of_response(object));
        return Some(with_base(object, found));
    }
    // A whole body of no known format may be the record of a job, whose error is data.
    let named = object.get("object").and_then(Value::as_str);
    let is_job =
        event.may_be_record && format.is_none() && named != Some("error") && !is_bare_error(object);
    let has_base_code = base_code(object).is_some()
        && !is_other(object)
        && (!format::is_typed(kind) || kind == "response.failed");
    if named == Some("error") || has_error(object, kind) && !is_job || has_base_code {
        let found = described(&with_error_of_response(object));
        let kind = json::word(object, "type").filter(|_| named == Some("error"));
        let code = found.code.or(kind);
        return Some(with_base(object, Failure { code, ..found }));
    }
    let has_failed = match format? {
        // A whole answer can be an event, or a line.
        Format::Responses => {
            !format::is_typed(kind) && json::text(object, "status") == Some("failed")
        }
        Format::ChatCompletions | Format::Completions => {
            let choices = json::objects(object, "choices");
            let reasons = choices
                .iter()
                .map(|choice| json::text(choice, "finish_reason"));
            let failures = ["error", "abort", "insufficient_system_resource"];
            reasons
                .into_iter()
                .flatten()
                .any(|reason| failures.contains(&reason))
        }
        Format::Messages | Format::Gemini | Format::Ollama => false,
    };
    has_failed.then(|| with_base(object, described(object)))
}

/// Whether an end of responses is that of a failure.
fn is_end_that_failed(kind: &str, object: Option<&Object>) -> bool {
    let status = object.and_then(|object| json::nested(object, "response", "status"));
    let has_failed = status.and_then(Value::as_str) == Some("failed");
    kind == "response.failed" || kind == "response.done" && has_failed
}

/// Returns the status in `base_resp`, unless it is a success.
fn base_code(object: &Object) -> Option<String> {
    let base = json::object(object, "base_resp")?;
    base.get("status_code")
        .filter(|code| code.is_number() && says_something(code))?;
    json::word(base, "status_code")
}

/// Adds message and code of `base_resp` to a failure that lacks them, unless they are those of a success.
fn with_base(object: &Object, failure: Failure) -> Failure {
    if base_code(object).is_none() {
        return failure;
    }
    let message = json::object(object, "base_resp").and_then(|base| json::text(base, "status_msg"));
    let base = Failure::new(message, base_code(object));
    Failure {
        message: failure.message.or(base.message),
        code: failure.code.or(base.code),
    }
}

/// Returns the failure in a field line `error`.
pub(super) fn in_error_field(value: &str) -> Option<Failure> {
    match json::parse(value) {
        _ if is_empty(value.trim_ascii()) => None,
        Datum::Object(object) if !object.values().any(says_something) => None,
        Datum::Object(object) => {
            let beside = described(&object);
            let code = first_code_of_error(&object);
            Some(Failure::new(
                beside.message.as_deref(),
                beside.code.or(code),
            ))
        }
        Datum::Other | Datum::Unknown => text_of(value).map(|text| Failure::new(Some(text), None)),
    }
}

/// Whether a text says that there is no failure.
fn is_empty(text: &str) -> bool {
    let is_number = text.parse().is_ok_and(f64::is_finite);
    is_number || ["", "null", "false"].contains(&text)
}

/// Whether an object has only members that errors have, or that have a meaning in a format.
fn is_bare_error(object: &Object) -> bool {
    const OF_ERRORS: [&str; 14] = [
        "base_resp",
        "code",
        "created",
        "created_at",
        "detail",
        "details",
        "error",
        "message",
        "param",
        "path",
        "provider",
        "request_id",
        "success",
        "timestamp",
    ];
    const OF_FORMATS: [&str; 20] = [
        "candidates",
        "choices",
        "content_block",
        "delta",
        "done",
        "done_reason",
        "eval_count",
        "id",
        "incomplete_details",
        "item",
        "model",
        "modelVersion",
        "object",
        "prompt_eval_count",
        "response",
        "responseId",
        "status",
        "stop_reason",
        "thinking",
        "type",
    ];
    const OTHERS: [&str; 3] = ["usage", "usageMetadata", "user_id"];
    let all = || OF_ERRORS.iter().chain(&OF_FORMATS).chain(&OTHERS);
    object.keys().all(|key| all().any(|one| one == key))
}

/// Returns data that are no object as a message. Malformed JSON is none.
fn text_of(data: &str) -> Option<&str> {
    let text = data.trim_ascii();
    (!text.is_empty() && !text.starts_with('{')).then_some(data)
}

/// Whether an object names itself, and as none of the formats.
fn is_other(object: &Object) -> bool {
    let named = object.get("object").and_then(Value::as_str).unwrap_or("");
    !["", "error"].contains(&named) && !format::is_of_format(named)
}

/// Whether a member `error` reports a failure.
fn has_error(object: &Object, kind: &str) -> bool {
    if is_other(object) || format::is_typed(kind) && kind != "response.failed" {
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
        .and_then(first_code_of_error)
        .or_else(|| first_code(object, &["code"]));
    Failure::new(message, code)
}

/// Replaces the error with that of the response, if it says something. What stands beside the response says it else.
fn with_error_of_response(object: &Object) -> Object {
    let mut object = object.clone();
    let error = json::object(&object, "response").and_then(|response| response.get("error"));
    // A number is no error.
    let is_error = |error: &&Value| !error.is_number() && says_something(error);
    if let Some(error) = error.filter(is_error).cloned() {
        object.insert("error".to_owned(), error);
    }
    object
}

/// Returns the code of a member `error`, in which 0 is none.
fn first_code_of_error(error: &Object) -> Option<String> {
    let mut error = error.clone();
    error.retain(|_, value| value.as_f64() != Some(0.0));
    first_code(&error, &["code", "type", "status"])
}

/// Returns the first of these members that is a code.
fn first_code(object: &Object, keys: &[&str]) -> Option<String> {
    keys.iter().find_map(|key| json::word(object, key))
}
