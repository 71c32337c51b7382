//! Members that few objects have.

use super::error::ErrorMember;
use super::member::Member;

/// What an answer is called, and its model.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) id: Option<Box<str>>,
    pub(super) model: Option<Box<str>>,
}

/// Members that few objects have.
#[derive(Debug, Default)]
pub(super) struct Rare {
    /// Those of `response`.
    pub(super) response_names: Names,
    /// Those of `message`.
    pub(super) message_names: Names,
    pub(super) status: Option<Box<str>>,
    pub(super) response_status: Option<Box<str>>,
    pub(super) incomplete_reason: Option<Box<str>>,
    pub(super) error: ErrorMember,
    /// That of `response`.
    pub(super) response_error: ErrorMember,
    pub(super) message: Option<Box<str>>,
    pub(super) code: Option<Box<str>>,
    /// The code in `base_resp`, if it is not 0.
    pub(super) base_code: Option<Box<str>>,
    pub(super) base_message: Option<Box<str>>,
    /// The member `type`, if it is no type of an event.
    pub(super) type_name: Option<Box<str>>,
}

impl Rare {
    /// Sets a name of `response` or `message`.
    #[expect(clippy::wildcard_enum_match_arm, reason = "these are the nested names")]
    pub(super) fn set_name(&mut self, member: Member, value: Option<Box<str>>) {
        match member {
            Member::ResponseId => self.response_names.id = value,
            Member::ResponseModel => self.response_names.model = value,
            Member::MessageId => self.message_names.id = value,
            _ => self.message_names.model = value,
        }
    }
}
