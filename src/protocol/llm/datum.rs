//! What one JSON object of an answer says: an event's data, a line, or a whole body.

use super::choices::Choices;
use super::error::{ErrorMember, message, name, says_something, text};
use super::findings::Failure;
use super::format::LlmFormat;
use super::kind::{EventType, ObjectKind};
use super::member::{Content, Count, Member, UsageOf};
use super::rare::{Names, Rare};
use super::signs::Signs;
use super::usage::Usage;
use super::walker::Value;
use crate::protocol::json::number;

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
    pub(super) names: Names,
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
            (member, _) if member.is_id_or_model() => self.set_name(member, name(value)),
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
            (Member::Candidates, Value::Array) => {
                self.signs.is_gemini = true;
                self.choices = Choices::of(true);
            }
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

    #[expect(clippy::wildcard_enum_match_arm, reason = "all others are nested")]
    fn set_name(&mut self, member: Member, name: Option<Box<str>>) {
        match member {
            Member::Id => self.names.id = name,
            Member::Model => {
                self.signs.has_model = true;
                self.names.model = name;
            }
            Member::ModelVersion => {
                self.signs.is_gemini = true;
                self.names.model = name;
            }
            nested if name.is_some() || self.rare.is_some() => self.rare().set_name(nested, name),
            _ => {}
        }
    }

    /// Starts numbers of tokens. Those of another object are ignored, if there are some already. The outermost object's
    /// replace those of a choice.
    fn begin_usage(&mut self, of: UsageOf) {
        self.is_usage_ignored = match (self.usage_of, of) {
            (Some(UsageOf::Choice), UsageOf::Root) => false,
            (Some(UsageOf::Root), UsageOf::Choice) => true,
            (of_before, of) => of_before != Some(of) && !self.usage.is_empty(),
        };
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
                self.choices = Choices::of(false);
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
            (Member::BaseCode, Value::Number(_)) if says_something(value) => {
                self.rare().base_code = name(value);
            }
            (Member::BaseMessage, Value::Text(_)) => self.rare().base_message = message(value),
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

    /// Whether there is a status that is no success.
    pub(super) fn has_base_code(&self) -> bool {
        self.rare
            .as_ref()
            .is_some_and(|rare| rare.base_code.is_some())
    }

    /// Returns the failure, with what its object says about it.
    pub(super) fn failure(&self) -> Failure {
        let Some(rare) = &self.rare else {
            return Failure::default();
        };
        let is_named_error = self.is_named_error || self.event_type == Some(EventType::Error);
        let error = if rare.response_error.is_set && !is_named_error {
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
        let base_message = if rare.base_code.is_some() {
            &rare.base_message
        } else {
            &None
        };
        let codes = [
            &error.code,
            &error.error_type,
            &error.status,
            &rare.code,
            type_name,
            &rare.base_code,
        ];
        let first = |texts: &[&Option<Box<str>>]| {
            texts
                .iter()
                .find_map(|text| text.as_deref())
                .map(str::to_owned)
        };
        Failure {
            message: first(&[&error.message, &rare.message, base_message]),
            code: first(&codes),
        }
    }

    /// Returns the names of an answer: in a stream, `response` or `message` has those of some formats.
    pub(super) fn names_of(
        &mut self,
        format: LlmFormat,
        event_type: EventType,
        is_stream: bool,
    ) -> Option<&mut Names> {
        match format {
            LlmFormat::Responses if is_stream => Some(&mut self.rare.as_mut()?.response_names),
            LlmFormat::Messages if is_stream => {
                let has_names = event_type == EventType::MessageStart;
                let rare = self.rare.as_mut().filter(|_| has_names)?;
                Some(&mut rare.message_names)
            }
            LlmFormat::ChatCompletions
            | LlmFormat::Completions
            | LlmFormat::Responses
            | LlmFormat::Messages
            | LlmFormat::Gemini
            | LlmFormat::Ollama => Some(&mut self.names),
        }
    }

    /// Whether it says nothing that a later event can change. The first names and the first failure count, and nothing
    /// follows an end.
    pub(super) fn is_plain(&self) -> bool {
        self.stop_reason.is_none() && self.choices.reasons.is_empty() && self.usage.is_empty()
    }

    /// Whether a whole answer of responses has failed.
    pub(super) fn has_failed_status(&self) -> bool {
        let status = self.rare.as_ref().and_then(|rare| rare.status.as_deref());
        status == Some("failed")
    }

    /// Whether the `response` of an event has failed.
    pub(super) fn has_failed_response(&self) -> bool {
        let rare = self.rare.as_ref();
        rare.and_then(|rare| rare.response_status.as_deref()) == Some("failed")
    }

    /// Returns why the generation of responses stopped. A response in the background may not have.
    pub(super) fn take_response_reason(&mut self) -> Option<Box<str>> {
        let rare = self.rare.as_mut()?;
        let status = rare.response_status.take().or(rare.status.take());
        let status = status.filter(|status| !matches!(&**status, "queued" | "in_progress"));
        rare.incomplete_reason.take().or(status)
    }
}
