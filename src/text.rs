//! Text of bounded length, from strangers.

use std::borrow::Cow;
use std::fmt::{self, Display, Write};

use crate::catch_panic::catch_panic;
use crate::semconv::MAX_STRING;

/// `value` as text of at most [`MAX_STRING`] bytes; `None` if that is empty or `value` panics.
///
/// Formatting stops at the limit, so that an error which prints a whole document costs no more
/// than its beginning.
pub(crate) fn text(value: &dyn Display) -> Option<String> {
    catch_panic(|| {
        let mut out = Bounded(String::new());
        // Either failure, the limit's or the value's own, leaves what was written before it.
        let _ = write!(out, "{value}");
        out.0
    })
    .filter(|text| !text.is_empty())
}

/// `text` up to [`MAX_STRING`] bytes, cut between characters.
pub(crate) fn cut(text: &str) -> &str {
    &text[..boundary(text, MAX_STRING)]
}

/// The same of text that may be owned.
pub(crate) fn cut_cow(text: Cow<'static, str>) -> Cow<'static, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(cut(text)),
        Cow::Owned(mut text) => {
            text.truncate(boundary(&text, MAX_STRING));
            Cow::Owned(text)
        }
    }
}

/// Bytes from a stranger as text of at most [`MAX_STRING`] bytes; what is no UTF-8 is replaced.
pub(crate) fn cut_lossy(bytes: &[u8]) -> String {
    // Nearly all are UTF-8, and to check the whole is cheaper than to decode it.
    match std::str::from_utf8(bytes) {
        Ok(text) => cut(text).to_owned(),
        Err(_) => cut(&String::from_utf8_lossy(bytes)).to_owned(),
    }
}

/// The byte that two hexadecimal digits stand for.
pub(crate) fn hex([high, low]: [u8; 2]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

/// The last boundary between characters of `text` that is not beyond `limit` bytes.
fn boundary(text: &str, limit: usize) -> usize {
    if text.len() <= limit {
        return text.len();
    }
    (0..=limit)
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0)
}

/// A string that takes no more than [`MAX_STRING`] bytes.
struct Bounded(String);

impl Write for Bounded {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        let room = MAX_STRING - self.0.len();
        let fits = boundary(more, room);
        self.0.push_str(&more[..fits]);
        if fits == more.len() {
            Ok(())
        } else {
            Err(fmt::Error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stops_at_the_limit_between_characters() {
        struct Endless<'a>(&'a std::cell::Cell<usize>);
        impl Display for Endless<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                loop {
                    self.0.set(self.0.get() + 1);
                    f.write_str("äöü")?;
                }
            }
        }
        let written = std::cell::Cell::new(0);
        let cut = text(&Endless(&written)).expect("text");
        assert!(cut.len() <= MAX_STRING && cut.len() > MAX_STRING - 2);
        assert!(cut.starts_with("äöüäöü"));
        assert!(written.get() < MAX_STRING);
    }

    #[test]
    fn text_that_is_empty_or_panics_is_none() {
        struct Panics;
        impl Display for Panics {
            fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
                panic!("no text");
            }
        }
        assert_eq!(text(&""), None);
        assert_eq!(text(&Panics), None);
        assert_eq!(text(&"boom").as_deref(), Some("boom"));
    }

    #[test]
    fn bytes_are_text_and_what_is_no_utf_8_is_replaced() {
        assert_eq!(cut_lossy("ä".as_bytes()), "ä");
        assert_eq!(cut_lossy(b"a\xffb"), "a\u{fffd}b");
        for long in [vec![b'a'; MAX_STRING + 1], vec![0xff; MAX_STRING]] {
            let cut = cut_lossy(&long);
            assert!(cut.len() <= MAX_STRING && cut.len() > MAX_STRING - 3);
        }
    }
}
