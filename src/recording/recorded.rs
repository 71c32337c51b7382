//! The data that is recorded for a span, and whether more is accepted.

use crate::recording::buffer::SpanBuffer;

/// The recorded data.
pub(super) struct Recorded {
    /// Boxed, because most requests record no data. So a long stream does not hold the memory for it.
    pub(super) buffer: Option<Box<SpanBuffer>>,
    pub(super) state: State,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum State {
    Open,
    /// The outcome is decided. Data that is recorded now is late, and cannot change the outcome.
    Closed,
    Ended,
}

impl Recorded {
    pub(super) const EMPTY: Self = Self {
        buffer: None,
        state: State::Open,
    };
}
