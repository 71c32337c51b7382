//! The literals of JSON.

/// A literal.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Literal {
    True,
    False,
    #[default]
    Null,
}

impl Literal {
    pub(super) fn word(self) -> &'static [u8] {
        match self {
            Self::True => b"true",
            Self::False => b"false",
            Self::Null => b"null",
        }
    }
}
