//! Reads one answer, frame by frame.

use memchr::memchr;

use super::answer::{Answer, Reads};
use super::event::{EventReader, Pass};
use super::findings::{Findings, Framing, Terminators};
use super::format::Formats;
use super::place::Place;
use crate::protocol::sse::{Field, FieldReader, Part};

mod plain_text;
mod start;

use plain_text::text_event;
use start::Start;

/// Reads one answer.
#[derive(Debug)]
pub(crate) struct AnswerReader {
    framing: Framing,
    start: Start,
    fields: FieldReader,
    event: EventReader,
    answer: Answer,
    has_data: DataSeen,
}

/// What was seen of the data of events or lines.
#[derive(Clone, Copy, Debug, Default)]
struct DataSeen {
    /// Any data.
    any: bool,
    /// Data other than a failure or the end.
    content: bool,
    /// Data that is neither JSON nor the end.
    text: bool,
}

impl AnswerReader {
    pub(crate) fn new(framing: Framing) -> Self {
        Self {
            framing,
            start: Start::default(),
            fields: FieldReader::new(),
            event: EventReader::new(),
            answer: Answer::default(),
            has_data: DataSeen::default(),
        }
    }

    pub(crate) fn framing(&self) -> Framing {
        self.framing
    }

    pub(crate) fn answer(&self) -> &Answer {
        &self.answer
    }

    /// Whether an event or a line had data other than a failure or the end.
    pub(crate) fn has_content(&self) -> bool {
        self.has_data.content
    }

    /// Whether a stream lacks the end of its format, or has no data although it was to be of one of `formats`.
    pub(crate) fn is_truncated(&self, formats: Formats) -> bool {
        let is_empty = !self.has_data.any && !formats.is_empty() && !self.is_text();
        self.framing != Framing::Whole && (is_empty || self.answer.is_cut())
    }

    /// Whether the body only begins like an event stream, which its content type does not declare.
    pub(crate) fn is_text(&self) -> bool {
        self.start.is_guessed() && !self.has_data.any
    }

    /// Skips the events that a piece begins with, as far as they are like one before that says nothing new, or
    /// are plain text. Returns the rest, which is to be read.
    pub(crate) fn skip_known<'p>(&self, piece: &'p [u8], terminator: Option<&str>) -> &'p [u8] {
        let can_begin = match self.framing {
            Framing::EventStream => {
                self.fields.is_between_lines() && self.event.is_between_events()
            }
            Framing::Lines => !self.event.has_line(),
            Framing::Whole => false,
        };
        let has_text = self.has_data.content && self.has_data.text;
        let mut rest = piece;
        while can_begin && !rest.is_empty() {
            let length = match self.event.known_length(rest) {
                None if has_text => text_event(rest, terminator),
                length => length,
            };
            let Some(length) = length else {
                break;
            };
            rest = &rest[length..];
        }
        rest
    }

    /// Reads the next piece. If the stream's end is in it, the rest is not read.
    pub(crate) fn read(
        &mut self,
        piece: &[u8],
        reads: Reads,
        terminators: Terminators<'_>,
    ) -> Findings {
        let piece = self.start.skip(piece, &mut self.framing);
        if piece.is_empty() {
            return Findings::default();
        }
        self.pass(reads, terminators, |reader, pass| match pass.framing {
            Framing::EventStream => reader.read_events(piece, pass),
            Framing::Lines => reader.read_lines(piece, pass),
            Framing::Whole => reader.read_whole(piece, pass),
        })
    }

    /// Reads the end of a body. The last line may lack its line end, and the last event its empty line.
    pub(crate) fn finish(&mut self, reads: Reads, terminators: Terminators<'_>) -> Findings {
        self.pass(reads, terminators, |reader, pass| {
            pass.is_at_end = true;
            if let Some(part) = reader.fields.finish() {
                reader.read_part(&part, pass);
            } else if pass.framing != Framing::EventStream && reader.event.has_line() {
                reader.end_line(pass);
            }
            if !pass.found.is_over {
                reader.event.end_cut(pass);
            }
        })
    }

    fn pass(
        &mut self,
        reads: Reads,
        terminators: Terminators<'_>,
        read: impl FnOnce(&mut ReaderParts<'_>, &mut Pass<'_>),
    ) -> Findings {
        let mut pass = Pass {
            framing: self.framing,
            reads,
            terminators,
            answer: &mut self.answer,
            found: Findings::default(),
            is_at_end: false,
            is_guessed: self.start.is_guessed(),
            has_content: self.has_data.content,
            has_text: self.has_data.text,
            line_at: None,
            unread: 0,
            candidate: None,
        };
        let mut parts = ReaderParts {
            fields: &mut self.fields,
            event: &mut self.event,
            has_data: &mut self.has_data,
        };
        read(&mut parts, &mut pass);
        let Pass {
            framing,
            found,
            has_content,
            has_text,
            ..
        } = pass;
        self.framing = framing;
        self.has_data.content = has_content;
        self.has_data.text = has_text;
        found
    }
}

/// A reader without its answer, which the events are added to.
struct ReaderParts<'a> {
    fields: &'a mut FieldReader,
    event: &'a mut EventReader,
    has_data: &'a mut DataSeen,
}

impl ReaderParts<'_> {
    fn read_events(&mut self, piece: &[u8], pass: &mut Pass<'_>) {
        let mut rest = piece;
        // The text from the beginning of the current event, if that is in the piece.
        let mut event = None;
        while !pass.found.is_over {
            if self.fields.is_between_lines() && self.event.is_between_events() {
                while let Some(length) = self.event.known_length(rest) {
                    rest = &rest[length..];
                }
                event = Some(rest);
            }
            let Some(part) = self.fields.next(&mut rest) else {
                break;
            };
            let read = |event: &[u8]| event.len() - rest.len();
            if let Part::Value { field, value, .. } = part {
                // Behind the value is one byte of its line end. Whether a failure counts depends on the events before.
                event = event.filter(|_| field != Field::Error);
                pass.line_at = event.and_then(|event| read(event).checked_sub(value.len() + 1));
            }
            self.read_part(&part, pass);
            if part == Part::EmptyLine
                && let Some(event) = event.take()
            {
                self.event.keep(&event[..read(event)], pass);
            }
        }
    }

    fn read_part(&mut self, part: &Part<'_>, pass: &mut Pass<'_>) {
        let Part::Value {
            field,
            value,
            is_first,
            is_last,
        } = *part
        else {
            return self.event.end(pass);
        };
        match field {
            Field::Data => {
                if is_first {
                    self.event.drop_bare_json();
                    self.event.begin_line(Place::Root, pass);
                }
                self.event.read(value, is_first && is_last, pass);
                if is_last {
                    self.end_line(pass);
                }
            }
            Field::Event => self.event.read_name(value, is_first, is_last),
            Field::Error => self.read_error_line(value, is_first, is_last, pass),
            Field::Bare => self.event.read_bare_line(value, is_first, is_last, pass),
            Field::Other => {}
        }
    }

    /// Reads a field `error`, unless it follows a line of data in its event. Servers send it alone. A text that is no
    /// event stream can begin with it.
    fn read_error_line(
        &mut self,
        value: &[u8],
        is_first: bool,
        is_last: bool,
        pass: &mut Pass<'_>,
    ) {
        let can_be_text = pass.is_guessed && !self.has_data.any;
        if is_first && !can_be_text && !self.event.has_line() {
            self.event.begin_line(Place::ErrorLine, pass);
        }
        if self.event.is_in_error_line() {
            self.event.read(value, false, pass);
            if is_last {
                self.event.end_error_line(pass);
            }
        }
    }

    /// Reads a part of a whole answer. If another object follows the first one in a later line, the body has lines.
    fn read_whole(&mut self, piece: &[u8], pass: &mut Pass<'_>) {
        let unread = if self.event.is_followed_by_object(piece) {
            piece.len()
        } else {
            self.read_line(piece, false, pass);
            pass.unread
        };
        if unread == 0 {
            return;
        }
        pass.framing = Framing::Lines;
        pass.answer.is_in_undeclared_lines = true;
        self.end_line(pass);
        if !pass.found.is_over {
            self.event.end(pass);
            self.read_lines(&piece[piece.len() - unread..], pass);
        }
    }

    fn read_lines(&mut self, piece: &[u8], pass: &mut Pass<'_>) {
        let mut rest = piece;
        while !pass.found.is_over {
            let is_whole = !self.event.has_line();
            if is_whole && let Some(length) = self.event.known_length(rest) {
                rest = &rest[length..];
                continue;
            }
            let Some(end) = memchr(b'\n', rest) else {
                break;
            };
            let (line, tail) = rest.split_at(end + 1);
            pass.line_at = is_whole.then_some(0);
            self.read_line(&line[..end], is_whole, pass);
            self.end_line(pass);
            if !pass.found.is_over {
                self.event.end(pass);
                self.event.keep(line, pass);
            }
            rest = tail;
        }
        if !pass.found.is_over && !rest.is_empty() {
            self.read_line(rest, false, pass);
        }
    }

    /// Reads a part of a line, which has no field.
    fn read_line(&mut self, part: &[u8], is_whole: bool, pass: &mut Pass<'_>) {
        if !self.event.has_line() {
            self.event.begin_line(Place::Root, pass);
        }
        self.event.read(part, is_whole, pass);
    }

    fn end_line(&mut self, pass: &mut Pass<'_>) {
        let has_data = self.event.has_data();
        self.event.end_line(pass);
        self.has_data.any |= has_data;
    }
}

#[cfg(test)]
mod tests;
