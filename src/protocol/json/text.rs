//! Searches a text: for the end of a plain text in a string, and for the end of white space.

use memchr::memchr2;

/// How many bytes are searched without vector instructions, whose search has a cost of its own. Most keys and tokens
/// are shorter.
const SHORT: usize = 32;

const ONES: u64 = u64::from_le_bytes([1; 8]);
const HIGHEST: u64 = ONES << 7;

/// Returns the index of the first quote, backslash or control character.
pub(crate) fn find_special(text: &[u8]) -> Option<usize> {
    let (short, long) = text.split_at(text.len().min(SHORT));
    let (words, tail) = short.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let found = special_bits(u64::from_le_bytes(*word));
        if found != 0 {
            return Some(index * 8 + found.trailing_zeros() as usize / 8);
        }
    }
    if long.is_empty() {
        let at = tail.iter().position(|byte| is_special(*byte))?;
        return Some(words.len() * 8 + at);
    }
    let end = memchr2(b'"', b'\\', long);
    let plain = &long[..end.unwrap_or(long.len())];
    // A minimum has no early exit, so that the compiler uses vector instructions.
    let least = plain.iter().fold(u8::MAX, |least, byte| least.min(*byte));
    let at = if least < b' ' {
        plain.iter().position(|byte| *byte < b' ')
    } else {
        end
    };
    Some(SHORT + at?)
}

fn is_special(byte: u8) -> bool {
    byte < b' ' || byte == b'"' || byte == b'\\'
}

/// Returns the highest bit of each byte that is special, exactly up to the first of them.
///
/// Subtracting a limit sets it in a byte that is lower, and in no byte before the first such one.
fn special_bits(word: u64) -> u64 {
    let quotes = word ^ (ONES * u64::from(b'"'));
    let backslashes = word ^ (ONES * u64::from(b'\\'));
    let found = (word.wrapping_sub(ONES * u64::from(b' ')) & !word)
        | (quotes.wrapping_sub(ONES) & !quotes)
        | (backslashes.wrapping_sub(ONES) & !backslashes);
    found & HIGHEST
}

/// Whether a byte is white space of JSON.
pub(crate) fn is_white(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// Skips white space, and returns the byte behind it.
pub(super) fn next_visible(rest: &mut &[u8]) -> Option<u8> {
    loop {
        let byte = *rest.first()?;
        if !is_white(byte) {
            return Some(byte);
        }
        *rest = &rest[1..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_special_byte_is_found_wherever_it_is() {
        for length in 0..100 {
            let plain = vec![0xc3; length];
            assert_eq!(find_special(&plain), None, "{length}");
            for at in 0..length {
                for special in [0, b'\n', 0x1f, b'"', b'\\'] {
                    let mut text = plain.clone();
                    text[at] = special;
                    text[length - 1] = b'"';
                    text[0] = if at == 0 { special } else { b'!' };
                    let expected = text.iter().position(|byte| is_special(*byte));
                    assert_eq!(find_special(&text), expected, "{text:?}");
                }
            }
        }
        for byte in 0..=u8::MAX {
            let expected = is_special(byte).then_some(3);
            let text = [b' ', 0xff, b'#', byte, b']', b'[', 0x7f, 0x80];
            assert_eq!(find_special(&text), expected, "{byte}");
        }
    }
}
