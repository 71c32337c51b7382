//! An event stream read a second time: whole, line by line.

use super::json::{self, Message};

/// How much of a line is looked at.
const MAX_LINE: usize = 1_025;

/// What is in a stream.
#[derive(Debug, Default)]
pub struct Found {
    /// The first error event, if it is not behind the terminator.
    pub error: Option<Error>,
    pub terminator: Option<End>,
}

#[derive(Debug)]
pub struct Error {
    pub message: Message,
}

impl Error {
    fn silent() -> Self {
        Self {
            message: Message::Is(None),
        }
    }
}

/// Where the terminator is complete.
#[derive(Clone, Copy, Debug)]
pub struct End {
    /// After so many bytes.
    pub bytes: usize,
    /// Only the end of the stream has ended its line.
    pub is_by_end: bool,
}

/// Reads a stream, whose end ends its last line if it `is_over`.
pub fn read_lines(stream: &[u8], is_over: bool, terminator: Option<&str>) -> Found {
    let mut found = Found::default();
    let (mut data, mut type_of_event) = (None::<Vec<u8>>, Vec::new());
    for (index, (line, end)) in lines(stream, is_over).enumerate() {
        let line = &line[..line.len().min(MAX_LINE)];
        let line = match index {
            0 => line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line),
            _ => line,
        };
        let (name, value) = match line.iter().position(|byte| *byte == b':') {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &[][..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"" if line.is_empty() => {
                if type_of_event == b"error" && found.error.is_none() {
                    found.error = Some(Error::silent());
                }
                (data, type_of_event) = (None, Vec::new());
            }
            b"event" => type_of_event = value.to_vec(),
            b"data" if data.is_none() => {
                let is_error = type_of_event == b"error" || json::is_error(value);
                if is_error && found.error.is_none() {
                    found.error = Some(Error {
                        message: json::message(value),
                    });
                }
                if terminator.is_some_and(|terminator| value == terminator.as_bytes()) {
                    found.terminator = Some(end);
                    return found;
                }
                data = Some(value.to_vec());
            }
            _ => {}
        }
    }
    if is_over && type_of_event == b"error" && found.error.is_none() {
        found.error = Some(Error::silent());
    }
    found
}

/// The lines of a stream, each with where it ends: with LF, CR or CRLF.
fn lines(stream: &[u8], is_over: bool) -> impl Iterator<Item = (&[u8], End)> {
    let (mut at, mut after_cr) = (0, false);
    std::iter::from_fn(move || {
        if after_cr && stream.get(at) == Some(&b'\n') {
            at += 1;
        }
        after_cr = false;
        let start = at;
        while let Some(byte) = stream.get(at) {
            at += 1;
            if matches!(byte, b'\n' | b'\r') {
                after_cr = *byte == b'\r';
                let end = End {
                    bytes: at,
                    is_by_end: false,
                };
                return Some((&stream[start..at - 1], end));
            }
        }
        let end = End {
            bytes: at,
            is_by_end: true,
        };
        (is_over && start < at).then_some((&stream[start..], end))
    })
}
