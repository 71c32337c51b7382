//! What a request to an LLM API asks for, read from the whole of its JSON.

use serde_json::Value;

use super::super::{MAX_STRING, truncate};
use super::json::{self, Datum};

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

/// The longest number that is read, in bytes.
const MAX_NUMBER: usize = 40;

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
    let text = String::from_utf8_lossy(body);
    // What is behind the request does not count.
    let text = json::first_value(&text).unwrap_or(text.into_owned());
    match json::parse(&text) {
        Datum::Object(_) => {}
        Datum::Other => return Read::Other,
        Datum::Unknown => return Read::Unknown,
    }
    let members = json::members(&text);
    let is_prompt = |(key, value): &(String, String)| {
        let prompts = ["messages", "prompt", "input", "contents"];
        prompts.contains(&&**key) && value != "null"
    };
    if !members.iter().any(is_prompt) {
        return Read::Other;
    }
    let mut read = Request::default();
    for (key, value) in members {
        read.take("", &key, &value);
    }
    Read::Request(read)
}

impl Request {
    /// Reads a member, in its order: of several names of one value, the last counts.
    fn take(&mut self, parent: &str, key: &str, text: &str) {
        let value: Value = serde_json::from_str(text).expect("JSON");
        let number = value.as_number();
        match (parent, key) {
            ("", "model") if value.is_string() => {
                let model = value.as_str().filter(|model| !model.is_empty());
                self.model = model.map(|model| truncate(model.to_owned(), MAX_STRING));
            }
            ("", "max_tokens" | "max_completion_tokens" | "max_output_tokens")
            | ("options", "num_predict")
            | ("generationConfig", "maxOutputTokens")
                if number.is_some() =>
            {
                self.max_tokens = json::count(&value);
            }
            ("" | "options" | "generationConfig", "temperature") if number.is_some() => {
                self.temperature = value.as_f64().filter(|_| text.len() <= MAX_NUMBER);
            }
            ("", "stream") => self.is_stream = value.as_bool().unwrap_or(self.is_stream),
            ("response_format" | "text.format", "type")
            | ("generationConfig", "responseMimeType")
                if value.is_string() =>
            {
                self.output_type = value.as_str().and_then(output_type);
            }
            ("", "options" | "generationConfig" | "response_format" | "text")
            | ("text", "format")
                if value.is_object() =>
            {
                let place = if parent.is_empty() {
                    key
                } else {
                    "text.format"
                };
                for (key, value) in json::members(text) {
                    self.take(place, &key, &value);
                }
            }
            _ => {}
        }
    }
}

/// Returns `gen_ai.output.type`.
fn output_type(kind: &str) -> Option<&'static str> {
    match kind {
        "json_object" | "json_schema" | "application/json" => Some("json"),
        "text" | "text/plain" => Some("text"),
        _ => None,
    }
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
            ("malformed", r#"{"model":"m","messages":[}"#, Read::Other),
            (
                "text behind it",
                r#"{"model":"m","messages":[]} x"#,
                request("m", None, None, false, None),
            ),
        ] {
            assert_eq!(read(body.as_bytes()), expected, "{name}");
        }
    }
}
