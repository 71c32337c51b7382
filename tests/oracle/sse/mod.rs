//! The terminator and the first error of an event stream, read from the whole stream.

pub mod json;

use json::Message;

/// How much of a line is read, in bytes.
const MAX_LINE: usize = 1_025;

/// What was found in an event stream.
#[derive(Debug, Default)]
pub struct Events {
    /// The message of the first error event, if it precedes the terminator.
    pub error: Option<Message>,
    /// The number of bytes up to the end of the terminator's line.
    pub terminator: Option<usize>,
}

/// Reads a stream. If it `is_over`, its end ends the last line and the last event.
pub fn read_lines(stream: &[u8], is_over: bool, terminator: Option<&str>) -> Events {
    let mut found = Events::default();
    let (mut has_data, mut event_type) = (false, Vec::new());
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
                if event_type == b"error" {
                    found.error.get_or_insert(Message::Is(None));
                }
                (has_data, event_type) = (false, Vec::new());
            }
            b"event" => event_type = value.to_vec(),
            b"data" if !has_data => {
                has_data = true;
                if event_type == b"error" || json::is_error(value) {
                    found.error.get_or_insert_with(|| json::message(value));
                }
                if terminator.is_some_and(|terminator| value == terminator.as_bytes()) {
                    found.terminator = Some(end);
                    return found;
                }
            }
            _ => {}
        }
    }
    if is_over && event_type == b"error" {
        found.error.get_or_insert(Message::Is(None));
    }
    found
}

/// Returns the lines of a stream, each with the number of bytes up to its end: LF, CR or CRLF.
fn lines(stream: &[u8], is_over: bool) -> impl Iterator<Item = (&[u8], usize)> {
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
                return Some((&stream[start..at - 1], at));
            }
        }
        (is_over && start < at).then_some((&stream[start..], at))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_the_event_stream_format_defines() {
        for (text, is_over, error, is_terminated) in [
            ("data: [DONE]", false, None, false),
            ("data: [DONE]", true, None, true),
            ("data: [DONE]\r", false, None, true),
            ("\u{feff}data: [DONE]\n", false, None, true),
            ("data: a\ndata: [DONE]\n", false, None, false),
            ("data: a\r\n\r\ndata: [DONE]\n", false, None, true),
            ("event: error\ndata: a\n", false, Some("a"), false),
            ("event: error\n", false, None, false),
            ("event: error\n", true, Some(""), false),
            ("data: {\"error\":null}\n", false, None, false),
            ("data: { \"error\" : \"no\" }\n", false, Some("no"), false),
            (
                "data: {\"error\":{\"message\":\"out",
                true,
                Some("out"),
                false,
            ),
            ("data: {\"error\":nul", true, Some(""), false),
            ("", true, None, false),
        ] {
            let found = read_lines(text.as_bytes(), is_over, Some("[DONE]"));
            let error = error.map(|error| {
                let error = Some(error.to_owned());
                Message::Is(error.filter(|error| !error.is_empty()))
            });
            assert_eq!(found.error, error, "{text:?}");
            assert_eq!(found.terminator.is_some(), is_terminated, "{text:?}");
        }
    }
}
