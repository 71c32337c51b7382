//! What is looked for in a body, and how the body is framed.

use super::events::Event;
use super::format::Format;

/// How the values of a body are separated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Framing {
    /// `text/event-stream`.
    Events,
    /// A JSON value on each line.
    Lines,
    /// The body is one JSON value.
    Whole,
}

impl Framing {
    /// Returns the framing of a media type in lower case, without parameters.
    pub fn from_media_type(media_type: &str) -> Option<Self> {
        match media_type {
            "text/event-stream" => Some(Self::Events),
            "application/x-ndjson" | "application/jsonl" | "application/stream+json" => {
                Some(Self::Lines)
            }
            "application/json" => Some(Self::Whole),
            _ => None,
        }
    }
}

/// The settings of the layer that decide what is read.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Settings {
    /// `llm_formats`.
    pub formats: &'static [Format],
    /// `stream_terminator`; an empty one is none.
    pub terminator: Option<&'static str>,
    /// `stream_terminator_event`; an empty one is none.
    pub terminator_event: Option<&'static str>,
    /// `stream_errors`.
    pub reads_errors: bool,
}

impl Settings {
    /// Returns the settings of `ApiSpanLayer::llm()`.
    pub fn llm() -> Self {
        Self {
            formats: &Format::ALL,
            terminator: Some("[DONE]"),
            terminator_event: None,
            reads_errors: true,
        }
    }

    /// Whether a body of this framing is read at all.
    pub fn reads(&self, framing: Framing, status: u16) -> bool {
        match framing {
            Framing::Events => true,
            Framing::Lines => self.reads_errors || self.formats.contains(&Format::Ollama),
            Framing::Whole => status < 400 && !self.formats.is_empty(),
        }
    }

    /// Whether the data so far are the terminator, or that of a listed format.
    pub(super) fn is_terminator(&self, event: &Event) -> bool {
        let is_data = |data: &str| !data.is_empty() && event.data.as_deref() == Some(data);
        let is_of_format = |format: &Format| {
            matches!(format, Format::ChatCompletions | Format::Completions) && is_data("[DONE]")
        };
        self.terminator.is_some_and(is_data) || self.formats.iter().any(is_of_format)
    }

    /// Whether the name so far is that of the terminator.
    pub(super) fn is_named(&self, event: &Event) -> bool {
        let is_name = |name: &str| !name.is_empty() && event.name == name;
        self.terminator_event.is_some_and(is_name)
    }
}
