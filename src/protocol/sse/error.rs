//! Reads the beginning of an error event's data. This is not a complete JSON parser.

/// Whether `data` begins as a JSON object whose first key is `"error"`, with a value other than
/// `null`, `false` and `""`.
pub(super) fn has_error_as_first_key(data: &[u8]) -> bool {
    let value = strip_token(data, b"{").and_then(|key| strip_token(key, b"\"error\""));
    let value = value.and_then(|colon| strip_token(colon, b":"));
    value.is_some_and(|value| {
        let value = value.trim_ascii_start();
        !["null", "false", "\"\""]
            .iter()
            .any(|empty| value.starts_with(empty.as_bytes()))
    })
}

/// Returns the error message. In a JSON object it is the first `"message"`, else an `"error"` that is a string.
/// Otherwise it is the data itself. Returns `None` if the message is empty.
pub(super) fn read_message(data: &[u8]) -> Option<String> {
    let text = if data.trim_ascii_start().starts_with(b"{") {
        find_string(data, b"\"message\"").or_else(|| find_string(data, b"\"error\""))?
    } else {
        String::from_utf8_lossy(data).into_owned()
    };
    (!text.is_empty()).then_some(text)
}

/// Returns the data after `token`, if only white space precedes it.
fn strip_token<'a>(data: &'a [u8], token: &[u8]) -> Option<&'a [u8]> {
    data.trim_ascii_start().strip_prefix(token)
}

/// Returns the string value of the first key with this name. A name whose opening quote is escaped is within a
/// string, and not a key.
fn find_string(data: &[u8], key: &[u8]) -> Option<String> {
    let is_escaped = |at: &usize| *at > 0 && data[at - 1] == b'\\';
    memchr::memmem::find_iter(data, key)
        .filter(|at| !is_escaped(at))
        .find_map(|at| strip_token(&data[at + key.len()..], b":"))
        .and_then(|value| strip_token(value, b"\""))
        .map(unescape)
}

/// Decodes a JSON string after its opening quote, up to its closing quote or the end of the data.
fn unescape(escaped: &[u8]) -> String {
    // UTF-16, in which one character may be two `\u` escapes.
    let mut units: Vec<u16> = Vec::new();
    let text = String::from_utf8_lossy(escaped);
    let mut text = text.chars();
    while let Some(char) = text.next() {
        let char = match char {
            '"' => break,
            '\\' => match text.next() {
                Some('n') => '\n',
                Some('r') => '\r',
                Some('t') => '\t',
                Some('b') => '\u{8}',
                Some('f') => '\u{c}',
                Some('u') => {
                    let digits: String = text.by_ref().take(4).collect();
                    // An incomplete escape is the end of the data.
                    match u16::from_str_radix(&digits, 16) {
                        Ok(unit) if digits.len() == 4 => units.push(unit),
                        _ => break,
                    }
                    continue;
                }
                Some(other) => other,
                None => break,
            },
            other => other,
        };
        units.extend_from_slice(char.encode_utf16(&mut [0; 2]));
    }
    String::from_utf16_lossy(&units)
}
