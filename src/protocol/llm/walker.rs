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
    fn skip(&mut self, member: Member, scalar: Scalar);
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

    pub(super) fn is_malformed(&self) -> bool {
        self.tokens.is_malformed()
    }

    /// Reads a piece up to the end of the outermost object or array. Returns the rest. The members of the outermost
    /// object are those of `root`.
    pub(super) fn read<'p>(
        &mut self,
        piece: &'p [u8],
        root: Place,
        visitor: &mut impl Visitor,
    ) -> &'p [u8] {
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
                return &[];
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
                Token::OpenObject => self.open(member, false, root),
                Token::OpenArray => self.open(member, true, root),
                Token::Close => {
                    visitor.visit(self.closed(), Value::End);
                    if self.tokens.depth() == 0 {
                        return rest;
                    }
                    continue;
                }
            };
            let is_text = matches!(value, Value::Text(_));
            if limit > 0 || !(is_text || matches!(value, Value::Number(_))) {
                visitor.visit(member, value);
            } else {
                visitor.skip(member, self.scalar(piece, rest, is_text));
            }
        }
    }

    /// Returns where the scalar is that was read before `rest`.
    fn scalar(&self, piece: &[u8], rest: &[u8], is_text: bool) -> Scalar {
        let quote = usize::from(is_text);
        let left_at_start = self.tokens.left_at_start().min(piece.len());
        Scalar {
            start: piece.len() - left_at_start + quote,
            end: piece.len() - rest.len() - quote,
            is_text,
        }
    }

    /// Enters an object or array, which the tokens have opened.
    fn open(&mut self, member: Member, is_array: bool, root: Place) -> Value<'static> {
        let is_outermost = !is_array || self.tokens.depth() == 1;
        let place = if member == Member::Root && is_outermost {
            root
        } else {
            Place::of_value(member, is_array)
        };
        let index = usize::from(self.tokens.depth()) - 1;
        if let Some(open) = self.places.get_mut(index) {
            *open = (place, member);
        }
        if is_array {
            Value::Array
        } else {
            Value::Object
        }
    }

    /// Returns the member whose value the tokens have closed.
    fn closed(&self) -> Member {
        let closed = self.places.get(usize::from(self.tokens.depth()));
        closed.map_or(Member::Other, |(_, member)| *member)
    }
}

/// Returns the place at this depth, from 1. Anything deep in an error is a detail of it.
fn place_at(places: &[(Place, Member); MAX_PLACES], depth: u8) -> Place {
    let index = usize::from(depth).wrapping_sub(1);
    match places.get(index) {
        Some((place, _)) => *place,
        None if places[MAX_PLACES - 1].0 == Place::ErrorDetail => Place::ErrorDetail,
        None => Place::Other,
    }
}
