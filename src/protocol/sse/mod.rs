//! Finds the terminator and the error events of an event stream, frame by frame.
//!
//! Frames are read in place, and never copied or held back. If a frame ends within a line, the beginning of that
//! line is kept, at most [`MAX_PREFIX`] bytes and one more.
//!
//! Existing parsers collect whole events. This reader needs only two kinds of lines, and must not delay a frame.
//!
//! The syntax is that of WHATWG HTML, section 9.2.6. Lines end with LF, CR or CRLF. A byte order mark at the start
//! is skipped. A field's value begins after the colon and at most one space. Pure.

mod error;

use http::HeaderMap;
use memchr::memchr2;

use crate::protocol::http::content_type::ContentType;
use crate::protocol::http::progress::is_unencoded;

/// The limit, in bytes, on the beginning of a line that is kept, and on the data that is read for an error message.
pub(crate) const MAX_PREFIX: usize = 1_024;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Whether a response is an event stream without a content encoding.
pub(crate) fn is_event_stream(content_type: ContentType<'_>, headers: &HeaderMap) -> bool {
    content_type.is("text/event-stream") && is_unencoded(headers)
}

/// The findings in a piece of an event stream.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    /// The first error event.
    pub(crate) error: Option<ErrorEvent>,
    /// Whether the line of the terminator has ended.
    pub(crate) terminator: bool,
}

/// An error event.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ErrorEvent {
    /// The error message, if it could be read.
    pub(crate) message: Option<String>,
}

/// A reader of one event stream.
#[expect(clippy::struct_excessive_bools, reason = "each is a state of its own")]
#[derive(Debug)]
pub(crate) struct EventStreamReader {
    /// The beginning of the line that the last piece ended in, at most [`MAX_PREFIX`] bytes and one
    /// more.
    cut: Vec<u8>,
    /// Whether no line has been read yet.
    is_at_start: bool,
    /// Whether the last piece ended with CR. An LF at the start of the next piece belongs to it.
    is_after_cr: bool,
    /// Whether the current event has `event: error`.
    is_error: bool,
    /// Whether the current event has data already.
    has_data: bool,
    /// Whether an error event was found. Further ones are ignored.
    has_error: bool,
    /// Whether the reader looks for error events.
    reads_errors: bool,
}

impl EventStreamReader {
    /// Creates a reader. It looks for error events if `reads_errors` is true.
    pub(crate) fn new(reads_errors: bool) -> Self {
        Self {
            cut: Vec::new(),
            is_at_start: true,
            is_after_cr: false,
            is_error: false,
            has_data: false,
            has_error: false,
            reads_errors,
        }
    }

    /// Reads the next piece of the stream. The event with data `terminator` is the last one: later bytes are ignored.
    pub(crate) fn read(&mut self, piece: &[u8], terminator: Option<&str>) -> Findings {
        let mut found = Findings::default();
        let mut rest = piece;
        if self.is_after_cr && !rest.is_empty() {
            self.is_after_cr = false;
            rest = rest.strip_prefix(b"\n").unwrap_or(rest);
        }
        while let Some(end) = find_line_end(rest) {
            let (line, tail) = (&rest[..end], &rest[end + 1..]);
            if rest[end] == b'\r' {
                self.is_after_cr = tail.is_empty();
                rest = tail.strip_prefix(b"\n").unwrap_or(tail);
            } else {
                rest = tail;
            }
            if self.cut.is_empty() {
                self.read_line(line, terminator, &mut found);
            } else {
                self.keep(line);
                let whole = std::mem::take(&mut self.cut);
                self.read_line(&whole, terminator, &mut found);
                // The allocation is reused for the next cut line.
                self.cut = whole;
                self.cut.clear();
            }
            if found.terminator {
                return found;
            }
        }
        self.keep(rest);
        found
    }

    /// Reads the last line when the body is over. That line may lack its line end.
    pub(crate) fn finish(&mut self, terminator: Option<&str>) -> Findings {
        let mut found = Findings::default();
        let last = std::mem::take(&mut self.cut);
        if !last.is_empty() {
            self.read_line(&last, terminator, &mut found);
        }
        self.end_event(&mut found);
        found
    }

    /// Keeps the beginning of a line. Because of the byte beyond the limit, a longer line never equals the terminator.
    fn keep(&mut self, more: &[u8]) {
        if more.is_empty() {
            return;
        }
        if self.cut.capacity() == 0 {
            self.cut.reserve_exact(MAX_PREFIX + 1);
        }
        let room = (MAX_PREFIX + 1).saturating_sub(self.cut.len());
        self.cut.extend_from_slice(&more[..room.min(more.len())]);
    }

    fn read_line(&mut self, line: &[u8], terminator: Option<&str>, found: &mut Findings) {
        // A whole line is truncated like a line from several pieces, so that both give the same findings.
        let line = &line[..line.len().min(MAX_PREFIX + 1)];
        let line = if std::mem::take(&mut self.is_at_start) {
            line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line)
        } else {
            line
        };
        if line.is_empty() {
            self.end_event(found);
        } else if let Some(data) = strip_field(line, b"data") {
            self.read_data(data, terminator, found);
        } else if let Some(event) = strip_field(line, b"event") {
            self.is_error = event == b"error";
        }
    }

    fn read_data(&mut self, data: &[u8], terminator: Option<&str>, found: &mut Findings) {
        // Only the first data line of an event counts. Text with line breaks has several.
        if std::mem::replace(&mut self.has_data, true) {
            return;
        }
        found.terminator = terminator.is_some_and(|terminator| data == terminator.as_bytes());
        let may_report = self.reads_errors && !self.has_error;
        if may_report && (self.is_error || error::has_error_as_first_key(data)) {
            self.has_error = true;
            found.error = Some(ErrorEvent {
                message: error::read_message(data),
            });
        }
    }

    /// Ends an event. An event `error` without data is also an error.
    fn end_event(&mut self, found: &mut Findings) {
        let is_error = std::mem::take(&mut self.is_error);
        if is_error && self.reads_errors && !self.has_error {
            self.has_error = true;
            found.error = Some(ErrorEvent { message: None });
        }
        self.has_data = false;
    }
}

/// Finds the end of the first line. Every event ends with an empty line, which is found without a search.
fn find_line_end(rest: &[u8]) -> Option<usize> {
    match rest {
        [] => None,
        [b'\n' | b'\r', ..] => Some(0),
        _ => memchr2(b'\n', b'\r', rest),
    }
}

/// Returns the value of a line, if its field is `name`.
fn strip_field<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    match line.strip_prefix(name)? {
        [] => Some(&[]),
        [b':', b' ', value @ ..] | [b':', value @ ..] => Some(value),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
