//! What one JSON object of an answer says: an event's data, a line, or a whole body.

use super::kind::{EventType, ObjectKind};
use super::member::{Content, Member};
use super::usage::Usage;
use super::walker::Value;
use super::{Failure, kept};
use crate::protocol::json::number;

/// The limit on choices whose finish reasons are kept.
pub(super) const MAX_CHOICES: usize = 128;

/// What one JSON object says.
#[derive(Debug, Default)]
pub(super) struct Datum {
    /// By the member `type`.
    pub(super) event_type: Option<EventType>,
    pub(super) object: ObjectKind,
    pub(super) signs: Signs,
    /// The places with content that is not empty: bits of [`Content`].
    pub(super) content: u8,
    pub(super) id: Option<String>,
    pub(super) model: Option<String>,
    pub(super) usage: Usage,
    pub(super) choices: Choices,
    pub(super) stop_reason: Option<String>,
    status: Option<String>,
    incomplete_reason: Option<String>,
    pub(super) error: ErrorMember,
    message: Option<String>,
    code: Option<String>,
    /// The member `type`, if it is no type of an event.
    type_name: Option<String>,
}

/// The signs of formats.
#[expect(clippy::struct_excessive_bools, reason = "each is a member of its own")]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Signs {
    pub(super) has_choices: bool,
    pub(super) has_choice_text: bool,
    /// A member that only Gemini has.
    pub(super) is_gemini: bool,
    pub(super) has_message: bool,
    pub(super) done: Option<bool>,
}

/// The choices, or candidates.
#[derive(Debug, Default)]
pub(super) struct Choices {
    /// The finish reasons, with the choice's index.
    pub(super) reasons: Vec<(u64, String)>,
    /// A bit for each choice up to 63 that was seen.
    pub(super) seen: u64,
    /// How many elements were read.
    position: u64,
    index: Option<u64>,
    reason: Option<String>,
}

/// The member `error`.
#[derive(Debug, Default)]
pub(super) struct ErrorMember {
    /// Whether it says something.
    pub(super) is_told: bool,
    message: Option<String>,
    code: Option<String>,
    error_type: Option<String>,
    status: Option<String>,
}

impl Datum {
    /// Reads a member.
    pub(super) fn visit(&mut self, member: Member, value: Value<'_>) {
        match (member, value) {
            (Member::Type, _) => self.set_type(value),
            (Member::Object, _) => {
                self.object = text(value).map_or(ObjectKind::None, ObjectKind::of);
            }
            (Member::Id, _) => self.id = name(value),
            (Member::Model, _) => self.model = name(value),
            (Member::ModelVersion, _) => {
                self.signs.is_gemini = true;
                self.model = name(value);
            }
            (Member::Status, _) => self.status = name(value),
            (Member::IncompleteReason, _) => self.incomplete_reason = name(value),
            (Member::StopReason, _) => self.stop_reason = name(value),
            (Member::Code, _) => self.code = name(value),
            (Member::Message, Value::Object) => self.signs.has_message = true,
            (Member::Message, _) => self.message = message(value),
            (Member::Done, Value::Bool(is_done)) => self.signs.done = Some(is_done),
            (Member::Content(content), Value::Text(text)) if !text.is_empty() => {
                self.content |= content as u8;
            }
            // A function call, or an element of a list of tool calls.
            (Member::Content(content), Value::Object) => self.content |= content as u8,
            (Member::Delta, Value::Text(text)) if !text.is_empty() => {
                self.content |= Content::DeltaText as u8;
            }
            (Member::Response, Value::Text(text)) if !text.is_empty() => {
                self.content |= Content::Generated as u8;
            }
            (Member::Candidates | Member::UsageMetadata, Value::Array | Value::Object) => {
                self.signs.is_gemini = true;
            }
            (Member::Count(count), Value::Number(digits)) => {
                self.usage.set(count, number::integer(digits));
            }
            (Member::Usage, Value::Object) => self.usage = Usage::default(),
            _ => self.visit_choice_or_error(member, value),
        }
    }

    fn set_type(&mut self, value: Value<'_>) {
        self.event_type = text(value).map(EventType::of);
        self.type_name = match self.event_type {
            Some(EventType::Other) => name(value),
            _ => None,
        };
    }

    fn visit_choice_or_error(&mut self, member: Member, value: Value<'_>) {
        match (member, value) {
            (Member::Choices, Value::Array) => {
                self.signs.has_choices = true;
                self.choices.position = 0;
            }
            (Member::ChoiceText, Value::Text(text)) => {
                self.signs.has_choice_text = true;
                if !text.is_empty() {
                    self.content |= Content::Choice as u8;
                }
            }
            (Member::ChoiceText, _) => self.signs.has_choice_text = true,
            (Member::Index, Value::Number(digits)) => self.choices.index = number::integer(digits),
            (Member::FinishReason, _) => self.choices.reason = name(value),
            (Member::Choice | Member::Candidate, Value::Object) => self.choices.begin(),
            (Member::Choice | Member::Candidate, Value::End) => self.choices.end(),
            (Member::Error, Value::Object | Value::Array | Value::Null | Value::Number(_)) => {
                self.error = ErrorMember::default();
            }
            (Member::Error, Value::Text(_) | Value::Bool(_)) => {
                self.error = ErrorMember {
                    is_told: says_something(value),
                    message: message(value),
                    ..ErrorMember::default()
                };
            }
            (
                Member::ErrorMessage
                | Member::ErrorCode
                | Member::ErrorType
                | Member::ErrorStatus
                | Member::ErrorDetail,
                _,
            ) => self.error.visit(member, value),
            _ => {}
        }
    }

    /// Returns the failure, with what its object says about it.
    pub(super) fn failure(&self) -> Failure {
        let error = &self.error;
        let code = error.code.as_ref().or(error.error_type.as_ref());
        Failure {
            message: error.message.clone().or_else(|| self.message.clone()),
            code: code
                .or(error.status.as_ref())
                .or(self.code.as_ref())
                .or(self.type_name.as_ref())
                .cloned(),
        }
    }

    /// Whether nothing was learnt from it.
    pub(super) fn is_plain(&self, event_type: EventType) -> bool {
        let is_end = matches!(
            event_type,
            EventType::Error
                | EventType::MessageStop
                | EventType::ResponseEnd
                | EventType::ResponseFailed
        );
        !is_end
            && self.object != ObjectKind::Error
            && self.signs.done != Some(true)
            && !self.error.is_told
            && self.id.is_none()
            && self.model.is_none()
            && self.stop_reason.is_none()
            && self.choices.reasons.is_empty()
            && self.usage.is_empty()
    }

    /// Whether a whole answer of responses has failed.
    pub(super) fn has_failed_status(&self) -> bool {
        self.status.as_deref() == Some("failed")
    }

    /// Returns why the generation of responses stopped.
    pub(super) fn take_response_reason(&mut self) -> Option<String> {
        self.incomplete_reason.take().or(self.status.take())
    }
}

impl Choices {
    fn begin(&mut self) {
        (self.index, self.reason) = (None, None);
    }

    fn end(&mut self) {
        let index = self.index.unwrap_or(self.position);
        self.position += 1;
        self.seen |= bit(index);
        if let Some(reason) = self.reason.take()
            && self.reasons.len() < MAX_CHOICES
        {
            self.reasons.push((index, reason));
        }
    }
}

/// Returns the bit of a choice. The choices after the 64th share the last one.
pub(super) fn bit(index: u64) -> u64 {
    1 << index.min(63)
}

impl ErrorMember {
    #[expect(clippy::wildcard_enum_match_arm, reason = "only these are kept")]
    fn visit(&mut self, member: Member, value: Value<'_>) {
        self.is_told |= says_something(value);
        let text = match member {
            Member::ErrorMessage => {
                self.message = message(value);
                return;
            }
            Member::ErrorCode => &mut self.code,
            Member::ErrorType => &mut self.error_type,
            Member::ErrorStatus => &mut self.status,
            _ => return,
        };
        *text = name(value);
    }
}

fn text(value: Value<'_>) -> Option<&[u8]> {
    match value {
        Value::Text(text) => Some(text),
        Value::Number(_)
        | Value::Bool(_)
        | Value::Null
        | Value::Object
        | Value::Array
        | Value::End => None,
    }
}

/// Returns the text of a name, or the digits of a code.
fn name(value: Value<'_>) -> Option<String> {
    match value {
        Value::Text(text) | Value::Number(text) => kept(text, super::MAX_NAME),
        Value::Bool(_) | Value::Null | Value::Object | Value::Array | Value::End => None,
    }
}

fn message(value: Value<'_>) -> Option<String> {
    kept(text(value)?, super::MAX_MESSAGE)
}

/// Whether a scalar in an `error` says something.
fn says_something(value: Value<'_>) -> bool {
    match value {
        Value::Text(text) => !text.is_empty(),
        Value::Number(digits) => number::float(digits).is_none_or(|number| number != 0.0),
        Value::Bool(is_true) => is_true,
        Value::Null | Value::Object | Value::Array | Value::End => false,
    }
}
