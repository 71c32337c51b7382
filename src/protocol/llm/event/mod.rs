//! Reads the data of one event, line or body, and adds it to the answer.

use super::answer::{Answer, Reads};
use super::datum::Datum;
use super::event_name::EventName;
use super::findings::{Findings, Framing, Terminators};
use super::format::LlmFormat;
use super::kind::EventType;
use super::place::Place;
use super::shape::{self, Scalars, Shape};
use super::text::DatumText;
use super::visit::Visit;
use super::walker::Walker;

mod alone;

/// Reads one event after the other.
#[derive(Debug)]
pub(super) struct EventReader {
    name: EventName,
    /// Whether the name came after data.
    is_name_late: bool,
    /// Whether the event has a line of data.
    has_line: bool,
    data: Data,
    /// Whether a line end has followed the whole JSON.
    is_line_over: bool,
    root: Place,
    text: DatumText,
    walker: Walker,
    datum: Datum,
    known: Option<Box<Shape>>,
}

/// What the data of the current event is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Data {
    /// Nothing, or white space.
    Blank,
    Json,
    /// JSON that has been added to the answer.
    Added,
    Text,
}

/// What a piece is read for.
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
pub(super) struct Pass<'a> {
    pub(super) framing: Framing,
    pub(super) reads: Reads,
    pub(super) terminators: Terminators<'a>,
    pub(super) answer: &'a mut Answer,
    pub(super) found: Findings,
    /// Whether the body is over.
    pub(super) is_at_end: bool,
    /// Whether there was data other than a failure or the end.
    pub(super) has_content: bool,
    /// Whether an event had data that is neither JSON nor the end.
    pub(super) has_text: bool,
    /// Whether the body is an event stream by its first byte, and not by its content type.
    pub(super) is_guessed: bool,
    /// Where the line of data is in its event, if that began in the piece.
    pub(super) line_at: Option<usize>,
    /// How many bytes of a whole answer are unread: they begin with another object.
    pub(super) unread: usize,
    /// What can vary in the current event, if it says nothing when it is repeated.
    pub(super) candidate: Option<Scalars>,
}

impl EventReader {
    pub(super) fn new() -> Self {
        Self {
            name: EventName::new(),
            is_name_late: false,
            has_line: false,
            data: Data::Blank,
            is_line_over: false,
            root: Place::Root,
            text: DatumText::default(),
            walker: Walker::default(),
            datum: Datum::default(),
            known: None,
        }
    }

    /// Whether the current event has data.
    pub(super) fn has_data(&self) -> bool {
        self.data != Data::Blank
    }

    /// Whether a line of data has begun.
    pub(super) fn has_line(&self) -> bool {
        self.has_line
    }

    /// Whether the last event has ended, and the next one has not begun.
    pub(super) fn is_between_events(&self) -> bool {
        !self.has_line && !self.name.is_set()
    }

    /// Returns the length of the event that a text begins with, if it is like the last one from which nothing was
    /// learnt.
    pub(super) fn known_length(&self, text: &[u8]) -> Option<usize> {
        self.known.as_ref()?.match_start(text)
    }

    /// Keeps an event, if it says nothing when it is repeated.
    pub(super) fn keep(&mut self, event: &[u8], pass: &mut Pass<'_>) {
        let Some(scalars) = pass.candidate.take() else {
            return;
        };
        if event.len() > shape::MAX_BYTES || event.last() != Some(&b'\n') {
            return;
        }
        match &mut self.known {
            Some(known) => known.replace(event, scalars),
            None => self.known = Some(Box::new(Shape::new(event, scalars))),
        }
    }

    /// Reads a part of the event's name.
    pub(super) fn read_name(&mut self, part: &[u8], is_first: bool, is_last: bool) {
        self.name.read(part, is_first, is_last);
        self.is_name_late = self.has_line;
    }

    /// Starts a line of data. All lines of an event are one text.
    pub(super) fn begin_line(&mut self, root: Place, pass: &mut Pass<'_>) {
        if std::mem::replace(&mut self.has_line, true) {
            self.text.begin_next_line(pass.terminators.data);
            if self.data == Data::Json {
                self.read_json(b"\n", None, pass);
            }
        } else {
            self.root = root;
            self.text.begin();
        }
    }

    /// Reads a part of a line of data, perhaps the whole line.
    pub(super) fn read(&mut self, part: &[u8], is_whole_line: bool, pass: &mut Pass<'_>) {
        let is_terminators = self.text.match_part(part, pass.terminators.data);
        match self.data {
            Data::Blank => {
                let visible = part.iter().find(|byte| !byte.is_ascii_whitespace());
                match visible {
                    Some(b'{') => self.begin_json(part, is_whole_line, pass),
                    Some(b'[') if pass.framing == Framing::Whole => {
                        self.begin_json(part, is_whole_line, pass);
                    }
                    visible => {
                        if visible.is_some() {
                            self.data = Data::Text;
                        }
                        if !is_terminators {
                            self.text.keep(part);
                        }
                    }
                }
            }
            Data::Json => self.read_json(part, None, pass),
            Data::Text if !is_terminators => self.text.keep(part),
            Data::Text | Data::Added => {}
        }
    }

    fn begin_json(&mut self, part: &[u8], is_whole_line: bool, pass: &mut Pass<'_>) {
        self.data = Data::Json;
        self.is_line_over = false;
        self.walker.reset();
        self.datum = Datum::default();
        let Some(line_at) = pass.line_at.filter(|_| is_whole_line) else {
            return self.read_json(part, None, pass);
        };
        let mut scalars = Scalars::at(line_at);
        self.read_json(part, Some(&mut scalars), pass);
        // JSON can be a terminator, too.
        let can_be_terminator = |data: &str| data.trim_start().starts_with('{');
        if self.walker.is_complete() && !pass.terminators.data.is_some_and(can_be_terminator) {
            let is_plain = self.datum.is_plain();
            self.add(pass);
            pass.candidate = (is_plain && self.has_plain_name(pass)).then_some(scalars);
        }
    }

    /// Whether the name says nothing, which alone counts in an event that is malformed.
    fn has_plain_name(&self, pass: &Pass<'_>) -> bool {
        let named = self.name.event_type();
        named == EventType::Other || (!named.is_decisive() && pass.answer.format.is_some())
    }

    fn read_json(&mut self, part: &[u8], scalars: Option<&mut Scalars>, pass: &mut Pass<'_>) {
        let mut visit = Visit::new(&mut self.datum, scalars, pass.answer, pass.reads);
        let rest = self.walker.read(part, self.root, &mut visit);
        if rest.is_empty() {
            return;
        }
        if pass.framing == Framing::Whole && self.is_followed_by_object(rest) {
            pass.unread = rest.len();
        } else {
            let mut visit = Visit::new(&mut self.datum, None, pass.answer, pass.reads);
            self.walker.read(rest, self.root, &mut visit);
        }
    }

    /// Ends a line of data. If the data is whole, it is added to the answer.
    pub(super) fn end_line(&mut self, pass: &mut Pass<'_>) {
        let is_stream = pass.framing == Framing::EventStream;
        if is_stream && (self.text.is_terminator(pass.terminators.data) || self.is_done(pass)) {
            if self.name.event_type() == EventType::Error {
                self.datum = Datum::default();
                self.add(pass);
            }
            pass.found.is_over = true;
            return;
        }
        if self.data == Data::Json && self.walker.is_complete() {
            self.add(pass);
        }
        let is_cut = pass.is_at_end && self.is_cut();
        pass.found.is_over |= self.name.is(pass.terminators.event) && !is_cut;
        pass.has_text |= self.data == Data::Text;
        let is_error = self.name.event_type() == EventType::Error;
        pass.has_content |= self.data == Data::Text && !is_error && !pass.found.is_over;
    }

    /// Whether the data is the end of chat completions or completions.
    fn is_done(&self, pass: &Pass<'_>) -> bool {
        let formats = [LlmFormat::ChatCompletions, LlmFormat::Completions];
        let is_read = formats
            .iter()
            .any(|format| pass.reads.formats.contain(*format));
        is_read && self.data == Data::Text && self.text.is(b"[DONE]")
    }

    /// Whether the text so far is the beginning of JSON.
    fn is_cut(&self) -> bool {
        self.data == Data::Json && !self.walker.is_malformed()
    }

    /// Ends the last event of a stream, which may be cut. If its JSON is, it is no end, but can be a failure.
    pub(super) fn end_cut(&mut self, pass: &mut Pass<'_>) {
        self.drop_bare_json();
        let named = self.name.event_type();
        let is_failure =
            pass.reads.failures && matches!(named, EventType::Error | EventType::ResponseFailed);
        if self.is_cut() && (!is_failure || self.name.is(pass.terminators.event)) {
            pass.answer.show_format(named, pass.reads);
            self.reset();
        } else {
            self.end(pass);
        }
    }

    /// Ends the event. Its name, or data that is no JSON, counts now.
    pub(super) fn end(&mut self, pass: &mut Pass<'_>) {
        self.drop_bare_json();
        let counts = match self.data {
            Data::Added => self.is_name_late,
            Data::Blank | Data::Json | Data::Text => true,
        };
        if self.is_name_late {
            pass.candidate = None;
        }
        if counts && self.name.event_type() != EventType::Other {
            if self.data != Data::Added {
                self.datum = Datum::default();
            }
            self.add(pass);
        }
        pass.found.is_over |= self.name.is(pass.terminators.event);
        self.reset();
    }

    fn reset(&mut self) {
        self.has_line = false;
        self.data = Data::Blank;
        self.is_name_late = false;
        self.name.end();
    }

    /// Returns the type of the event: that of its JSON, else its name.
    fn event_type(&self) -> EventType {
        let named = self.name.event_type();
        self.datum.event_type.unwrap_or(named)
    }

    fn add(&mut self, pass: &mut Pass<'_>) {
        let event_type = self.event_type();
        let is_stream = pass.framing != Framing::Whole;
        let had_format = pass.answer.format.is_some();
        // Whatever type its data has.
        self.datum.is_named_error = self.name.event_type() == EventType::Error;
        let (is_failure, failure) =
            pass.answer
                .add(&mut self.datum, event_type, is_stream, pass.reads);
        if !had_format && pass.answer.format.is_some() {
            // What an event says depends on the format.
            self.known = None;
        }
        if let Some(mut failure) = failure {
            if self.data == Data::Text {
                failure.message = self.text.message(pass.terminators.data);
            }
            pass.found.failure = Some(Box::new(failure));
        }
        pass.found.is_over |= pass.answer.is_over || self.name.is(pass.terminators.event);
        if self.data == Data::Json {
            self.data = Data::Added;
            let is_failure = is_failure || self.datum.is_named_error;
            let is_content = self.walker.is_complete() && !is_failure;
            pass.has_content |= is_content && !pass.found.is_over;
        }
    }
}
