//! Reads the members of an object that are wanted.

use super::answer::{Answer, Reads};
use super::datum::Datum;
use super::member::Member;
use super::shape::Scalars;
use super::walker::{Scalar, Value, Visitor};

/// Reads the members that are wanted.
#[expect(clippy::struct_excessive_bools, reason = "each is a kind of members")]
pub(super) struct Visit<'a> {
    datum: &'a mut Datum,
    scalars: Option<&'a mut Scalars>,
    /// Content, to find the first token.
    wants_content: bool,
    /// Finish reasons and numbers of tokens.
    wants_facts: bool,
    wants_id: bool,
    wants_model: bool,
}

impl<'a> Visit<'a> {
    /// Wants what the answer does not have yet.
    pub(super) fn new(
        datum: &'a mut Datum,
        scalars: Option<&'a mut Scalars>,
        answer: &Answer,
        reads: Reads,
    ) -> Self {
        Self {
            datum,
            scalars,
            wants_content: !answer.has_token,
            wants_facts: reads.facts,
            wants_id: reads.facts && answer.id.is_none(),
            wants_model: reads.facts && answer.model.is_none(),
        }
    }
}

impl Visitor for Visit<'_> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "all others are wanted")]
    fn limit(&self, member: Member) -> usize {
        let is_wanted = match member {
            Member::Content(_) | Member::ChoiceText | Member::Delta | Member::Response => {
                self.wants_content
            }
            Member::Id | Member::ResponseId | Member::MessageId => self.wants_id,
            Member::ResponseModel | Member::MessageModel => self.wants_model,
            // These members are also signs of a format.
            Member::Model | Member::ModelVersion => self.wants_model || self.wants_content,
            Member::Count(_)
            | Member::OllamaCount(_)
            | Member::StopReason
            | Member::IncompleteReason => self.wants_facts,
            _ => true,
        };
        if is_wanted { member.limit() } else { 0 }
    }

    fn visit(&mut self, member: Member, value: Value<'_>) {
        self.datum.visit(member, value);
    }

    fn skip(&mut self, member: Member, scalar: Scalar) {
        self.datum.signs.has_unread |= member == Member::Unread;
        if let Some(scalars) = &mut self.scalars {
            scalars.add(scalar);
        }
    }
}
