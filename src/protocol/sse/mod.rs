//! Finds the terminator and the error events in an event stream, as its frames pass.
//!
//! Bytes are looked at where they lie: no frame is copied or held back, and no event is put
//! together. What is kept between frames is the beginning of a line that was cut, and of nothing
//! else, so a stream costs at most [`MAX_PREFIX`] bytes, whatever it sends.
//!
//! The parsers for event streams that exist hand out whole events, which they collect first; for a
//! reader that must not hold a token back, and needs to know two kinds of lines, that is too much.
//!
//! Lines end with LF, CR or CRLF; a byte order mark at the start is skipped; a field's value begins
//! after the colon and at most one space (WHATWG HTML, section 9.2.6). Pure.

use http::HeaderMap;
use memchr::memchr2;

use crate::protocol::http::content_type::ContentType;
use crate::protocol::http::progress::is_unencoded;

/// How much of a line is kept if it is cut, and of an error event's data is read for its message.
pub(crate) const MAX_PREFIX: usize = 1_024;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Whether a response with these headers is an event stream that can be read.
pub(crate) fn is_event_stream(headers: &HeaderMap) -> bool {
    ContentType::from_headers(headers).is_some_and(|it| it.is("text/event-stream"))
        && is_unencoded(headers)
}

/// What was found in a piece of an event stream.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    /// The first error event.
    pub(crate) error: Option<ErrorEvent>,
    /// The terminator's line has ended.
    pub(crate) terminator: bool,
}

/// An error event.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ErrorEvent {
    /// What it says, where that could be read.
    pub(crate) message: Option<String>,
}

/// A reader of one event stream.
#[expect(clippy::struct_excessive_bools, reason = "each is a state of its own")]
#[derive(Debug)]
pub(crate) struct EventStreamReader {
    /// The beginning of the line that the last piece ended in, at most [`MAX_PREFIX`] bytes.
    cut: Vec<u8>,
    /// Nothing of the stream's first line has been looked at yet.
    at_start: bool,
    /// The last piece ended with CR, and a LF next belongs to it.
    after_cr: bool,
    /// The event that is being read says `event: error`.
    is_error: bool,
    /// The event that is being read has data already.
    has_data: bool,
    /// An error event has been found, and no further one is looked for.
    has_error: bool,
    reads_errors: bool,
}

impl EventStreamReader {
    /// A stream of which nothing has been read. Error events are found if `reads_errors`.
    pub(crate) fn new(reads_errors: bool) -> Self {
        Self {
            cut: Vec::new(),
            at_start: true,
            after_cr: false,
            is_error: false,
            has_data: false,
            has_error: false,
            reads_errors,
        }
    }

    /// Reads the next piece of the stream. `terminator` is what an event's data is if it is the last
    /// one; nothing is looked for behind it.
    pub(crate) fn read(&mut self, piece: &[u8], terminator: Option<&str>) -> Findings {
        let mut found = Findings::default();
        let mut rest = piece;
        if self.after_cr && !rest.is_empty() {
            self.after_cr = false;
            rest = rest.strip_prefix(b"\n").unwrap_or(rest);
        }
        while let Some(end) = line_end(rest) {
            let (line, tail) = (&rest[..end], &rest[end + 1..]);
            if rest[end] == b'\r' {
                self.after_cr = tail.is_empty();
                rest = tail.strip_prefix(b"\n").unwrap_or(tail);
            } else {
                rest = tail;
            }
            if self.cut.is_empty() {
                self.line(line, terminator, &mut found);
            } else {
                self.keep(line);
                let whole = std::mem::take(&mut self.cut);
                self.line(&whole, terminator, &mut found);
                // Its room is used again by the next line that is cut.
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

    /// The body is over: a last line needs no end.
    pub(crate) fn finish(&mut self, terminator: Option<&str>) -> Findings {
        let mut found = Findings::default();
        let last = std::mem::take(&mut self.cut);
        if !last.is_empty() {
            self.line(&last, terminator, &mut found);
        }
        self.end_of_event(&mut found);
        found
    }

    /// Keeps what fits of a line that is cut. One byte more than the limit is kept of one that does
    /// not, so that a line which is longer than it looks is not taken for the terminator.
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

    fn line(&mut self, line: &[u8], terminator: Option<&str>, found: &mut Findings) {
        // No more of a line that came whole than of one that was cut: the same is found.
        let line = &line[..line.len().min(MAX_PREFIX + 1)];
        let line = if std::mem::take(&mut self.at_start) {
            line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line)
        } else {
            line
        };
        if line.is_empty() {
            self.end_of_event(found);
        } else if let Some(data) = field(line, b"data") {
            self.data(data, terminator, found);
        } else if let Some(event) = field(line, b"event") {
            self.is_error = event == b"error";
        }
    }

    fn data(&mut self, data: &[u8], terminator: Option<&str>, found: &mut Findings) {
        // The first line of an event's data, or it only looks alike: a text with a line break in it
        // comes as several.
        if std::mem::replace(&mut self.has_data, true) {
            return;
        }
        found.terminator = terminator.is_some_and(|terminator| data == terminator.as_bytes());
        if self.reads_errors && !self.has_error && (self.is_error || error::is_first_key(data)) {
            self.has_error = true;
            found.error = Some(ErrorEvent {
                message: error::message(data),
            });
        }
    }

    /// An event has ended; one that says `event: error` and has no data is an error all the same.
    fn end_of_event(&mut self, found: &mut Findings) {
        let is_error = std::mem::take(&mut self.is_error);
        if is_error && self.reads_errors && !self.has_error {
            self.has_error = true;
            found.error = Some(ErrorEvent { message: None });
        }
        self.has_data = false;
    }
}

/// Where the first line ends. An empty one, which ends every event, is seen without a search.
fn line_end(rest: &[u8]) -> Option<usize> {
    match rest {
        [] => None,
        [b'\n' | b'\r', ..] => Some(0),
        _ => memchr2(b'\n', b'\r', rest),
    }
}

/// The value of a line, if it is of this field.
fn field<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    match line.strip_prefix(name)? {
        [] => Some(&[]),
        [b':', b' ', value @ ..] | [b':', value @ ..] => Some(value),
        _ => None,
    }
}

/// What an error event's data says, as far as it can be read from its beginning.
mod error {
    /// Whether this is the beginning of a JSON object whose first key is `"error"` and says
    /// something.
    pub(super) fn is_first_key(data: &[u8]) -> bool {
        let value = after_key(data, b"{").and_then(|key| after_key(key, b"\"error\""));
        let value = value.and_then(|colon| after_key(colon, b":"));
        value.is_some_and(|value| {
            let value = value.trim_ascii_start();
            !["null", "false", "\"\""]
                .iter()
                .any(|nothing| value.starts_with(nothing.as_bytes()))
        })
    }

    /// The value of the first `"message"`, else of an `"error"` that is a string, else the data
    /// itself if it is no JSON; `None` if that is empty.
    pub(super) fn message(data: &[u8]) -> Option<String> {
        let text = if data.trim_ascii_start().starts_with(b"{") {
            string_of(data, b"\"message\"").or_else(|| string_of(data, b"\"error\""))?
        } else {
            String::from_utf8_lossy(data).into_owned()
        };
        (!text.is_empty()).then_some(text)
    }

    /// What follows `token`, with white space before it.
    fn after_key<'a>(data: &'a [u8], token: &[u8]) -> Option<&'a [u8]> {
        data.trim_ascii_start().strip_prefix(token)
    }

    /// The string behind the first key of this name. One that is quoted itself, within a string, is
    /// none.
    fn string_of(data: &[u8], key: &[u8]) -> Option<String> {
        let is_quoted = |at: &usize| *at > 0 && data[at - 1] == b'\\';
        memchr::memmem::find_iter(data, key)
            .filter(|at| !is_quoted(at))
            .find_map(|at| after_key(&data[at + key.len()..], b":"))
            .and_then(|value| after_key(value, b"\""))
            .map(string)
    }

    /// A JSON string without its first quote, up to its last one or as far as it goes.
    fn string(escaped: &[u8]) -> String {
        let mut units: Vec<u16> = Vec::new();
        let text = String::from_utf8_lossy(escaped);
        let mut text = text.chars();
        while let Some(char) = text.next() {
            let char = match char {
                '"' => break,
                '\\' => match text.next() {
                    Some('n') => '\n',
                    Some('r') => '\r',
                    Some('t') => '\t',
                    Some('b') => '\u{8}',
                    Some('f') => '\u{c}',
                    Some('u') => {
                        let digits: String = text.by_ref().take(4).collect();
                        // UTF-16, in which one character may be two of these. One that is cut is
                        // where the text ends.
                        match u16::from_str_radix(&digits, 16) {
                            Ok(unit) if digits.len() == 4 => units.push(unit),
                            _ => break,
                        }
                        continue;
                    }
                    Some(other) => other,
                    None => break,
                },
                other => other,
            };
            units.extend_from_slice(char.encode_utf16(&mut [0; 2]));
        }
        String::from_utf16_lossy(&units)
    }
}

#[cfg(test)]
mod tests;
