//! What an error event's data says, by a parser of whole JSON.

/// What the message of an error must be.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    Is(Option<String>),
    /// The data is broken JSON, of which as much is read as can be.
    Any,
}

impl Message {
    /// The same, no longer than this.
    #[must_use]
    pub fn cut(self, bytes: usize) -> Self {
        match self {
            Self::Is(Some(mut message)) => {
                message.truncate(message.floor_char_boundary(bytes));
                Self::Is(Some(message))
            }
            Self::Is(None) | Self::Any => self,
        }
    }
}

/// Whether the data is an object whose first key is `"error"` and says something. It may be cut, so that
/// no parser reads it.
pub fn is_error(data: &[u8]) -> bool {
    let mut rest = data.trim_ascii_start();
    for token in ["{", "\"error\"", ":"] {
        let Some(after) = rest.strip_prefix(token.as_bytes()) else {
            return false;
        };
        rest = after.trim_ascii_start();
    }
    match Keys::of(data) {
        // The first one's value, as a parser has it.
        Some(keys) => !["null", "false", "\"\""].contains(&keys.0[0].1),
        None => !["null", "false", "\"\""]
            .iter()
            .any(|nothing| rest.starts_with(nothing.as_bytes())),
    }
}

/// The first `"message"` or, if that is no string, the first `"error"`; the data itself if it is no
/// object.
pub fn message(data: &[u8]) -> Message {
    if !data.trim_ascii_start().starts_with(b"{") {
        let text = String::from_utf8_lossy(data).into_owned();
        return Message::Is(Some(text).filter(|text| !text.is_empty()));
    }
    let Some(Keys(keys)) = Keys::of(data) else {
        return Message::Any;
    };
    let string_of = |wanted: &str| {
        let (_, value) = keys.iter().find(|(key, _)| *key == wanted)?;
        unquoted(value)
    };
    let message = string_of("\"message\"").or_else(|| string_of("\"error\""));
    Message::Is(message.filter(|message| !message.is_empty()))
}

/// The keys of a JSON object and of all within it, in the order in which they stand, each with its
/// value; both as they are written.
struct Keys<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Keys<'a> {
    /// `None` if the data is not one object, and nothing but that.
    fn of(data: &'a [u8]) -> Option<Self> {
        let mut parser = Parser {
            text: std::str::from_utf8(data).ok()?,
            at: 0,
            keys: Vec::new(),
        };
        parser.space();
        parser.object(0)?;
        parser.space();
        (parser.at == data.len()).then_some(Self(parser.keys))
    }
}

/// A parser by the grammar of RFC 8259.
struct Parser<'a> {
    text: &'a str,
    at: usize,
    keys: Vec<(&'a str, &'a str)>,
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
            // Deeper ones are nobody's.
            _ if depth > 64 => None,
            b'{' => self.object(depth),
            b'[' => self.list(depth),
            b'"' => self.string(),
            b'-' | b'0'..=b'9' => self.number(),
            _ => {
                let rest = &self.text[self.at..];
                let words = ["true", "false", "null"];
                let word = words.iter().find(|word| rest.starts_with(**word))?;
                self.at += word.len();
                Some(())
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
            let (start, place) = (self.at, self.keys.len());
            self.keys.push((key, ""));
            self.value(depth + 1)?;
            self.keys[place].1 = &self.text[start..self.at];
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
                    self.at += 2;
                    if escape == b'u' {
                        let digits = self.text.as_bytes().get(self.at..self.at + 4)?;
                        if !digits.iter().all(u8::is_ascii_hexdigit) {
                            return None;
                        }
                        self.at += 4;
                    } else if !b"\"\\/bfnrt".contains(&escape) {
                        return None;
                    }
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

/// What a string of valid JSON stands for; `None` if the value is none.
fn unquoted(value: &str) -> Option<String> {
    let mut rest = value.strip_prefix('"')?.strip_suffix('"')?;
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
    Some(String::from_utf16_lossy(&units))
}
