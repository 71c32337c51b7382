//! Reads the answers of language models as they pass: streams of events or lines, and whole answers.
//!
//! Frames are read in place, never copied or held back. What is kept is bounded: the names and the message that are
//! reported, each truncated, and one event of at most [`shape::MAX_BYTES`] to recognise others like it. Pure.
//!
//! ```text
//! frame ─> fields of an event stream, or lines ─> JSON members (walker) ─> one object (datum) ─> the answer
//! ```

mod answer;
mod choices;
mod datum;
mod error;
mod event;
mod event_name;
mod findings;
mod format;
mod kept;
mod kind;
mod member;
mod place;
mod rare;
mod reader;
mod request;
mod shape;
mod signs;
mod text;
mod usage;
mod usage_keys;
mod visit;
mod walker;

pub(crate) use answer::{Answer, Reads};
pub(crate) use findings::{Failure, Findings, Framing, Terminators};
pub(crate) use format::Formats;
pub use format::LlmFormat;
pub(crate) use reader::AnswerReader;
pub(crate) use request::{OutputType, RequestFacts, RequestReader};
