//! The member `error`, and the texts that are kept of an object.

use super::kept::{MAX_MESSAGE, MAX_NAME, kept};
use super::member::Member;
use super::walker::Value;
use crate::protocol::json::number;

/// The member `error`.
#[derive(Debug, Default)]
pub(super) struct ErrorMember {
    /// Whether it says something.
    pub(super) is_set: bool,
    pub(super) message: Option<Box<str>>,
    pub(super) code: Option<Box<str>>,
    pub(super) error_type: Option<Box<str>>,
    pub(super) status: Option<Box<str>>,
}

impl ErrorMember {
    #[expect(clippy::wildcard_enum_match_arm, reason = "only these are kept")]
    pub(super) fn visit(&mut self, member: Member, value: Value<'_>) {
        self.is_set = true;
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

pub(super) fn text(value: Value<'_>) -> Option<&[u8]> {
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
pub(super) fn name(value: Value<'_>) -> Option<Box<str>> {
    match value {
        Value::Text(text) | Value::Number(text) => kept(text, MAX_NAME),
        Value::Bool(_) | Value::Null | Value::Object | Value::Array | Value::End => None,
    }
}

pub(super) fn message(value: Value<'_>) -> Option<Box<str>> {
    kept(text(value)?, MAX_MESSAGE)
}

/// Whether a scalar in an `error` says something.
pub(super) fn says_something(value: Value<'_>) -> bool {
    match value {
        Value::Text(text) => !text.is_empty(),
        Value::Number(digits) => number::float(digits).is_none_or(|number| number != 0.0),
        Value::Bool(is_true) => is_true,
        Value::Null | Value::Object | Value::Array | Value::End => false,
    }
}
