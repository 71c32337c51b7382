//! Reads the numbers of tokens for the upstream's span. The layer reads them for the request's span by itself.

use std::mem;

use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use serde_json::Value;

/// The longest line of a stream, and the longest whole response, that is read.
const MAX_BYTES: usize = 256 * 1024;

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    pub(crate) input_tokens: Option<i64>,
    pub(crate) output_tokens: Option<i64>,
}

pub(crate) struct UsageReader {
    is_stream: bool,
    /// The current line of a stream, or the whole response.
    text: Vec<u8>,
    is_too_long: bool,
    usage: Usage,
}

impl UsageReader {
    pub(crate) fn new(headers: &HeaderMap) -> Self {
        let content_type = headers.get(CONTENT_TYPE);
        Self {
            is_stream: content_type
                .is_some_and(|it| it.as_bytes().starts_with(b"text/event-stream")),
            text: Vec::new(),
            is_too_long: false,
            usage: Usage::default(),
        }
    }

    pub(crate) fn read(&mut self, data: &[u8]) {
        if !self.is_stream {
            return self.keep(data);
        }
        for part in data.split_inclusive(|byte| *byte == b'\n') {
            self.keep(part);
            if part.ends_with(b"\n") {
                self.take_line();
            }
        }
    }

    /// Returns what the response carried so far.
    pub(crate) fn finish(&mut self) -> Usage {
        self.take_line();
        self.usage
    }

    fn keep(&mut self, data: &[u8]) {
        if self.text.len() + data.len() > MAX_BYTES {
            self.is_too_long = true;
        }
        if !self.is_too_long {
            self.text.extend_from_slice(data);
        }
    }

    /// Reads the text, and forgets it.
    fn take_line(&mut self) {
        let is_too_long = mem::take(&mut self.is_too_long);
        let json = if self.is_stream {
            self.text.strip_prefix(b"data:")
        } else {
            Some(&*self.text)
        };
        let json = json.filter(|_| !is_too_long);
        if let Some(event) = json.and_then(|json| serde_json::from_slice::<Value>(json).ok()) {
            // OpenAI's responses and Anthropic's messages wrap it in the object of the first or the last event.
            for usage in [
                &event["usage"],
                &event["response"]["usage"],
                &event["message"]["usage"],
            ] {
                self.usage.update(usage);
            }
        }
        self.text.clear();
    }
}

impl Usage {
    /// Takes in the numbers that are there. Later ones replace earlier ones.
    fn update(&mut self, usage: &Value) {
        let number = |key: &str| usage[key].as_i64();
        if let Some(tokens) = number("prompt_tokens").or(number("input_tokens")) {
            // Anthropic counts cached tokens beside the others.
            let cached = ["cache_creation_input_tokens", "cache_read_input_tokens"];
            let cached: i64 = cached.into_iter().filter_map(number).sum();
            self.input_tokens = Some(tokens + cached);
        }
        let output_tokens = number("completion_tokens").or(number("output_tokens"));
        self.output_tokens = output_tokens.or(self.output_tokens);
    }
}
