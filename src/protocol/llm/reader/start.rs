//! Reads what a body begins with: a byte order mark, and the first byte that is no white space.

use crate::protocol::json::is_white;
use crate::protocol::llm::findings::Framing;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// What a body begins with, as far as it was read.
#[derive(Debug, Default)]
pub(super) struct Start {
    /// How many bytes of a byte order mark were read.
    marked: u8,
    is_over: bool,
    /// Whether the body is an event stream by its first byte, and not by its content type.
    is_guessed: bool,
}

impl Start {
    pub(super) fn is_guessed(&self) -> bool {
        self.is_guessed
    }

    /// Skips a byte order mark and white space before JSON (RFC 8259, section 8.1). Returns the rest of the piece.
    ///
    /// Services send event streams with the content type of JSON, and their clients read them because they have asked
    /// for a stream. No JSON begins like a field of an event (data, event, id, retry) or a comment. A text can, but seldom
    /// has data then.
    pub(super) fn skip<'p>(&mut self, piece: &'p [u8], framing: &mut Framing) -> &'p [u8] {
        let mut rest = piece;
        while !self.is_over {
            let Some((first, tail)) = rest.split_first() else {
                return rest;
            };
            let is_of_mark = BYTE_ORDER_MARK.get(usize::from(self.marked)) == Some(first);
            if *framing != Framing::EventStream && is_of_mark {
                self.marked += 1;
                rest = tail;
            } else if *framing != Framing::EventStream && is_white(*first) {
                rest = tail;
            } else {
                self.is_over = true;
                if *framing == Framing::Whole && matches!(first, b'd' | b'e' | b'i' | b'r' | b':') {
                    *framing = Framing::EventStream;
                    self.is_guessed = true;
                }
            }
        }
        rest
    }
}
