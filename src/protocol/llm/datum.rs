//! What one JSON object of an answer says: an event's data, a line, or a whole body.

use super::error::{ErrorMember, message, name, says_something, text};
use super::findings::Failure;
use super::kind::{EventType, ObjectKind};
use super::member::{Content, Count, Member, UsageOf};
use super::usage::Usage;
use super::walker::Value;
use crate::protocol::json::number;

/// The limit on choices whose finish reasons are kept.
pub(super) const MAX_CHOICES: usize = 128;

/// What one JSON object says.
#[derive(Debug, Default)]
pub(super) struct Datum {
    /// By the member `type`.
    pub(super) event_type: Option<EventType>,
    /// Whether the event's name is `error`.
    pub(super) is_named_error: bool,
    pub(super) object: ObjectKind,
    pub(super) signs: Signs,
    /// The places with content that is not empty: bits of [`Content`].
    pub(super) content: u8,
    pub(super) id: Option<Box<str>>,
    pub(super) model: Option<Box<str>>,
    pub(super) usage: Usage,
    /// What the numbers are of: the last one of an object.
    pub(super) usage_of: Option<UsageOf>,
    is_usage_ignored: bool,
    pub(super) choices: Choices,
    pub(super) stop_reason: Option<Box<str>>,
    /// Whether the members of an error that are being read are those of `response`.
    is_error_of_response: bool,
    /// Boxed, to keep open streams small.
    rare: Option<Box<Rare>>,
}

/// Members that few objects have.
#[derive(Debug, Default)]
struct Rare {
    status: Option<Box<str>>,
    response_status: Option<Box<str>>,
    incomplete_reason: Option<Box<str>>,
    error: ErrorMember,
    /// That of `response`.
    response_error: ErrorMember,
    message: Option<Box<str>>,
    code: Option<Box<str>>,
    /// The member `type`, if it is no type of an event.
    type_name: Option<Box<str>>,
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
    /// The outermost value is an array: of several objects, which are read like one.
    pub(super) is_list: bool,
    /// The outermost object has a member that neither an answer nor an error has.
    pub(super) has_unread: bool,
    /// A model, or a generated text.
    pub(super) has_model: bool,
    pub(super) done: Option<bool>,
}

/// The choices, or candidates.
#[derive(Debug, Default)]
pub(super) struct Choices {
    /// The finish reasons, with the choice's index.
    pub(super) reasons: Vec<(u64, Box<str>)>,
    /// A bit for each choice up to 63 that was seen.
    pub(super) seen: u64,
    /// How many elements were read.
    position: u64,
    index: Option<u64>,
    reason: Option<Box<str>>,
}

impl Datum {
    /// Reads a member.
    pub(super) fn visit(&mut self, member: Member, value: Value<'_>) {
        match (member, value) {
            (Member::Root, Value::Array) => self.signs.is_list = true,
            (Member::Unread, _) => self.signs.has_unread = true,
            (Member::Type, _) => self.set_type(value),
            (Member::Object, _) => {
                self.object = text(value).map_or(ObjectKind::None, ObjectKind::of);
            }
            (Member::Id, _) => self.id = name(value),
            (Member::Model, _) => {
                self.signs.has_model = true;
                self.model = name(value);
            }
            (Member::ModelVersion, _) => {
                self.signs.is_gemini = true;
                self.model = name(value);
            }
            (Member::StopReason, _) => self.stop_reason = name(value),
            (Member::Message, Value::Object) => self.signs.has_message = true,
            (Member::Done, Value::Bool(is_done)) => self.signs.done = Some(is_done),
            (Member::Content(content), Value::Text(text)) if !text.is_empty() => {
                self.content |= content as u8;
            }
            (Member::Content(content), Value::Object) if content.can_be_object() => {
                self.content |= content as u8;
            }
            (Member::Response, Value::Text(text)) => {
                self.signs.has_model = true;
                if !text.is_empty() {
                    self.content |= Content::Generated as u8;
                }
            }
            (Member::Candidates, Value::Array) => self.signs.is_gemini = true,
            (Member::UsageMetadata, Value::Object) => {
                self.signs.is_gemini = true;
                self.begin_usage(UsageOf::Metadata);
            }
            (Member::OllamaCount(count), Value::Number(digits)) => {
                if self.usage_of != Some(UsageOf::Ollama) {
                    self.begin_usage(UsageOf::Ollama);
                }
                self.set_count(count, digits);
            }
            (Member::Count(count), Value::Number(digits)) => self.set_count(count, digits),
            (Member::Usage(of), Value::Object) => self.begin_usage(of),
            _ => self.visit_choice_or_error(member, value),
        }
    }

    /// Starts numbers of tokens. Those of another object are ignored, if there are some already.
    fn begin_usage(&mut self, of: UsageOf) {
        self.is_usage_ignored = self.usage_of != Some(of) && !self.usage.is_empty();
        if !self.is_usage_ignored {
            self.usage = Usage::default();
            self.usage_of = Some(of);
        }
    }

    fn set_count(&mut self, count: Count, digits: &[u8]) {
        if !self.is_usage_ignored {
            self.usage.set(count, number::integer(digits));
        }
    }

    fn set_type(&mut self, value: Value<'_>) {
        self.event_type = text(value).map(EventType::of);
        if self.event_type == Some(EventType::Other) {
            self.rare().type_name = name(value);
        }
    }

    fn visit_choice_or_error(&mut self, member: Member, value: Value<'_>) {
        match (member, value) {
            (Member::Delta, Value::Text(text)) if !text.is_empty() => {
                self.content |= Content::DeltaText as u8;
            }
            (Member::Choices, Value::Array) => {
                self.signs.has_choices = true;
                self.choices = Choices::default();
            }
            (Member::ChoiceText, value) => {
                self.signs.has_choice_text = true;
                if text(value).is_some_and(|text| !text.is_empty()) {
                    self.content |= Content::Choice as u8;
                }
            }
            (Member::Index, Value::Number(digits)) => self.choices.index = number::integer(digits),
            (Member::FinishReason, _) => self.choices.reason = name(value),
            (Member::Choice | Member::Candidate, Value::Object) => self.choices.begin(),
            (Member::Choice | Member::Candidate, Value::End) => self.choices.end(),
            (Member::Error | Member::ResponseError, value) => {
                self.set_error(member == Member::ResponseError, value);
            }
            (
                Member::ErrorMessage
                | Member::ErrorCode
                | Member::ErrorType
                | Member::ErrorStatus
                | Member::ErrorDetail,
                _,
            ) if says_something(value) => self.error().visit(member, value),
            (Member::Status, Value::Text(_)) => self.rare().status = name(value),
            (Member::ResponseStatus, Value::Text(_)) => self.rare().response_status = name(value),
            (Member::IncompleteReason, Value::Text(_)) => {
                self.rare().incomplete_reason = name(value);
            }
            (Member::Message, Value::Text(_)) => self.rare().message = message(value),
            (Member::Code, Value::Text(_) | Value::Number(_)) => self.rare().code = name(value),
            _ => {}
        }
    }

    /// Starts an `error`: that of the outermost object, or of its `response`.
    fn set_error(&mut self, is_of_response: bool, value: Value<'_>) {
        if value == Value::End {
            return;
        }
        self.is_error_of_response = is_of_response;
        let is_text = matches!(value, Value::Text(_) | Value::Bool(true));
        // The last one of a key counts, but there is one in each object of a list.
        if is_text || (self.rare.is_some() && !self.signs.is_list) {
            *self.error() = ErrorMember {
                is_set: is_text && says_something(value),
                message: message(value),
                ..ErrorMember::default()
            };
        }
    }

    /// Returns the `error` whose members are being read.
    fn error(&mut self) -> &mut ErrorMember {
        let is_of_response = self.is_error_of_response;
        let rare = self.rare();
        if is_of_response {
            &mut rare.response_error
        } else {
            &mut rare.error
        }
    }

    fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    /// Whether there is an `error` that says something.
    pub(super) fn has_error(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| rare.error.is_set)
    }

    /// Returns the failure, with what its object says about it.
    pub(super) fn failure(&self) -> Failure {
        let Some(rare) = &self.rare else {
            return Failure::default();
        };
        let error = if rare.response_error.is_set && self.event_type != Some(EventType::Error) {
            &rare.response_error
        } else {
            &rare.error
        };
        // The member `type` of another object is no code.
        let type_name = if self.object == ObjectKind::Error {
            &rare.type_name
        } else {
            &None
        };
        let codes = [
            &error.code,
            &error.error_type,
            &error.status,
            &rare.code,
            type_name,
        ];
        let first = |texts: &[&Option<Box<str>>]| {
            texts
                .iter()
                .find_map(|text| text.as_deref())
                .map(str::to_owned)
        };
        Failure {
            message: first(&[&error.message, &rare.message]),
            code: first(&codes),
        }
    }

    /// Whether nothing was learnt from it.
    pub(super) fn is_plain(&self, event_type: EventType) -> bool {
        !event_type.is_decisive()
            && self.object != ObjectKind::Error
            && self.signs.done != Some(true)
            && self.id.is_none()
            && self.model.is_none()
            && self.stop_reason.is_none()
            && self.choices.reasons.is_empty()
            && self.usage.is_empty()
    }

    /// Whether a whole answer of responses has failed.
    pub(super) fn has_failed_status(&self) -> bool {
        let status = self.rare.as_ref().and_then(|rare| rare.status.as_deref());
        status == Some("failed")
    }

    /// Returns why the generation of responses stopped.
    pub(super) fn take_response_reason(&mut self) -> Option<Box<str>> {
        let rare = self.rare.as_mut()?;
        let status = rare.response_status.take().or(rare.status.take());
        rare.incomplete_reason.take().or(status)
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
