//! Decodes base64 one character at a time.

/// The beginning of a group of four characters, which encode up to three bytes.
#[derive(Debug, Default)]
pub(super) struct Group {
    bits: u32,
    characters: usize,
    /// The number of characters that are padding.
    padding: usize,
}

/// A character is not base64, or misplaced padding.
#[derive(Debug)]
pub(super) struct NotBase64;

impl Group {
    /// Adds a character. If that completes the group, returns its three bytes, and how many at the end
    /// are padding.
    pub(super) fn push(&mut self, character: u8) -> Result<Option<([u8; 3], usize)>, NotBase64> {
        let bits = match character {
            b'=' if self.characters >= 2 => {
                self.padding += 1;
                0
            }
            _ if self.padding > 0 => return Err(NotBase64),
            b'A'..=b'Z' => character - b'A',
            b'a'..=b'z' => character - b'a' + 26,
            b'0'..=b'9' => character - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return Err(NotBase64),
        };
        self.bits = self.bits << 6 | u32::from(bits);
        self.characters += 1;
        if self.characters < 4 {
            return Ok(None);
        }
        let Self { bits, padding, .. } = std::mem::take(self);
        let [_, bytes @ ..] = bits.to_be_bytes();
        Ok(Some((bytes, padding)))
    }
}
