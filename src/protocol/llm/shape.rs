//! Recognises an event that is like the one before.
//!
//! The events of a stream differ in the token's text, and perhaps in a number or a time. To read each of them whole
//! costs several instructions for every byte. So an event that says nothing if it is repeated is kept, with the places of
//! the values of which nothing was wanted. If the next event has the same bytes everywhere else, there is nothing to
//! learn from it either.

use super::walker::Scalar;
use crate::protocol::json::find_special;

/// The limit, in bytes, on an event that is kept.
pub(super) const MAX_BYTES: usize = 768;

/// The number of scalars of an event that may differ. If there are more, the others must be equal.
const MAX_SCALARS: usize = 12;

/// The scalars of an event of which nothing is wanted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Scalars {
    list: [Gap; MAX_SCALARS],
    count: u8,
    /// Where the line is in its event.
    line: usize,
}

/// A scalar in a kept event.
#[derive(Clone, Copy, Debug, Default)]
struct Gap {
    start: u16,
    end: u16,
    is_text: bool,
}

impl Scalars {
    /// Starts the list of a line that is at this place in its event.
    pub(super) fn at(line: usize) -> Self {
        Self {
            line,
            ..Self::default()
        }
    }

    /// Adds a scalar, if there is room.
    pub(super) fn add(&mut self, scalar: Scalar) {
        let place = |index: usize| u16::try_from(self.line + index);
        let (Ok(start), Ok(end)) = (place(scalar.start), place(scalar.end)) else {
            return;
        };
        if let Some(gap) = self.list.get_mut(usize::from(self.count)) {
            *gap = Gap {
                start,
                end,
                is_text: scalar.is_text,
            };
            self.count += 1;
        }
    }

    fn as_slice(&self) -> &[Gap] {
        &self.list[..usize::from(self.count)]
    }
}

/// An event that says nothing if it is repeated, from its first byte to its last line end.
#[derive(Debug)]
pub(super) struct Shape {
    bytes: Vec<u8>,
    scalars: Scalars,
    /// A bit for each scalar that has differed between events.
    varying: u16,
}

impl Shape {
    /// Keeps an event of at most [`MAX_BYTES`].
    pub(super) fn new(event: &[u8], scalars: Scalars) -> Self {
        Self {
            bytes: event.to_vec(),
            scalars,
            varying: 0,
        }
    }

    /// Replaces the event. Scalars that differ from the one before, or did earlier, may differ from now on.
    pub(super) fn replace(&mut self, event: &[u8], scalars: Scalars) {
        if scalars.count == self.scalars.count {
            let pairs = scalars.as_slice().iter().zip(self.scalars.as_slice());
            for (index, (new, old)) in pairs.enumerate() {
                let differs = new.of(event) != old.of(&self.bytes);
                self.varying |= u16::from(differs) << index;
            }
        } else {
            self.varying = 0;
        }
        self.bytes.clear();
        self.bytes.extend_from_slice(event);
        self.scalars = scalars;
    }

    /// Returns the length of the event that a text begins with, if it differs only in scalars that may.
    ///
    /// A scalar that is malformed may pass: then only the event's name counts, which says nothing. But no line end is in
    /// it.
    pub(super) fn match_start(&self, text: &[u8]) -> Option<usize> {
        let (mut at, mut rest, mut varying) = (0, text, self.varying);
        while varying != 0 {
            // The bits are those of the list.
            let gap = self.scalars.list[varying.trailing_zeros() as usize % MAX_SCALARS];
            varying &= varying - 1;
            rest = rest.strip_prefix(&self.bytes[at..usize::from(gap.start)])?;
            let length = if gap.is_text {
                text_length(rest)?
            } else {
                number_length(rest)
            };
            rest = &rest[length..];
            at = usize::from(gap.end);
        }
        rest = rest.strip_prefix(&self.bytes[at..])?;
        Some(text.len() - rest.len())
    }
}

impl Gap {
    fn of(self, event: &[u8]) -> &[u8] {
        &event[usize::from(self.start)..usize::from(self.end)]
    }
}

/// Returns the length of the text before a closing quote. `None` if there is none in this line.
fn text_length(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += find_special(&text[at..])?;
        match text[at] {
            b'"' => return Some(at),
            b'\\' if text.get(at + 1).is_some_and(|byte| *byte >= b' ') => at += 2,
            _ => return None,
        }
    }
}

fn number_length(number: &[u8]) -> usize {
    let digits = number.iter().take_while(|byte| byte.is_ascii_digit());
    digits.count()
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
        for (text, expected) in [
            (r#"{"id":"a","n":2,"t":"y"}"#, Some(24)),
            (r#"{"id":"a","n":30,"t":""}, and more"#, Some(24)),
            (r#"{"id":"a","n":0,"t":"say \"ä\" \\\n"}"#, Some(38)),
            (r#"{"id":"b","n":2,"t":"y"}"#, None),
            (r#"{"id":"a","n":-2,"t":"y"}"#, None),
            (r#"{"id":"a","n":2.5,"t":"y"}"#, None),
            (r#"{"id":"a","n":2,"t":"y\"#, None),
            (r#"{"id":"a","n":2,"t":"y\""#, None),
            (r#"{"id":"a","n":2,"t":"y""#, None),
            ("{\"id\":\"a\",\"n\":2,\"t\":\"y\n\"}", None),
            ("{\"id\":\"a\",\"n\":2,\"t\":\"y\r\"}", None),
            ("{\"id\":\"a\",\"n\":2,\"t\":\"y\\\n\"}", None),
            ("{\"id\":\"a\",\"n\":2,\"t\":\"y\\\r\"}", None),
            (r#"{"id":"a","n":2,"t":"y","error":"z"}"#, None),
            (r#"{"id":"a","n":2,"t":"","error":"z"}"#, None),
            ("", None),
        ] {
            assert_eq!(shape.match_start(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn what_has_differed_once_may_differ_again() {
        let kept = r#"["<a>","<b>"]"#;
        let shape = keep(&[kept, r#"["<a>","<c>"]"#, r#"["<d>","<c>"]"#]);
        assert!(shape.match_start(br#"["e","f"]"#).is_some());
        let shape = keep(&[kept, r#"["<d>","<c>"]"#, r#"["<d>"]"#]);
        assert!(shape.match_start(br#"["d"]"#).is_some());
        assert!(shape.match_start(br#"["e"]"#).is_none(), "another event");
    }

    #[test]
    fn scalars_without_room_must_be_equal() {
        let event = |text: &str| "\"<a>\"".repeat(MAX_SCALARS) + &format!("\"<{text}>\"");
        let shape = keep(&[&event("b"), &event("c")]);
        let plain = |text: &str| event(text).replace(['<', '>'], "");
        assert!(shape.match_start(plain("c").as_bytes()).is_some());
        assert!(shape.match_start(plain("d").as_bytes()).is_none());
    }
}
