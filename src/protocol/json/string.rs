//! The strings of JSON (RFC 8259, section 7), read in pieces.

use super::text::find_special;

/// The result of reading a piece of a string.
pub(super) enum Read<'a> {
    /// The string goes on in the next piece.
    More,
    /// The string has ended. `None` if its text was kept.
    Whole(Option<&'a [u8]>),
    Malformed,
}

/// Where in a string the last piece ended.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Escape {
    #[default]
    None,
    /// After a backslash.
    Begun,
    /// After `\u` and this many digits.
    Hex { digits: u8, value: u16 },
}

/// A string that is being read.
#[derive(Debug, Default)]
pub(super) struct StringState {
    escape: Escape,
    /// The first half of a surrogate pair.
    high: Option<u16>,
    /// Whether a part of the string was kept.
    is_kept: bool,
}

impl StringState {
    /// Reads up to the closing quote. Keeps at most `limit` bytes in `text`, unless the string is in one piece and
    /// has no escapes.
    pub(super) fn read<'a>(
        &mut self,
        rest: &mut &'a [u8],
        text: &mut Vec<u8>,
        limit: usize,
    ) -> Read<'a> {
        loop {
            if self.escape != Escape::None {
                let Some((byte, tail)) = rest.split_first() else {
                    return Read::More;
                };
                *rest = tail;
                if !self.read_escape(*byte, text, limit) {
                    return Read::Malformed;
                }
                continue;
            }
            let end = find_special(rest);
            let (plain, tail) = rest.split_at(end.unwrap_or(rest.len()));
            let is_end = match tail.first() {
                Some(b'"') => true,
                Some(b'\\') | None => false,
                // A control character.
                Some(_) => return Read::Malformed,
            };
            if is_end && !self.is_kept {
                *rest = &tail[1..];
                return Read::Whole(Some(&plain[..plain.len().min(limit)]));
            }
            self.keep(plain, text, limit);
            *rest = tail.get(1..).unwrap_or_default();
            if is_end {
                self.end_pair(text, limit);
                self.is_kept = false;
                return Read::Whole(None);
            }
            if end.is_none() {
                return Read::More;
            }
            self.escape = Escape::Begun;
        }
    }

    /// Reads a byte of an escape. Returns whether it can be one.
    fn read_escape(&mut self, byte: u8, text: &mut Vec<u8>, limit: usize) -> bool {
        match self.escape {
            Escape::None => return true,
            Escape::Begun => {
                self.escape = Escape::None;
                let char = match byte {
                    b'u' => {
                        self.escape = Escape::Hex {
                            digits: 0,
                            value: 0,
                        };
                        return true;
                    }
                    b'"' | b'\\' | b'/' => byte,
                    b'b' => 0x08,
                    b'f' => 0x0c,
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    _ => return false,
                };
                self.keep(&[char], text, limit);
            }
            Escape::Hex { digits, value } => {
                let Some(digit) = char::from(byte).to_digit(16) else {
                    return false;
                };
                // A digit has 4 bits.
                let value = value << 4 | u16::try_from(digit).unwrap_or(0);
                self.escape = if digits < 3 {
                    Escape::Hex {
                        digits: digits + 1,
                        value,
                    }
                } else {
                    self.keep_unit(value, text, limit);
                    Escape::None
                };
            }
        }
        true
    }

    /// Keeps a character of one or two UTF-16 units.
    fn keep_unit(&mut self, unit: u16, text: &mut Vec<u8>, limit: usize) {
        let is_high = matches!(unit, 0xd800..=0xdbff);
        if is_high {
            self.end_pair(text, limit);
            self.is_kept = true;
            self.high = Some(unit);
            return;
        }
        let units = [self.high.take(), Some(unit)];
        let units = units.into_iter().flatten();
        for char in char::decode_utf16(units) {
            let char = char.unwrap_or(char::REPLACEMENT_CHARACTER);
            self.keep(char.encode_utf8(&mut [0; 4]).as_bytes(), text, limit);
        }
    }

    /// Keeps a lone first half of a surrogate pair.
    fn end_pair(&mut self, text: &mut Vec<u8>, limit: usize) {
        if self.high.take().is_some() {
            push(text, "\u{fffd}".as_bytes(), limit);
        }
    }

    fn keep(&mut self, bytes: &[u8], text: &mut Vec<u8>, limit: usize) {
        if !bytes.is_empty() {
            self.end_pair(text, limit);
        }
        self.is_kept = true;
        push(text, bytes, limit);
    }
}

fn push(text: &mut Vec<u8>, bytes: &[u8], limit: usize) {
    let room = limit.saturating_sub(text.len());
    text.extend_from_slice(&bytes[..room.min(bytes.len())]);
}
