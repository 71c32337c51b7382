//! Reads JSON in pieces, cut anywhere, without keeping it.
//!
//! A parser of whole values would have to collect each value first: an event of a language model's stream can be as
//! large as the whole answer, and a client waits for its frames. This reader returns one token at a time, and keeps
//! only the text of a token that a piece's end has cut, or that has escapes. The caller limits that text.
//!
//! The grammar is that of RFC 8259, with these exceptions. Invalid UTF-8 is accepted in strings, and a lone surrogate is
//! read as U+FFFD. Numbers longer than [`MAX_NUMBER`] are not checked. Values nested deeper than [`MAX_DEPTH`] are
//! malformed. Pure.

mod literal;
pub(crate) mod number;
mod string;
mod text;

use literal::Literal;
use string::StringState;
use text::next_visible;
pub(crate) use text::{find_special, is_white};

/// The limit on nested objects and arrays.
pub(crate) const MAX_DEPTH: u8 = 127;

/// The limit, in bytes, on the text of a key. A longer key is truncated to one byte more.
const MAX_KEY: usize = 40;

/// The limit, in bytes, on the text of a number. A longer number is not read.
const MAX_NUMBER: usize = 40;

/// A token of a JSON text. Texts are without quotes and escapes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Token<'a> {
    /// The key of a member of an object.
    Key(&'a [u8]),
    /// A string, truncated to the caller's limit.
    String(&'a [u8]),
    /// A number, or empty text if it is too long.
    Number(&'a [u8]),
    True,
    False,
    Null,
    OpenObject,
    OpenArray,
    /// The end of the innermost object or array.
    Close,
}

/// What has to follow.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum State {
    #[default]
    Value,
    ValueOrEnd,
    Key,
    KeyOrEnd,
    Colon,
    CommaOrEnd,
    /// Inside the string of a key.
    KeyText,
    /// Inside the string of a value.
    ValueText,
    Number,
    /// Inside `true`, `false` or `null`.
    Literal,
    /// White space.
    End,
    Malformed,
}

impl State {
    fn after_value(depth: u8) -> Self {
        if depth == 0 {
            Self::End
        } else {
            Self::CommaOrEnd
        }
    }
}

/// Reads one JSON text.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    state: State,
    string: StringState,
    /// The text of a string or number that is not in one piece, or has escapes.
    text: Vec<u8>,
    /// A bit for each open object or array: 1 for an object.
    kinds: u128,
    depth: u8,
    /// The literal that is being read, and how many bytes of it were read.
    literal: Literal,
    matched: u8,
    /// How many bytes of the piece were left where the last string or number began.
    left_at_start: usize,
}

impl Tokens {
    /// Starts a new text. Keeps the allocation.
    pub(crate) fn reset(&mut self) {
        self.state = State::Value;
        self.string = StringState::default();
        self.text.clear();
        self.depth = 0;
    }

    /// Whether the text is one whole value.
    pub(crate) fn is_complete(&self) -> bool {
        self.state == State::End
    }

    pub(crate) fn is_malformed(&self) -> bool {
        self.state == State::Malformed
    }

    /// The number of open objects and arrays.
    pub(crate) fn depth(&self) -> u8 {
        self.depth
    }

    /// Whether the innermost of them is an array.
    pub(crate) fn is_in_array(&self) -> bool {
        self.depth > 0 && self.kinds & 1 == 0
    }

    /// Returns how many bytes of the piece were left where the last string or number began, from its first byte.
    pub(crate) fn left_at_start(&self) -> usize {
        self.left_at_start
    }

    /// Returns the next token, and advances `rest`. Returns `None` if the piece is read, or the text is malformed.
    ///
    /// At most `limit` bytes of a string are returned.
    pub(crate) fn next<'t, 'p: 't>(
        &'t mut self,
        rest: &mut &'p [u8],
        limit: usize,
    ) -> Option<Token<'t>> {
        loop {
            match self.state {
                State::KeyText | State::ValueText => return self.read_text(rest, limit),
                State::Number => return self.read_number(rest),
                State::Literal => return self.read_literal(rest),
                State::Malformed => {
                    *rest = &[];
                    return None;
                }
                State::Value
                | State::ValueOrEnd
                | State::Key
                | State::KeyOrEnd
                | State::Colon
                | State::CommaOrEnd
                | State::End => {
                    let byte = next_visible(rest)?;
                    if let Some(token) = self.read_structure(byte, rest) {
                        return Some(token);
                    }
                }
            }
        }
    }

    /// Reads a byte outside strings, numbers and literals. Returns a token if the byte is one.
    fn read_structure(&mut self, byte: u8, rest: &mut &[u8]) -> Option<Token<'static>> {
        let is_object = self.depth > 0 && self.kinds & 1 == 1;
        let left = rest.len();
        if !(byte == b'-' || byte.is_ascii_digit()) {
            *rest = &rest[1..];
        }
        match (self.state, byte) {
            (State::Value | State::ValueOrEnd, _) if self.begin_value(byte, left) => match byte {
                b'{' => return Some(Token::OpenObject),
                b'[' => return Some(Token::OpenArray),
                _ => {}
            },
            (State::Key | State::KeyOrEnd, b'"') => {
                self.text.clear();
                self.state = State::KeyText;
            }
            (State::Colon, b':') => self.state = State::Value,
            (State::CommaOrEnd, b',') => {
                self.state = if is_object { State::Key } else { State::Value };
            }
            (State::KeyOrEnd | State::CommaOrEnd, b'}') if is_object => return Some(self.close()),
            (State::ValueOrEnd | State::CommaOrEnd, b']') if !is_object => {
                return Some(self.close());
            }
            _ => self.state = State::Malformed,
        }
        None
    }

    /// Starts a value with this first byte. Returns whether it can be one.
    fn begin_value(&mut self, byte: u8, left: usize) -> bool {
        self.state = match byte {
            b'"' => State::ValueText,
            b'{' | b'[' if self.depth < MAX_DEPTH => {
                self.depth += 1;
                self.kinds = self.kinds << 1 | u128::from(byte == b'{');
                if byte == b'{' {
                    State::KeyOrEnd
                } else {
                    State::ValueOrEnd
                }
            }
            b't' | b'f' | b'n' => {
                self.literal = match byte {
                    b't' => Literal::True,
                    b'f' => Literal::False,
                    _ => Literal::Null,
                };
                self.matched = 1;
                State::Literal
            }
            b'-' | b'0'..=b'9' => State::Number,
            _ => return false,
        };
        self.text.clear();
        self.left_at_start = left;
        true
    }

    fn close(&mut self) -> Token<'static> {
        self.depth -= 1;
        self.kinds >>= 1;
        self.end_value();
        Token::Close
    }

    fn end_value(&mut self) {
        self.state = State::after_value(self.depth);
    }

    fn read_text<'t, 'p: 't>(&'t mut self, rest: &mut &'p [u8], limit: usize) -> Option<Token<'t>> {
        let is_key = self.state == State::KeyText;
        let limit = if is_key { MAX_KEY + 1 } else { limit };
        let read = self.string.read(rest, &mut self.text, limit);
        match read {
            string::Read::More => None,
            string::Read::Malformed => {
                self.state = State::Malformed;
                None
            }
            string::Read::Whole(in_place) => {
                if is_key {
                    self.state = State::Colon;
                } else {
                    self.end_value();
                }
                let text = match in_place {
                    Some(text) => text,
                    None => &self.text,
                };
                Some(if is_key {
                    Token::Key(text)
                } else {
                    Token::String(text)
                })
            }
        }
    }

    /// Reads a number up to the byte behind it. A number at the end of the outermost text never ends, which does no
    /// harm: such a text has no member.
    fn read_number<'t, 'p: 't>(&'t mut self, rest: &mut &'p [u8]) -> Option<Token<'t>> {
        let length = rest.iter().position(|byte| !number::is_part(*byte));
        let (digits, tail) = rest.split_at(length.unwrap_or(rest.len()));
        *rest = tail;
        if length.is_none() {
            self.keep_digits(digits);
            return None;
        }
        let digits = if self.text.is_empty() {
            digits
        } else {
            self.keep_digits(digits);
            &self.text
        };
        let is_too_long = digits.len() > MAX_NUMBER;
        if !is_too_long && !number::is_valid(digits) {
            self.state = State::Malformed;
            return None;
        }
        self.state = State::after_value(self.depth);
        Some(Token::Number(if is_too_long { &[] } else { digits }))
    }

    fn keep_digits(&mut self, digits: &[u8]) {
        let room = (MAX_NUMBER + 1).saturating_sub(self.text.len());
        self.text
            .extend_from_slice(&digits[..room.min(digits.len())]);
    }

    fn read_literal(&mut self, rest: &mut &[u8]) -> Option<Token<'static>> {
        let missing = &self.literal.word()[usize::from(self.matched)..];
        let length = missing.len().min(rest.len());
        let (part, tail) = rest.split_at(length);
        if part != &missing[..length] {
            self.state = State::Malformed;
            return None;
        }
        *rest = tail;
        if length < missing.len() {
            self.matched += u8::try_from(length).unwrap_or(0);
            return None;
        }
        self.end_value();
        Some(match self.literal {
            Literal::True => Token::True,
            Literal::False => Token::False,
            Literal::Null => Token::Null,
        })
    }
}

#[cfg(test)]
mod tests;
