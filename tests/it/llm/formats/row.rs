//! A recorded answer, and what its span must show.

use super::framing::Framing;

/// An answer in frames, and what its span must show.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) framing: Framing,
    /// One frame each. [`Framing`] has the lines that are added.
    pub(super) pieces: &'static [&'static str],
    /// The last line has no line end, and the last event no blank line.
    pub(super) unfinished: bool,
    pub(super) outcome: &'static str,
    pub(super) error: Option<&'static str>,
    pub(super) code: Option<&'static str>,
    /// All attributes with the prefix `gen_ai.`, which the keys lack, except the time to the first chunk.
    pub(super) attributes: [&'static [(&'static str, &'static str)]; 2],
    /// The frame with the first token. In an answer without a format, the first frame with data.
    pub(super) first: Option<usize>,
    /// The frame with the failure.
    pub(super) failed: Option<usize>,
    /// The frame before which the span ends. Without one, it ends with the body.
    pub(super) ended: Option<usize>,
}

const CHAT: &[(&str, &str)] = &[("operation.name", "chat"), ("provider.name", "openai")];
const COMPLETIONS: &[(&str, &str)] = &[
    ("operation.name", "text_completion"),
    ("provider.name", "openai"),
];
const MESSAGES: &[(&str, &str)] = &[("operation.name", "chat"), ("provider.name", "anthropic")];
const GEMINI: &[(&str, &str)] = &[
    ("operation.name", "generate_content"),
    ("provider.name", "gcp.gemini"),
];
const OLLAMA_CHAT: &[(&str, &str)] = &[("operation.name", "chat"), ("provider.name", "ollama")];
const OLLAMA_GENERATE: &[(&str, &str)] = &[
    ("operation.name", "text_completion"),
    ("provider.name", "ollama"),
];

impl Row {
    const fn new(name: &'static str, framing: Framing, pieces: &'static [&'static str]) -> Self {
        Self {
            name,
            framing,
            pieces,
            unfinished: false,
            outcome: "DEPARTED",
            error: None,
            code: None,
            attributes: [&[], &[]],
            first: None,
            failed: None,
            ended: None,
        }
    }

    const fn of(mut self, attributes: &'static [(&'static str, &'static str)]) -> Self {
        self.attributes[0] = attributes;
        self
    }

    /// Returns an event stream of no format.
    pub(super) const fn events(name: &'static str, pieces: &'static [&'static str]) -> Self {
        Self::new(name, Framing::Data, pieces)
    }

    pub(super) const fn chat(name: &'static str, pieces: &'static [&'static str]) -> Self {
        Self::events(name, pieces).of(CHAT)
    }

    pub(super) const fn completions(name: &'static str, pieces: &'static [&'static str]) -> Self {
        Self::events(name, pieces).of(COMPLETIONS)
    }

    pub(super) const fn gemini(name: &'static str, pieces: &'static [&'static str]) -> Self {
        Self::events(name, pieces).of(GEMINI)
    }

    /// Returns an event stream whose events are named after the `type` in their data.
    pub(super) const fn responses(name: &'static str, pieces: &'static [&'static str]) -> Self {
        Self::new(name, Framing::Named, pieces).of(CHAT)
    }

    /// Returns an event stream whose events are named after the `type` in their data.
    pub(super) const fn messages(name: &'static str, pieces: &'static [&'static str]) -> Self {
        Self::new(name, Framing::Named, pieces).of(MESSAGES)
    }

    /// Returns a stream of one JSON value a line, of no format.
    pub(super) const fn lines(name: &'static str, pieces: &'static [&'static str]) -> Self {
        Self::new(name, Framing::Lines, pieces)
    }

    pub(super) const fn ollama_chat(name: &'static str, pieces: &'static [&'static str]) -> Self {
        Self::lines(name, pieces).of(OLLAMA_CHAT)
    }

    pub(super) const fn ollama_generate(
        name: &'static str,
        pieces: &'static [&'static str],
    ) -> Self {
        Self::lines(name, pieces).of(OLLAMA_GENERATE)
    }

    /// Returns an answer of one JSON value, in these frames.
    pub(super) const fn whole(name: &'static str, pieces: &'static [&'static str]) -> Self {
        Self::new(name, Framing::Whole, pieces).first(0)
    }

    pub(super) const fn of_chat(self) -> Self {
        self.of(CHAT)
    }

    pub(super) const fn of_completions(self) -> Self {
        self.of(COMPLETIONS)
    }

    pub(super) const fn of_messages(self) -> Self {
        self.of(MESSAGES)
    }

    pub(super) const fn of_gemini(self) -> Self {
        self.of(GEMINI)
    }

    pub(super) const fn of_ollama_chat(self) -> Self {
        self.of(OLLAMA_CHAT)
    }

    pub(super) const fn of_ollama_generate(self) -> Self {
        self.of(OLLAMA_GENERATE)
    }

    /// Sets the attributes besides operation and provider.
    pub(super) const fn has(mut self, attributes: &'static [(&'static str, &'static str)]) -> Self {
        self.attributes[1] = attributes;
        self
    }

    pub(super) const fn first(mut self, frame: usize) -> Self {
        self.first = Some(frame);
        self
    }

    pub(super) const fn ended(mut self, frame: usize) -> Self {
        self.ended = Some(frame);
        self
    }

    pub(super) const fn fails(
        mut self,
        frame: usize,
        error: Option<&'static str>,
        code: Option<&'static str>,
    ) -> Self {
        self.outcome = "ABORTED(generation_error)";
        self.failed = Some(frame);
        self.error = error;
        self.code = code;
        self
    }

    pub(super) const fn truncated(mut self) -> Self {
        self.outcome = "ABORTED(truncated_stream)";
        self
    }

    pub(super) const fn unfinished(mut self) -> Self {
        self.unfinished = true;
        self
    }
}
