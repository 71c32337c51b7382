//! Reads the answers of language models as they pass: streams of events or lines, and whole answers.
//!
//! Frames are read in place, never copied or held back. What is kept is bounded: the names and the message that are
//! reported, each truncated, and one event of at most [`shape::MAX_BYTES`] to recognise others like it. Pure.
//!
//! ```text
//! frame ─> fields of an event stream, or lines ─> JSON members (walker) ─> one object (datum) ─> the answer
//! ```

mod answer;
mod datum;
mod event;
mod event_name;
mod format;
mod kind;
mod member;
mod place;
mod reader;
mod request;
mod shape;
mod text;
mod usage;
mod walker;

pub(crate) use answer::{Answer, Reads};
pub(crate) use format::Formats;
pub use format::LlmFormat;
pub(crate) use reader::AnswerReader;
pub(crate) use request::{OutputType, RequestFacts, RequestReader};

/// How a body is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    EventStream,
    /// A JSON object in each line.
    Lines,
    /// One JSON object, or an array of objects.
    Whole,
}

/// The terminators that the settings define, for formats of one's own.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Terminators<'a> {
    /// The first line of the last event's data.
    pub(crate) data: Option<&'a str>,
    /// The name of the last event.
    pub(crate) event: Option<&'a str>,
}

/// The findings in a piece of an answer.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    /// The first failure. Boxed, because most pieces have none.
    pub(crate) failure: Option<Box<Failure>>,
    /// Whether the end of the stream is in the piece.
    pub(crate) is_over: bool,
}

/// The limit, in bytes, on a model's name, an id, a finish reason or an error's code.
const MAX_NAME: usize = 256;

/// The limit, in bytes, on an error's message.
const MAX_MESSAGE: usize = 1_024;

/// A failure that an answer reports.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) message: Option<String>,
    pub(crate) code: Option<String>,
}

/// Returns a text to be kept, truncated. `None` if it is empty.
fn kept(text: &[u8], limit: usize) -> Option<Box<str>> {
    if text.is_empty() {
        return None;
    }
    let mut text = String::from_utf8_lossy(text).into_owned();
    let end = (0..=limit.min(text.len()))
        .rev()
        .find(|at| text.is_char_boundary(*at));
    text.truncate(end.unwrap_or(0));
    Some(text.into_boxed_str())
}
