//! Lines that are events of their own: a field `error`, JSON outside of the fields, and objects behind a whole answer.

use super::{Data, EventReader, Pass};
use crate::protocol::json::is_white;
use crate::protocol::llm::findings::Failure;
use crate::protocol::llm::kind::EventType;
use crate::protocol::llm::place::Place;

impl EventReader {
    /// Whether the line that has begun is a field `error`.
    pub(crate) fn is_in_error_line(&self) -> bool {
        self.has_line && self.root == Place::ErrorLine
    }

    /// Ends a line of a field `error`.
    pub(crate) fn end_error_line(&mut self, pass: &mut Pass<'_>) {
        let is_json = self.data == Data::Json && self.walker.is_complete();
        let is_failure = if is_json {
            self.datum.has_error()
        } else {
            self.data == Data::Text && self.text.says_something()
        };
        if is_failure && pass.reads.failures && pass.answer.fail() {
            let failure = if is_json {
                self.datum.failure()
            } else {
                Failure {
                    message: self.text.message(pass.terminators.data),
                    code: None,
                }
            };
            pass.found.failure = Some(Box::new(failure));
        }
        self.leave_line();
    }

    /// Reads a part of a line without a field.
    ///
    /// Clients that follow the standard ignore such lines. But Google's servers report failures in them as JSON, and
    /// Google's clients read that. It ends with its last brace. An empty line or a line of data ends it, too. Behind
    /// plain text it is a part of a text whose lines the server has not put into fields.
    pub(crate) fn read_bare_line(
        &mut self,
        part: &[u8],
        is_first: bool,
        is_last: bool,
        pass: &mut Pass<'_>,
    ) {
        let begins = !self.has_line && !pass.has_text && part.starts_with(b"{");
        if is_first && (begins || self.is_in_bare_json()) {
            self.begin_line(Place::Bare, pass);
        }
        if !self.is_in_bare_json() {
            return;
        }
        self.read(part, false, pass);
        if is_last && self.walker.is_complete() {
            let event_type = self.datum.event_type.unwrap_or(EventType::Other);
            let is_failure = pass.answer.is_failure(&self.datum, event_type, true);
            if is_failure && pass.reads.failures && pass.answer.fail() {
                pass.found.failure = Some(Box::new(self.datum.failure()));
            }
            self.leave_line();
        }
    }

    /// Ends JSON outside of the fields that is not whole.
    pub(crate) fn drop_bare_json(&mut self) {
        if self.is_in_bare_json() {
            self.leave_line();
        }
    }

    /// Whether the data is a whole object, and these bytes begin another one in a later line.
    pub(crate) fn is_followed_by_object(&mut self, next: &[u8]) -> bool {
        let is_object = self.data == Data::Json && !self.datum.signs.is_list;
        if !is_object || !self.walker.is_complete() {
            return false;
        }
        let white = next.iter().take_while(|byte| is_white(**byte)).count();
        self.is_line_over |= next[..white].contains(&b'\n');
        self.is_line_over && next.get(white) == Some(&b'{')
    }

    fn is_in_bare_json(&self) -> bool {
        self.has_line && self.root == Place::Bare
    }

    fn leave_line(&mut self) {
        self.has_line = false;
        self.data = Data::Blank;
    }
}
