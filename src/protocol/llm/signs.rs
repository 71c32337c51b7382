//! The members of one JSON object that show its format.

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
