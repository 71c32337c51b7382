//! Data that is no JSON, and the comparison with a terminator.

use super::kept::{MAX_MESSAGE, kept};
use crate::protocol::json::number;

/// The data of an event, as far as it may be reported or is the terminator.
#[derive(Debug, Default)]
pub(super) struct DatumText {
    /// At most [`MAX_MESSAGE`] bytes and one more, so that a character that is cut is not taken for a whole one.
    bytes: Vec<u8>,
    /// How many bytes of the terminator the first line begins with. `None` if it has others.
    matched: Option<u32>,
}

impl DatumText {
    /// Starts the data of an event.
    pub(super) fn begin(&mut self) {
        self.bytes.clear();
        self.matched = Some(0);
    }

    /// Starts the next line of the same event. Only the first line is compared with the terminator.
    pub(super) fn begin_next_line(&mut self, terminator: Option<&str>) {
        self.stop_matching(terminator);
        self.keep(b"\n");
    }

    /// Adds a part of the first line, if it is the terminator's. Returns whether it is.
    pub(super) fn match_part(&mut self, part: &[u8], terminator: Option<&str>) -> bool {
        let (Some(matched), Some(whole)) = (self.matched, terminator) else {
            self.matched = None;
            return false;
        };
        let matched = matched as usize;
        let missing = whole.as_bytes().get(matched..).unwrap_or_default();
        // No terminator is longer than 4 GiB.
        if missing.starts_with(part)
            && let Ok(matched) = u32::try_from(matched + part.len())
        {
            self.matched = Some(matched);
            return true;
        }
        self.stop_matching(terminator);
        false
    }

    /// Whether the first line, which has ended, is the terminator.
    pub(super) fn is_terminator(&self, terminator: Option<&str>) -> bool {
        terminator.is_some_and(|whole| {
            self.matched
                .is_some_and(|matched| matched as usize == whole.len())
        })
    }

    /// Whether the data, which is no terminator, is this text.
    pub(super) fn is(&self, text: &[u8]) -> bool {
        self.matched.is_none() && self.bytes == text
    }

    /// Whether the data says something other than that there is nothing to say.
    pub(super) fn says_something(&self) -> bool {
        let text = self.bytes.trim_ascii();
        let is_number = number::float(text).is_some();
        self.matched.is_some() || !(is_number || matches!(text, b"" | b"null" | b"false"))
    }

    /// Adds a part to the data, which is no terminator.
    pub(super) fn keep(&mut self, part: &[u8]) {
        let room = (MAX_MESSAGE + 1).saturating_sub(self.bytes.len());
        self.bytes.extend_from_slice(&part[..room.min(part.len())]);
    }

    /// Returns the data as a message. `None` if it is empty.
    pub(super) fn message(&mut self, terminator: Option<&str>) -> Option<String> {
        self.stop_matching(terminator);
        kept(&self.bytes, MAX_MESSAGE).map(Into::into)
    }

    /// Keeps what was compared and is no terminator.
    fn stop_matching(&mut self, terminator: Option<&str>) {
        let whole = terminator.unwrap_or_default().as_bytes();
        if let Some(matched) = self.matched.take() {
            self.keep(whole.get(..matched as usize).unwrap_or_default());
        }
    }
}
