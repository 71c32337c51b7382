//! Text of bounded length, from untrusted sources: requests, errors, handlers.
//!
//! Imports only `catch_panic` from the crate.

use std::borrow::Cow;
use std::fmt::{self, Display, Write};

use http::HeaderValue;

use crate::catch_panic::PanicReport;

/// The maximum length, in bytes, of a string from a request, an error or a handler's message.
pub(crate) const MAX_BYTES: usize = 1_024;

/// Formats `value`, truncated to [`MAX_BYTES`]. Returns `None` if the text is empty or `value`
/// panics, which is reported.
///
/// Formatting stops at the limit, so an error that prints a whole document costs no more than its
/// beginning.
pub(crate) fn format_bounded(value: &dyn Display, panics: &PanicReport) -> Option<String> {
    let text = panics.catch(|| {
        let mut out = Bounded(String::new());
        // `write!` fails at the limit, or if `value` fails. Either way the text so far is kept.
        let _ = write!(out, "{value}");
        out.0
    });
    text.filter(|text| !text.is_empty())
}

/// Truncates `text` to [`MAX_BYTES`], at a character boundary.
pub(crate) fn truncate(text: &str) -> &str {
    truncate_to(text, MAX_BYTES)
}

/// Truncates `text` to so many bytes, at a character boundary.
pub(crate) fn truncate_to(text: &str, bytes: usize) -> &str {
    &text[..floor_boundary(text, bytes)]
}

/// Truncates borrowed or owned text as [`truncate`] does. Does not allocate.
pub(crate) fn truncate_cow(text: Cow<'static, str>) -> Cow<'static, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(truncate(text)),
        Cow::Owned(mut text) => {
            text.truncate(floor_boundary(&text, MAX_BYTES));
            Cow::Owned(text)
        }
    }
}

/// Decodes untrusted bytes as UTF-8, replaces invalid sequences, and truncates to [`MAX_BYTES`].
pub(crate) fn truncate_lossy(bytes: &[u8]) -> String {
    // Nearly all values are valid UTF-8, and validation is cheaper than lossy decoding.
    match std::str::from_utf8(bytes) {
        Ok(text) => truncate(text).to_owned(),
        Err(_) => truncate(&String::from_utf8_lossy(bytes)).to_owned(),
    }
}

/// Decodes the value of a header as [`truncate_lossy`] does.
pub(crate) fn header_text(value: &HeaderValue) -> String {
    // For a short value, the check for visible ASCII is cheaper than that for UTF-8.
    if value.len() < 32
        && let Ok(text) = value.to_str()
    {
        return text.to_owned();
    }
    truncate_lossy(value.as_bytes())
}

/// Returns the last character boundary of `text` at or before `limit` bytes.
fn floor_boundary(text: &str, limit: usize) -> usize {
    if text.len() <= limit {
        return text.len();
    }
    (0..=limit)
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0)
}

/// A writer that stops at [`MAX_BYTES`].
struct Bounded(String);

impl Write for Bounded {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        let room = MAX_BYTES - self.0.len();
        let fits = floor_boundary(more, room);
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

    static PANICS: PanicReport = PanicReport::new("test");

    #[test]
    fn formatting_stops_at_the_limit_at_a_character_boundary() {
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
        let cut = format_bounded(&Endless(&written), &PANICS).expect("text");
        assert!(cut.len() <= MAX_BYTES && cut.len() > MAX_BYTES - 2);
        assert!(cut.starts_with("äöüäöü"));
        assert!(written.get() < MAX_BYTES);
    }

    #[test]
    fn empty_or_panicking_value_formats_to_no_text() {
        struct Panics;
        impl Display for Panics {
            fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
                panic!("no text");
            }
        }
        assert_eq!(format_bounded(&"", &PANICS), None);
        assert_eq!(format_bounded(&Panics, &PANICS), None);
        assert_eq!(format_bounded(&"boom", &PANICS).as_deref(), Some("boom"));
    }

    #[test]
    fn invalid_utf_8_is_replaced_and_long_bytes_are_truncated() {
        assert_eq!(truncate_lossy("ä".as_bytes()), "ä");
        assert_eq!(truncate_lossy(b"a\xffb"), "a\u{fffd}b");
        for long in [vec![b'a'; MAX_BYTES + 1], vec![0xff; MAX_BYTES]] {
            let cut = truncate_lossy(&long);
            assert!(cut.len() <= MAX_BYTES && cut.len() > MAX_BYTES - 3);
        }
    }

    #[test]
    fn a_header_is_decoded_alike_whatever_its_length() {
        for piece in [&b"curl/8"[..], "ä".as_bytes(), b"\xff", b"\t", b""] {
            for times in [1, 3, 31, 32, 33, 600] {
                let bytes = piece.repeat(times);
                let value = HeaderValue::from_bytes(&bytes).expect("a value");
                assert_eq!(header_text(&value), truncate_lossy(&bytes));
            }
        }
    }
}
