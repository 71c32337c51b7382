//! The message of an error event, read by a parser of RFC 8259.

use super::super::truncate;

/// What the message of an error must be.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    Is(Option<String>),
    /// The data is malformed JSON, for which the rules leave the message open.
    Any,
}

impl Message {
    /// Limits the message to so many bytes.
    #[must_use]
    pub fn truncate(self, bytes: usize) -> Self {
        match self {
            Self::Is(message) => Self::Is(message.map(|message| truncate(message, bytes))),
            Self::Any => self,
        }
    }
}

/// Whether the data is an object whose first key is `"error"`, with a value other than `null`,
/// `false` and `""`.
///
/// The data can be truncated, so that no parser accepts it.
pub(super) fn is_error(data: &[u8]) -> bool {
    let mut rest = data.trim_ascii_start();
    for token in ["{", "\"error\"", ":"] {
        let Some(after) = rest.strip_prefix(token.as_bytes()) else {
            return false;
        };
        rest = after.trim_ascii_start();
    }
    match Object::parse(data) {
        Object::Complete(members) => !["null", "false", "\"\""].contains(&members[0].value),
        Object::Truncated(_) | Object::Malformed => !["null", "false", "\"\""]
            .iter()
            .any(|empty| rest.starts_with(empty.as_bytes())),
    }
}

/// Returns the first `"message"` or, if that is not a string, the first `"error"`; the data itself
/// if it is not an object.
pub(super) fn message(data: &[u8]) -> Message {
    if !data.trim_ascii_start().starts_with(b"{") {
        let text = String::from_utf8_lossy(data).into_owned();
        return Message::Is(Some(text).filter(|text| !text.is_empty()));
    }
    let (Object::Complete(members) | Object::Truncated(members)) = Object::parse(data) else {
        return Message::Any;
    };
    let first = |key| members.iter().find(|member| member.key == key);
    let strings = [first("\"message\""), first("\"error\"")];
    let Some(member) = strings.into_iter().flatten().find(|one| one.is_string()) else {
        return Message::Is(None);
    };
    match member.string() {
        Some(message) => Message::Is(Some(message).filter(|message| !message.is_empty())),
        None => Message::Any,
    }
}

/// A member of an object: its key and value as they are written.
struct Member<'a> {
    key: &'a str,
    value: &'a str,
    is_complete: bool,
}

impl Member<'_> {
    fn is_string(&self) -> bool {
        self.value.starts_with('"')
    }

    /// Returns the content of a string; `None` if it is truncated and has escapes.
    fn string(&self) -> Option<String> {
        let content = &self.value[1..];
        match content.strip_suffix('"') {
            Some(content) if self.is_complete => Some(unescape(content)),
            _ if content.contains('\\') => None,
            _ => Some(content.to_owned()),
        }
    }
}

/// A JSON object as its members and those of all objects within it, in order.
enum Object<'a> {
    Complete(Vec<Member<'a>>),
    /// The beginning of an object.
    Truncated(Vec<Member<'a>>),
    Malformed,
}

impl<'a> Object<'a> {
    fn parse(data: &'a [u8]) -> Self {
        let Ok(text) = std::str::from_utf8(data) else {
            return Self::Malformed;
        };
        let mut parser = Parser {
            text,
            at: 0,
            members: Vec::new(),
        };
        parser.space();
        let parsed = parser.object(0);
        if parsed.is_some() {
            parser.space();
        }
        match parsed {
            _ if parser.at < text.len() => Self::Malformed,
            Some(()) => Self::Complete(parser.members),
            None => Self::Truncated(parser.members),
        }
    }
}

/// A parser of RFC 8259. Its functions return `None` where the text is malformed or ends.
struct Parser<'a> {
    text: &'a str,
    at: usize,
    members: Vec<Member<'a>>,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn space(&mut self) {
        while self.peek().is_some_and(|byte| b" \t\r\n".contains(&byte)) {
            self.at += 1;
        }
    }

    fn value(&mut self, depth: usize) -> Option<()> {
        match self.peek()? {
            // The tests do not nest deeper.
            _ if depth > 64 => None,
            b'{' => self.object(depth),
            b'[' => self.list(depth),
            b'"' => self.string(),
            b'-' | b'0'..=b'9' => self.number(),
            _ => {
                let rest = &self.text[self.at..];
                let words = ["true", "false", "null"];
                if let Some(word) = words.iter().find(|word| rest.starts_with(**word)) {
                    self.at += word.len();
                    return Some(());
                }
                if words.iter().any(|word| word.starts_with(rest)) {
                    self.at = self.text.len();
                }
                None
            }
        }
    }

    fn object(&mut self, depth: usize) -> Option<()> {
        self.take(b'{')?;
        self.space();
        if self.take(b'}').is_some() {
            return Some(());
        }
        loop {
            let start = self.at;
            self.string()?;
            let key = &self.text[start..self.at];
            self.space();
            self.take(b':')?;
            self.space();
            let (start, place) = (self.at, self.members.len());
            self.members.push(Member {
                key,
                value: "",
                is_complete: false,
            });
            let parsed = self.value(depth + 1);
            let member = &mut self.members[place];
            member.value = &self.text[start..self.at];
            member.is_complete = parsed.is_some();
            parsed?;
            self.space();
            if self.take(b',').is_none() {
                return self.take(b'}');
            }
            self.space();
        }
    }

    fn list(&mut self, depth: usize) -> Option<()> {
        self.take(b'[')?;
        self.space();
        if self.take(b']').is_some() {
            return Some(());
        }
        loop {
            self.value(depth + 1)?;
            self.space();
            if self.take(b',').is_none() {
                return self.take(b']');
            }
            self.space();
        }
    }

    fn string(&mut self) -> Option<()> {
        self.take(b'"')?;
        loop {
            match self.peek()? {
                b'"' => return self.take(b'"'),
                ..b' ' => return None,
                b'\\' => {
                    let escape = *self.text.as_bytes().get(self.at + 1)?;
                    let length = if escape == b'u' { 6 } else { 2 };
                    let whole = self.text.as_bytes().get(self.at..self.at + length)?;
                    let is_escape = match escape {
                        b'u' => whole[2..].iter().all(u8::is_ascii_hexdigit),
                        _ => b"\"\\/bfnrt".contains(&escape),
                    };
                    if !is_escape {
                        return None;
                    }
                    self.at += length;
                }
                _ => self.at += 1,
            }
        }
    }

    fn number(&mut self) -> Option<()> {
        let _ = self.take(b'-');
        match self.digits()? {
            b"0" => {}
            [b'0', ..] => return None,
            _ => {}
        }
        if self.take(b'.').is_some() {
            self.digits()?;
        }
        if self.take(b'e').or_else(|| self.take(b'E')).is_some() {
            let _ = self.take(b'-').or_else(|| self.take(b'+'));
            self.digits()?;
        }
        Some(())
    }

    fn digits(&mut self) -> Option<&'a [u8]> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        let digits = &self.text.as_bytes()[start..self.at];
        (!digits.is_empty()).then_some(digits)
    }
}

/// Returns what the content of a valid string stands for.
fn unescape(mut rest: &str) -> String {
    let mut units = Vec::new();
    while let Some(at) = rest.find('\\') {
        units.extend(rest[..at].encode_utf16());
        let (escape, after) = rest[at + 1..].split_at(1);
        rest = after;
        units.push(match escape {
            "b" => 8,
            "f" => 12,
            "n" => 10,
            "r" => 13,
            "t" => 9,
            "u" => {
                let (digits, after) = rest.split_at(4);
                rest = after;
                u16::from_str_radix(digits, 16).expect("four digits")
            }
            other => other.as_bytes()[0].into(),
        });
    }
    units.extend(rest.encode_utf16());
    String::from_utf16_lossy(&units)
}
