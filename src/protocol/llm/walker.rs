//! Follows the members of a JSON text that are read.

use super::member::Member;
use super::place::Place;
use crate::protocol::json::{Token, Tokens};

/// The number of nested objects and arrays that are followed. Deeper members are not read.
const MAX_PLACES: usize = 8;

/// The value of a member, or the end of one. A text is without escapes, and truncated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value<'a> {
    Text(&'a [u8]),
    Number(&'a [u8]),
    Bool(bool),
    Null,
    Object,
    Array,
    /// The end of an object or array.
    End,
}

/// A scalar in a piece, by the indices of its bytes: the inside of a string, or a number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scalar {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) is_text: bool,
}

/// Gets what a walker finds.
pub(super) trait Visitor {
    /// Returns how many bytes of a member's text are wanted. 0 if neither text nor number is.
    fn limit(&self, member: Member) -> usize;
    fn visit(&mut self, member: Member, value: Value<'_>);
    /// Gets a scalar of which nothing is wanted.
    fn skip(&mut self, scalar: Scalar);
}

/// Walks through one JSON text, cut anywhere.
#[derive(Debug, Default)]
pub(super) struct Walker {
    tokens: Tokens,
    /// The open objects and arrays from the outermost one, each with the member that has it for a value.
    places: [(Place, Member); MAX_PLACES],
    /// The member of the innermost object whose value is next.
    member: Member,
}

impl Walker {
    /// Starts a new text.
    pub(super) fn reset(&mut self) {
        self.tokens.reset();
    }

    /// Whether the text is one whole value.
    pub(super) fn is_complete(&self) -> bool {
        self.tokens.is_complete()
    }

    /// Reads a piece. The members of the outermost object are those of `root`.
    pub(super) fn read(&mut self, piece: &[u8], root: Place, visitor: &mut impl Visitor) {
        let mut rest = piece;
        loop {
            let place = place_at(&self.places, self.tokens.depth());
            let member = if self.tokens.depth() == 0 {
                Member::Root
            } else if self.tokens.is_in_array() {
                place.element()
            } else {
                self.member
            };
            let limit = visitor.limit(member);
            let Some(token) = self.tokens.next(&mut rest, limit) else {
                return;
            };
            let value = match token {
                Token::Key(key) => {
                    self.member = place.member(key);
                    continue;
                }
                Token::String(text) => Value::Text(text),
                Token::Number(digits) => Value::Number(digits),
                Token::True => Value::Bool(true),
                Token::False => Value::Bool(false),
                Token::Null => Value::Null,
                Token::OpenObject | Token::OpenArray => {
                    let is_array = token == Token::OpenArray;
                    let place = if member == Member::Root {
                        root
                    } else {
                        member.place(is_array)
                    };
                    let depth = usize::from(self.tokens.depth());
                    if let Some(slot) = self.places.get_mut(depth - 1) {
                        *slot = (place, member);
                    }
                    if is_array {
                        Value::Array
                    } else {
                        Value::Object
                    }
                }
                Token::Close => {
                    let closed = usize::from(self.tokens.depth());
                    let closed = self.places.get(closed).map(|(_, member)| *member);
                    visitor.visit(closed.unwrap_or_default(), Value::End);
                    continue;
                }
            };
            if limit > 0 || !matches!(value, Value::Text(_) | Value::Number(_)) {
                visitor.visit(member, value);
            } else {
                let is_text = matches!(value, Value::Text(_));
                let quote = usize::from(is_text);
                visitor.skip(Scalar {
                    start: piece.len() - self.tokens.left_at_start().min(piece.len()) + quote,
                    end: piece.len() - rest.len() - quote,
                    is_text,
                });
            }
        }
    }
}

/// Returns the place at this depth, from 1.
fn place_at(places: &[(Place, Member); MAX_PLACES], depth: u8) -> Place {
    let index = usize::from(depth).wrapping_sub(1);
    places.get(index).map_or(Place::Other, |(place, _)| *place)
}
