//! Recognises an event that is like the one before.
//!
//! The events of a stream differ in the token's text, and perhaps in a number or a time. To read each of them whole
//! costs several instructions for every byte. So an event from which nothing was learnt is kept, with the places of
//! the values of which nothing was wanted. If the next event has the same bytes everywhere else, there is nothing to
//! learn from it either.

use memchr::memchr2;

use super::walker::Scalar;

/// The limit, in bytes, on an event that is kept.
pub(super) const MAX_BYTES: usize = 768;

/// The number of scalars of an event that may differ. If there are more, the others must be equal.
const MAX_SCALARS: usize = 12;

/// The scalars of an event of which nothing is wanted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Scalars {
    list: [Gap; MAX_SCALARS],
    count: u8,
}

/// A scalar in a kept event.
#[derive(Clone, Copy, Debug, Default)]
struct Gap {
    start: u16,
    end: u16,
    is_text: bool,
    /// Whether it has differed between events.
    varies: bool,
}

impl Scalars {
    /// Adds a scalar, if there is room and it is in the first [`MAX_BYTES`].
    pub(super) fn add(&mut self, scalar: Scalar) {
        let (Ok(start), Ok(end)) = (u16::try_from(scalar.start), u16::try_from(scalar.end)) else {
            return;
        };
        if let Some(gap) = self.list.get_mut(usize::from(self.count)) {
            *gap = Gap {
                start,
                end,
                is_text: scalar.is_text,
                varies: false,
            };
            self.count += 1;
        }
    }

    fn as_slice(&self) -> &[Gap] {
        &self.list[..usize::from(self.count)]
    }
}

/// An event from which nothing was learnt.
#[derive(Debug)]
pub(super) struct Shape {
    bytes: Vec<u8>,
    scalars: Scalars,
}

impl Shape {
    /// Keeps an event of at most [`MAX_BYTES`].
    pub(super) fn new(event: &[u8], scalars: Scalars) -> Self {
        Self {
            bytes: event.to_vec(),
            scalars,
        }
    }

    /// Replaces the event. Scalars that differ from the one before, or did earlier, may differ from now on.
    pub(super) fn replace(&mut self, event: &[u8], mut scalars: Scalars) {
        if scalars.count == self.scalars.count {
            let pairs = scalars.list.iter_mut().zip(self.scalars.as_slice());
            for (new, old) in pairs {
                new.varies = old.varies || new.of(event) != old.of(&self.bytes);
            }
        }
        self.bytes.clear();
        self.bytes.extend_from_slice(event);
        self.scalars = scalars;
    }

    /// Whether an event differs only in scalars that may.
    pub(super) fn matches(&self, event: &[u8]) -> bool {
        let (mut at, mut rest) = (0, event);
        for gap in self.scalars.as_slice().iter().filter(|gap| gap.varies) {
            let same = &self.bytes[at..usize::from(gap.start)];
            let Some(tail) = rest.strip_prefix(same) else {
                return false;
            };
            let length = if gap.is_text {
                text_length(tail)
            } else {
                number_length(tail)
            };
            let Some(length) = length else {
                return false;
            };
            rest = &tail[length..];
            at = usize::from(gap.end);
        }
        rest == &self.bytes[at..]
    }
}

impl Gap {
    fn of(self, event: &[u8]) -> &[u8] {
        &event[usize::from(self.start)..usize::from(self.end)]
    }
}

/// Returns the length of the text before a closing quote. `None` if it is no text, or has an escape of other than one
/// character.
fn text_length(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let plain = memchr2(b'"', b'\\', &text[at..])?;
        if text[at..at + plain].iter().any(|byte| *byte < b' ') {
            return None;
        }
        at += plain;
        if text[at] == b'"' {
            return Some(at);
        }
        let escaped = text.get(at + 1)?;
        if !matches!(
            escaped,
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't'
        ) {
            return None;
        }
        at += 2;
    }
}

/// Returns the length of an integer without a sign.
fn number_length(number: &[u8]) -> Option<usize> {
    let digits = number.iter().take_while(|byte| byte.is_ascii_digit());
    let length = digits.count();
    let is_integer = length == 1 || (length > 1 && number[0] != b'0');
    is_integer.then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keeps the events in turn. In each, `<..>` is a text and `#..#` a number of which nothing is wanted.
    fn keep(events: &[&str]) -> Shape {
        let mut shape: Option<Shape> = None;
        for event in events {
            let (mut bytes, mut scalars, mut start) = (Vec::new(), Scalars::default(), None);
            for byte in event.bytes() {
                match (byte, start) {
                    (b'<' | b'#', None) => start = Some(bytes.len()),
                    (b'>' | b'#', Some(start_at)) => {
                        scalars.add(Scalar {
                            start: start_at,
                            end: bytes.len(),
                            is_text: byte == b'>',
                        });
                        start = None;
                    }
                    _ => bytes.push(byte),
                }
            }
            match &mut shape {
                Some(shape) => shape.replace(&bytes, scalars),
                None => shape = Some(Shape::new(&bytes, scalars)),
            }
        }
        shape.expect("an event")
    }

    #[test]
    fn only_scalars_that_have_differed_may_differ() {
        let shape = keep(&[
            r#"{"id":"<a>","n":#1#,"t":"<x>"}"#,
            r#"{"id":"<a>","n":#2#,"t":"<y>"}"#,
        ]);
        for (event, expected) in [
            (r#"{"id":"a","n":2,"t":"y"}"#, true),
            (r#"{"id":"a","n":30,"t":""}"#, true),
            (r#"{"id":"a","n":0,"t":"say \"ä\" \\\n"}"#, true),
            (r#"{"id":"b","n":2,"t":"y"}"#, false),
            (r#"{"id":"a","n":02,"t":"y"}"#, false),
            (r#"{"id":"a","n":,"t":"y"}"#, false),
            (r#"{"id":"a","n":-2,"t":"y"}"#, false),
            (r#"{"id":"a","n":2.5,"t":"y"}"#, false),
            (r#"{"id":"a","n":2,"t":"\u0041"}"#, false),
            (r#"{"id":"a","n":2,"t":"\x"}"#, false),
            (r#"{"id":"a","n":2,"t":"y\"#, false),
            (r#"{"id":"a","n":2,"t":"y""#, false),
            ("{\"id\":\"a\",\"n\":2,\"t\":\"y\u{1}\"}", false),
            (r#"{"id":"a","n":2,"t":"y"} "#, false),
            (r#"{"id":"a","n":2,"t":"y","error":"z"}"#, false),
            (r#"{"id":"a","n":2,"t":"","error":"z"}"#, false),
            ("", false),
        ] {
            assert_eq!(shape.matches(event.as_bytes()), expected, "{event}");
        }
    }

    #[test]
    fn what_has_differed_once_may_differ_again() {
        let shape = keep(&["[<a>|<b>|", "[<a>|<c>|", "[<d>|<c>|"]);
        let shape_of_other = keep(&["[<a>|<b>|", "[<a>|", "[<d>|"]);
        let quoted = |event: &str| event.replace('|', "\"");
        let shape = Shape {
            bytes: quoted("[d|c|").into_bytes(),
            ..shape
        };
        assert!(shape.matches(quoted("[e|f|").as_bytes()));
        assert!(!shape.matches(quoted("(e|f|").as_bytes()));
        let shape = Shape {
            bytes: quoted("[d|").into_bytes(),
            ..shape_of_other
        };
        assert!(shape.matches(quoted("[e|").as_bytes()));
    }

    #[test]
    fn scalars_without_room_must_be_equal() {
        let event = |text: &str| "\"<a>\"".repeat(MAX_SCALARS) + &format!("\"<{text}>\"");
        let shape = keep(&[&event("b"), &event("c")]);
        let plain = |text: &str| event(text).replace(['<', '>'], "");
        assert!(shape.matches(plain("c").as_bytes()));
        assert!(!shape.matches(plain("d").as_bytes()));
    }
}
