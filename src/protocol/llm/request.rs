//! Reads the JSON of a request, frame by frame.

use super::kept::{MAX_MESSAGE, kept};
use super::member::Member;
use super::place::Place;
use super::walker::{Scalar, Value, Visitor, Walker};
use crate::protocol::json::number;

/// What a request asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct RequestFacts {
    pub(crate) model: Option<Box<str>>,
    pub(crate) max_tokens: Option<u64>,
    pub(crate) temperature: Option<f64>,
    pub(crate) is_stream: bool,
    pub(crate) output_type: Option<OutputType>,
    /// Whether there is a prompt. Otherwise it is no request to a language model.
    has_prompt: bool,
    /// Whether the JSON is whole.
    is_whole: bool,
}

/// The kind of output that a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OutputType {
    Text,
    Json,
}

impl OutputType {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }

    fn of(name: &[u8]) -> Option<Self> {
        match name {
            b"text" | b"text/plain" => Some(Self::Text),
            b"json_object" | b"json_schema" | b"application/json" => Some(Self::Json),
            _ => None,
        }
    }
}

/// Reads one request.
#[derive(Debug, Default)]
pub(crate) struct RequestReader {
    walker: Walker,
    facts: RequestFacts,
}

impl RequestReader {
    /// Reads the next piece of the body.
    pub(crate) fn read(&mut self, piece: &[u8]) {
        let rest = self.walker.read(piece, Place::Request, &mut self.facts);
        self.walker.read(rest, Place::Request, &mut self.facts);
    }

    /// Returns what was read, or `None` if the JSON is not whole or has no prompt. Bytes behind the JSON do not count:
    /// they can be in a later piece.
    pub(crate) fn facts(&self) -> Option<&RequestFacts> {
        (self.facts.is_whole && self.facts.has_prompt).then_some(&self.facts)
    }
}

impl Visitor for RequestFacts {
    fn limit(&self, member: Member) -> usize {
        member.limit()
    }

    fn visit(&mut self, member: Member, value: Value<'_>) {
        match (member, value) {
            (Member::Root, Value::End) => self.is_whole = true,
            (Member::Prompt, value) => self.has_prompt |= value != Value::Null,
            (Member::RequestModel, Value::Text(text)) => {
                self.model = kept(text, MAX_MESSAGE);
            }
            (Member::MaxTokens, Value::Number(digits)) => {
                self.max_tokens = number::integer(digits);
            }
            (Member::Temperature, Value::Number(digits)) => {
                self.temperature = number::float(digits);
            }
            (Member::Stream, Value::Bool(is_stream)) => self.is_stream = is_stream,
            (Member::OutputType, Value::Text(name)) => self.output_type = OutputType::of(name),
            _ => {}
        }
    }

    fn skip(&mut self, _: Member, _: Scalar) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str, size: usize) -> Option<RequestFacts> {
        let mut reader = RequestReader::default();
        for piece in json.as_bytes().chunks(size) {
            reader.read(piece);
        }
        reader.facts().cloned()
    }

    #[test]
    fn requests_of_all_formats_are_read() {
        let facts = |model: &str, max_tokens, temperature, is_stream, output_type| {
            Some(RequestFacts {
                model: Some(model.into()),
                max_tokens,
                temperature,
                is_stream,
                output_type,
                has_prompt: true,
                is_whole: true,
            })
        };
        let json = Some(OutputType::Json);
        for (body, expected) in [
            (
                r#"{"model":"m","messages":[{"model":"no","max_tokens":7}],"max_tokens":9,"temperature":0.5,"stream":true}"#,
                facts("m", Some(9), Some(0.5), true, None),
            ),
            (
                r#"{"messages":[],"max_completion_tokens":9,"model":"m","response_format":{"type":"json_schema"}}"#,
                facts("m", Some(9), None, false, json),
            ),
            (
                r#"{"model":"m","input":"hi","max_output_tokens":9,"text":{"format":{"type":"text"}}}"#,
                facts("m", Some(9), None, false, Some(OutputType::Text)),
            ),
            (
                r#"{"model":"m","prompt":"hi","options":{"num_predict":9,"temperature":1}}"#,
                facts("m", Some(9), Some(1.0), false, None),
            ),
            (
                r#"{"model":"m","contents":[],"generationConfig":{"maxOutputTokens":9,"temperature":0,"responseMimeType":"application/json"}}"#,
                facts("m", Some(9), Some(0.0), false, json),
            ),
            (
                r#"{"model":"m","prompt":["a"],"max_tokens":-1,"temperature":"hot","stream":"yes"}"#,
                facts("m", None, None, false, None),
            ),
            (r#"{"model":"m"}"#, None),
            (r#"{"model":"m","messages":null}"#, None),
            (r#"{"model":"m","messages":[]"#, None),
            (
                r#"{"model":"m","messages":[]} x"#,
                facts("m", None, None, false, None),
            ),
            (
                r#"{"model":"m","messages":[]}{"model":"n","max_tokens":9}"#,
                facts("m", None, None, false, None),
            ),
            (r#"[{"model":"m","messages":[]}]"#, None),
            (r#"{"model":"m","messages":[]]"#, None),
            (r#"["messages"]"#, None),
            ("", None),
        ] {
            for size in [1, 7, 1_000] {
                assert_eq!(read(body, size), expected, "{body} by {size}");
            }
        }
    }
}
