//! What a request to an LLM API asks for, read from the whole of its JSON.

use serde_json::Value;

use super::super::{MAX_STRING, truncate};
use super::json::{self, Datum, Object};

/// What is recorded of a request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    pub model: Option<String>,
    pub max_tokens: Option<u64>,
    pub temperature: Option<f64>,
    /// `gen_ai.request.stream` is only recorded if it is true.
    pub is_stream: bool,
    pub output_type: Option<&'static str>,
}

/// A member of the request, or of a member of it.
type Path = (&'static str, Option<&'static str>);

/// The members that hold the limit of the answer, in order.
const MAX_TOKENS: [Path; 5] = [
    ("max_tokens", None),
    ("max_completion_tokens", None),
    ("max_output_tokens", None),
    ("options", Some("num_predict")),
    ("generationConfig", Some("maxOutputTokens")),
];

const TEMPERATURE: [Path; 3] = [
    ("temperature", None),
    ("options", Some("temperature")),
    ("generationConfig", Some("temperature")),
];

/// What the body of a request is.
#[derive(Clone, Debug, PartialEq)]
pub enum Read {
    Request(Request),
    /// It asks no model, or is malformed or incomplete.
    Other,
    /// `serde_json` has a limit that the rules do not have.
    Unknown,
}

/// Reads a request.
pub fn read(body: &[u8]) -> Read {
    let request = match json::parse(&String::from_utf8_lossy(body)) {
        Datum::Object(request) => request,
        Datum::Other => return Read::Other,
        Datum::Unknown => return Read::Unknown,
    };
    let prompts = ["messages", "prompt", "input", "contents"];
    if !prompts
        .iter()
        .any(|key| request.get(*key).is_some_and(|value| !value.is_null()))
    {
        return Read::Other;
    }
    let first = |paths: &[Path]| paths.iter().find_map(|path| number(&request, *path));
    let model = json::text(&request, "model");
    Read::Request(Request {
        model: model.map(|model| truncate(model.to_owned(), MAX_STRING)),
        max_tokens: first(&MAX_TOKENS).and_then(json::count),
        temperature: first(&TEMPERATURE).and_then(Value::as_f64),
        is_stream: request.get("stream") == Some(&Value::Bool(true)),
        output_type: output_type(&request),
    })
}

/// Returns a member that is a number.
fn number(request: &Object, path: Path) -> Option<&Value> {
    let value = match path {
        (key, None) => request.get(key),
        (key, Some(nested)) => json::nested(request, key, nested),
    };
    value.filter(|value| value.is_number())
}

/// Returns `gen_ai.output.type`.
fn output_type(request: &Object) -> Option<&'static str> {
    let format = json::object(request, "response_format");
    let text = json::object(request, "text").and_then(|text| json::object(text, "format"));
    let config = json::object(request, "generationConfig");
    let kinds = [
        format.and_then(|format| json::text(format, "type")),
        text.and_then(|format| json::text(format, "type")),
        config.and_then(|config| json::text(config, "responseMimeType")),
    ];
    kinds.into_iter().flatten().find_map(|kind| match kind {
        "json_object" | "json_schema" | "application/json" => Some("json"),
        "text" | "text/plain" => Some("text"),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_in_every_format() {
        let request = |model: &str, max_tokens, temperature, is_stream, output_type| {
            Read::Request(Request {
                model: Some(model.to_owned()),
                max_tokens,
                temperature,
                is_stream,
                output_type,
            })
        };
        for (name, body, expected) in [
            (
                "chat",
                r#"{"model":"m","messages":[],"max_completion_tokens":9,"temperature":0.5,"stream":true}"#,
                request("m", Some(9), Some(0.5), true, None),
            ),
            (
                "JSON output",
                r#"{"model":"m","prompt":"p","max_tokens":1,"response_format":{"type":"json_schema"}}"#,
                request("m", Some(1), None, false, Some("json")),
            ),
            (
                "responses",
                r#"{"model":"m","input":"i","max_output_tokens":1,"text":{"format":{"type":"text"}}}"#,
                request("m", Some(1), None, false, Some("text")),
            ),
            (
                "Gemini",
                r#"{"model":"m","contents":[],"generationConfig":{"maxOutputTokens":2,"temperature":1,
                    "responseMimeType":"application/json"}}"#,
                request("m", Some(2), Some(1.0), false, Some("json")),
            ),
            (
                "Ollama",
                r#"{"model":"m","messages":[],"options":{"num_predict":3,"temperature":0},"stream":false}"#,
                request("m", Some(3), Some(0.0), false, None),
            ),
            ("no prompt", r#"{"model":"m","max_tokens":1}"#, Read::Other),
            ("incomplete", r#"{"model":"m","messages":[]"#, Read::Other),
            ("malformed", r#"{"model":"m","messages":[]} x"#, Read::Other),
        ] {
            assert_eq!(read(body.as_bytes()), expected, "{name}");
        }
    }
}
