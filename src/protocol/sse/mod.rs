//! Reads the fields of an event stream in pieces, cut anywhere, without keeping them.
//!
//! Parsers of whole events collect each of them first. Here frames are read in place, and only the name of a field that
//! a piece's end has cut is kept.
//!
//! The syntax is that of WHATWG HTML, section 9.2.6. Lines end with LF, CR or CRLF. A byte order mark at the start
//! is skipped. A field's value begins after the colon and at most one space. Pure.

use memchr::{memchr, memchr2};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The limit, in bytes, on the name of a field that is kept. Longer names are of no known field.
const MAX_NAME: usize = 12;

/// A field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    Data,
    Event,
    /// In no standard. llama.cpp sends failures in it.
    Error,
    /// A line without a field, which begins like a line of JSON. The value is the line.
    Bare,
    /// A comment, or a field of no interest.
    Other,
}

impl Field {
    fn of(name: &[u8]) -> Self {
        match name {
            b"data" => Self::Data,
            b"event" => Self::Event,
            b"error" => Self::Error,
            _ => Self::Other,
        }
    }
}

/// A part of an event stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Part<'p> {
    /// A part of a field's value. The first one and the last one can be empty.
    Value {
        field: Field,
        value: &'p [u8],
        is_first: bool,
        is_last: bool,
    },
    /// An empty line, which ends an event.
    EmptyLine,
}

/// Reads one event stream.
#[derive(Debug)]
pub(crate) struct FieldReader {
    /// The beginning of a line up to the end of the last piece, if that has no colon.
    name: [u8; MAX_NAME],
    name_length: u8,
    /// The field whose value the last piece ended in.
    field: Option<Field>,
    /// Whether the value has not begun, so that a space is skipped.
    skips_space: bool,
    /// Whether no line has been read yet.
    is_at_start: bool,
    /// Whether the last line ended with CR. An LF behind it belongs to it.
    is_after_cr: bool,
}

impl FieldReader {
    pub(crate) fn new() -> Self {
        Self {
            name: [0; MAX_NAME],
            name_length: 0,
            field: None,
            skips_space: false,
            is_at_start: true,
            is_after_cr: false,
        }
    }

    /// Whether the last piece ended with the LF of a line, so that the next one begins a line.
    pub(crate) fn is_between_lines(&self) -> bool {
        self.field.is_none() && self.name_length == 0 && !self.is_at_start && !self.is_after_cr
    }

    /// Returns the next part of the piece, and advances `rest`. Returns `None` at its end.
    pub(crate) fn next<'p>(&mut self, rest: &mut &'p [u8]) -> Option<Part<'p>> {
        loop {
            if rest.is_empty() {
                return None;
            }
            if std::mem::take(&mut self.is_after_cr) && rest[0] == b'\n' {
                *rest = &rest[1..];
                continue;
            }
            let end = find_line_end(rest);
            let part = &rest[..end.unwrap_or(rest.len())];
            let is_line = self.field.is_none() && self.name_length == 0 && !self.is_at_start;
            *rest = match end {
                Some(end) => {
                    self.is_after_cr = rest[end] == b'\r';
                    &rest[end + 1..]
                }
                None => &[],
            };
            if is_line && end.is_some() {
                // Nearly all lines are these.
                if part.is_empty() {
                    return Some(Part::EmptyLine);
                }
                if let Some(value) = part.strip_prefix(b"data: ") {
                    return Some(Part::Value {
                        field: Field::Data,
                        value,
                        is_first: true,
                        is_last: true,
                    });
                }
            }
            if let Some(part) = self.read_part(part, end.is_some()) {
                return Some(part);
            }
        }
    }

    /// Returns the last part of a stream that is over, whose last line may lack its line end.
    pub(crate) fn finish(&mut self) -> Option<Part<'static>> {
        let is_in_line = self.field.is_some() || self.name_length > 0;
        is_in_line.then(|| self.read_part(&[], true)).flatten()
    }

    /// Reads a part of a line. Returns `None` if it does not complete the field's name.
    fn read_part<'p>(&mut self, part: &'p [u8], is_last: bool) -> Option<Part<'p>> {
        let (field, value, is_first) = match self.field {
            Some(field) => (field, part, false),
            None if self.name_length == 0 && begins_like_json(part) => {
                self.is_at_start = false;
                (Field::Bare, part, true)
            }
            None => match self.read_name(part, is_last)? {
                (Some(field), value) => (field, value, true),
                (None, _) => return Some(Part::EmptyLine),
            },
        };
        self.field = (!is_last).then_some(field);
        let can_begin_with_space = field != Field::Bare;
        let value = if can_begin_with_space && (is_first || self.skips_space) {
            self.skips_space = value.is_empty();
            value.strip_prefix(b" ").unwrap_or(value)
        } else {
            value
        };
        Some(Part::Value {
            field,
            value,
            is_first,
            is_last,
        })
    }

    /// Reads a line up to its colon. Returns no field for an empty line. Returns `None` if the name goes on.
    fn read_name<'p>(
        &mut self,
        part: &'p [u8],
        is_last: bool,
    ) -> Option<(Option<Field>, &'p [u8])> {
        let colon = memchr(b':', part);
        let (name, value) = match colon {
            Some(colon) => (&part[..colon], &part[colon + 1..]),
            None => (part, &[][..]),
        };
        self.keep_name(name);
        if colon.is_none() && !is_last {
            return None;
        }
        let name = &self.name[..usize::from(std::mem::take(&mut self.name_length))];
        let name = if std::mem::take(&mut self.is_at_start) {
            name.strip_prefix(BYTE_ORDER_MARK).unwrap_or(name)
        } else {
            name
        };
        let is_empty = name.is_empty() && colon.is_none();
        Some(((!is_empty).then(|| Field::of(name)), value))
    }

    fn keep_name(&mut self, more: &[u8]) {
        let length = usize::from(self.name_length);
        let kept = more.len().min(MAX_NAME - length);
        self.name[length..length + kept].copy_from_slice(&more[..kept]);
        self.name_length = u8::try_from(length + kept).unwrap_or(0);
    }
}

/// Whether a line begins with a byte that no name of a known field begins with, but a line of JSON can.
fn begins_like_json(line: &[u8]) -> bool {
    let first = line.first();
    first.is_some_and(|first| b"{}[]\" \t".contains(first))
}

/// Finds the end of the first line. Every event ends with an empty line, which is found without a search.
fn find_line_end(rest: &[u8]) -> Option<usize> {
    match rest {
        [] => None,
        [b'\n' | b'\r', ..] => Some(0),
        _ => memchr2(b'\n', b'\r', rest),
    }
}

#[cfg(test)]
mod tests;
