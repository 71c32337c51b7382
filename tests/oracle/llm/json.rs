//! JSON, parsed by `serde_json`. It differs from the rules in four ways:
//!
//! - A lone surrogate in an escape is an error. Here it is replaced by U+FFFD before, as in a client that
//!   decodes leniently.
//! - More than 127 levels, or a number that is too large for a double, are errors: [`Datum::Unknown`].
//! - Numbers of more than 40 bytes are checked and read. By the rules they are neither: [`Datum::Unknown`].
//! - An exponent without a sign gets one, so that a number as a code is not what was sent: such a body is unknown.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};

use serde_json::Value;

pub(super) type Object = serde_json::Map<String, Value>;

/// A text that is parsed as JSON.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Datum {
    Object(Object),
    /// Another value, or malformed or incomplete.
    Other,
    /// A limit is reached.
    Unknown,
}

thread_local! {
    /// Texts that were parsed. An event is parsed in each of its states, and a body each time that it is read.
    static PARSED: RefCell<HashMap<String, Datum>> = RefCell::default();
}

/// Parses a text. Only white space can be around the value. The last of equal keys counts.
pub(super) fn parse(text: &str) -> Datum {
    PARSED.with_borrow_mut(|parsed| {
        if let Some(datum) = parsed.get(text) {
            return datum.clone();
        }
        if parsed.len() == 1_000 {
            parsed.clear();
        }
        let datum = parse_anew(text);
        parsed.insert(text.to_owned(), datum.clone());
        datum
    })
}

fn parse_anew(text: &str) -> Datum {
    if text.trim_ascii_start().starts_with('{') && has_long_number(text) {
        return Datum::Unknown;
    }
    match serde_json::from_str(&replace_lone_surrogates(text)) {
        Ok(Value::Object(object)) => Datum::Object(object),
        Ok(_) => Datum::Other,
        Err(error) => {
            let error = error.to_string();
            let limits = ["recursion limit exceeded", "number out of range"];
            if limits.iter().any(|limit| error.starts_with(limit)) {
                Datum::Unknown
            } else {
                Datum::Other
            }
        }
    }
}

/// Whether a text has what can be a number of more than 40 bytes.
fn has_long_number(text: &str) -> bool {
    let is_part = |byte: &u8| byte.is_ascii_digit() || b"-+.eE".contains(byte);
    let mut runs = text.as_bytes().split(|byte| !is_part(byte));
    runs.any(|run| run.len() > 40)
}

/// Whether a number in a body has an exponent without a sign. No text of JSON has a line end.
pub(super) fn has_unsigned_exponent(body: &[u8]) -> bool {
    body.split(|byte| b"\r\n".contains(byte)).any(|line| {
        let (mut is_text, mut is_escaped) = (false, false);
        line.windows(2).any(|pair| {
            is_text ^= pair[0] == b'"' && !is_escaped;
            is_escaped = pair[0] == b'\\' && !is_escaped;
            !is_text && matches!(pair[0], b'e' | b'E') && pair[1].is_ascii_digit()
        })
    })
}

/// Returns the text of the value that a text begins with, if it is whole.
pub(super) fn first_value(text: &str) -> Option<String> {
    let text = replace_lone_surrogates(text);
    let mut values = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
    let first = values.next()?;
    let length = values.byte_offset();
    first.is_ok().then(|| text[..length].to_owned())
}

/// Whether a text is the beginning of an object.
pub(super) fn is_cut(text: &str) -> bool {
    let parsed = serde_json::from_str::<Value>(&replace_lone_surrogates(text));
    text.trim_ascii_start().starts_with('{') && parsed.is_err_and(|error| error.is_eof())
}

/// Returns the elements of an array; `None` if the text is another value.
pub(super) fn elements(text: &str) -> Option<Vec<String>> {
    match serde_json::from_str(&replace_lone_surrogates(text)) {
        Ok(Value::Array(elements)) => Some(elements.iter().map(Value::to_string).collect()),
        _ => None,
    }
}

/// Returns the members of an object in their order, with their texts. The text must be valid.
pub(super) fn members(object: &str) -> Vec<(String, String)> {
    let object = replace_lone_surrogates(object);
    let members = split(&object).into_iter().map(|member| {
        let mut keys = serde_json::Deserializer::from_str(member).into_iter();
        let key = keys.next().expect("a key").expect("a text");
        let (_, value) = member.split_at(keys.byte_offset());
        let value = value.trim_ascii_start().strip_prefix(':');
        (key, value.expect("a colon").trim_ascii().to_owned())
    });
    members.collect()
}

/// Whether an object in a valid text has equal keys whose meaning is open. Of those in `last_counts`, in the outermost
/// object, the last one counts.
pub(super) fn has_equal_keys(text: &str, last_counts: &[&str]) -> bool {
    // The keys of the open objects. A list has none.
    let mut open: Vec<BTreeSet<String>> = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(['"', '{', '[', '}', ']']) {
        let (found, after) = rest[at..].split_at(1);
        rest = after;
        match found {
            "{" | "[" => open.push(BTreeSet::new()),
            "}" | "]" => drop(open.pop()),
            _ => {
                let (inside, after) = rest.split_at(text_length(rest));
                rest = &after[1..];
                let is_key = rest.trim_ascii_start().starts_with(':');
                let is_outermost = open.len() == 1;
                let Some(keys) = open.last_mut().filter(|_| is_key) else {
                    continue;
                };
                let key = serde_json::from_str(&format!("\"{inside}\""));
                let key: String = key.unwrap_or_else(|_| inside.to_owned());
                let is_open = !(is_outermost && last_counts.contains(&&*key));
                if is_open && !keys.insert(key) {
                    return true;
                }
            }
        }
    }
    false
}

/// Returns the length of a text up to its closing quote.
fn text_length(text: &str) -> usize {
    let mut is_escaped = false;
    let end = text.bytes().position(|byte| {
        let is_end = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        is_end
    });
    end.expect("a closing quote")
}

/// Splits a valid object or array at its commas.
fn split(text: &str) -> Vec<&str> {
    let inside = text.trim_ascii();
    let inside = &inside[1..inside.len() - 1];
    let (mut parts, mut start, mut depth) = (Vec::new(), 0, 0);
    let (mut is_text, mut is_escaped) = (false, false);
    for (at, byte) in inside.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => is_text = !is_text,
            _ if is_text => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            b',' if depth == 0 => {
                parts.push(&inside[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&inside[start..]);
    parts.retain(|part| !part.trim_ascii().is_empty());
    parts
}

/// Replaces `\ud800` to `\udfff` outside of a pair by `\ufffd`.
fn replace_lone_surrogates(text: &str) -> String {
    let mut replaced = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        replaced.push_str(&rest[..at]);
        rest = &rest[at..];
        let (length, is_lone) = match (code_unit(rest), rest.get(6..).and_then(code_unit)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => (12, false),
            (Some(0xd800..=0xdfff), _) => (6, true),
            // The escaped character can be a backslash. It can have more than one byte.
            (_, _) => (1 + rest.chars().nth(1).map_or(0, char::len_utf8), false),
        };
        let (escape, after) = rest.split_at(length);
        replaced.push_str(if is_lone { "\\ufffd" } else { escape });
        rest = after;
    }
    replaced + rest
}

/// Returns the code unit of the escape that a text starts with.
fn code_unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex.then(|| u16::from_str_radix(digits, 16).expect("four digits"))
}

/// Returns a member that is an object.
pub(super) fn object<'a>(object: &'a Object, key: &str) -> Option<&'a Object> {
    object.get(key)?.as_object()
}

/// Returns the member of a member that is an object.
pub(super) fn nested<'a>(parent: &'a Object, key: &str, nested: &str) -> Option<&'a Value> {
    object(parent, key)?.get(nested)
}

/// Returns the elements that are objects of a member that is an array.
pub(super) fn objects<'a>(object: &'a Object, key: &str) -> Vec<&'a Object> {
    let elements = object.get(key).and_then(Value::as_array);
    let elements = elements.into_iter().flatten();
    elements.filter_map(Value::as_object).collect()
}

/// Returns a member that is a string and not empty.
pub(super) fn text<'a>(object: &'a Object, key: &str) -> Option<&'a str> {
    let text = object.get(key)?.as_str()?;
    (!text.is_empty()).then_some(text)
}

/// Returns a member that is an id, a model, a reason or a code: a string that is not empty, or a number.
pub(super) fn word(object: &Object, key: &str) -> Option<String> {
    match object.get(key)? {
        Value::String(text) => Some(text.clone()).filter(|text| !text.is_empty()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Returns a number of tokens: an integer from 0 to 2^53, perhaps with a fraction of 0.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "the value is an integer in this range"
)]
pub(super) fn count(value: &Value) -> Option<u64> {
    const LIMIT: u64 = 1 << 53;
    if let Some(count) = value.as_u64() {
        return Some(count).filter(|count| *count <= LIMIT);
    }
    let number = value.as_f64()?;
    let is_count = number.fract() == 0.0 && (0.0..=LIMIT as f64).contains(&number);
    is_count.then_some(number as u64)
}

/// Returns the length of the object that a text begins with, and where another object begins that follows it in a later
/// line. `None` if none follows.
pub(super) fn before_object(text: &str) -> Option<(usize, usize)> {
    let text = replace_lone_surrogates(text);
    let mut values = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
    let is_object = matches!(values.next(), Some(Ok(Value::Object(_))));
    let length = values.byte_offset();
    let rest = text.get(length..)?;
    let next = rest.trim_start_matches([' ', '\t', '\n', '\r']);
    let is_line_over = rest[..rest.len() - next.len()].contains('\n');
    let next_at = text.len() - next.len();
    (is_object && is_line_over && next.starts_with('{')).then_some((length, next_at))
}
