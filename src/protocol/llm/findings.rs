//! What is asked of a reader, and what it finds.

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

/// A failure that an answer reports.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) message: Option<String>,
    pub(crate) code: Option<String>,
}
