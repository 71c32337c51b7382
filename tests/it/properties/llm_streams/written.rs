//! How events, lines and answers are written: line breaks, several lines of data, white space, escapes, the
//! order of members, and lines between them.

use std::fmt::Write as _;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Value;

use super::parts::{Data, Sent};

/// How one event is written.
#[derive(Clone, Debug)]
pub struct Style {
    /// The lines before the event's own.
    before: Vec<&'static str>,
    name: NamePlace,
    /// What is between name and value of a field.
    colon: &'static str,
    json: JsonStyle,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum NamePlace {
    Before,
    BehindData,
    Nowhere,
}

#[derive(Clone, Copy, Debug)]
struct JsonStyle {
    /// White space: none, a blank after each comma and colon, or a line for each member.
    white: White,
    /// Each character with this number, counted through the text, is escaped.
    escape_every: Option<usize>,
    /// Members are sorted in reverse.
    is_reversed: bool,
    /// What follows the value.
    after: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum White {
    None,
    Blanks,
    Lines,
}

pub fn styles() -> impl Strategy<Value = Style> {
    let line = select(vec![
        ": keep-alive",
        ": OPENROUTER PROCESSING\n",
        "\n",
        "id: 7",
        "retry: 10",
        "x: {\"error\":\"no\"}",
        "event: ping",
        "data\n",
        "error: {\"code\":500,\"message\":\"by a field\",\"type\":\"server_error\"}",
        "error: {\"error\":{\"message\":\"by a field\",\"code\":\"c\"}}",
        "{\"error\":{\"message\":\"bare\",\"code\":503}}",
        "{\n  \"error\": {\n    \"message\": \"over lines\"\n  }\n}\n",
        "{\"error\": {",
        "} {\"error\":\"no\"}",
        "{\"error\":null}",
    ]);
    let before = prop_oneof![5 => Just(Vec::new()), 1 => vec(line, 1..3)];
    let name = prop_oneof![
        6 => Just(NamePlace::Before),
        2 => Just(NamePlace::BehindData),
        1 => Just(NamePlace::Nowhere),
    ];
    (before, name, select(vec![": ", ": ", ":"]), json_styles()).prop_map(
        |(before, name, colon, json)| Style {
            before,
            name,
            colon,
            json,
        },
    )
}

fn json_styles() -> impl Strategy<Value = JsonStyle> {
    let white = select(vec![White::None, White::None, White::Blanks, White::Lines]);
    let escape_every = proptest::option::weighted(0.3, 1..9_usize);
    let after = prop_oneof![8 => Just(""), 1 => Just(" \t"), 1 => Just("\n")];
    (white, escape_every, any::<bool>(), after).prop_map(
        |(white, escape_every, is_reversed, after)| JsonStyle {
            white,
            escape_every,
            is_reversed,
            after,
        },
    )
}

/// Writes an event stream. Without its last blank line the stream stops behind the last event's last line.
pub fn event_stream(events: &[(Sent, Style)], has_last_blank: bool) -> String {
    let mut stream = String::new();
    for (number, (event, style)) in events.iter().enumerate() {
        for line in &style.before {
            let _ = writeln!(stream, "{line}");
        }
        let name = |stream: &mut String, place| {
            if style.name == place && !event.name.is_empty() {
                let _ = writeln!(stream, "event{}{}", style.colon, event.name);
            }
        };
        name(&mut stream, NamePlace::Before);
        if let Some(data) = written(&event.data, style.json) {
            for line in data.split('\n') {
                let _ = writeln!(stream, "data{}{line}", style.colon);
            }
        }
        name(&mut stream, NamePlace::BehindData);
        if has_last_blank || number + 1 < events.len() {
            stream.push('\n');
        }
    }
    stream
}

/// Writes a line for each object.
pub fn json_lines(objects: &[(Sent, Style)]) -> String {
    let mut lines = String::new();
    for (object, style) in objects {
        let data = written(&object.data, style.json).unwrap_or_default();
        let _ = writeln!(lines, "{}", data.replace('\n', " "));
    }
    lines
}

/// Writes an answer of one value.
pub fn whole((answer, style): &(Sent, Style)) -> String {
    written(&answer.data, style.json).unwrap_or_default()
}

fn written(data: &Data, style: JsonStyle) -> Option<String> {
    match data {
        Data::None => None,
        Data::Text(text) => Some((*text).to_owned()),
        Data::Json(value) => {
            let mut writer = Writer {
                style,
                text: String::new(),
                characters: 0,
            };
            writer.value(value);
            Some(writer.text + style.after)
        }
    }
}

struct Writer {
    style: JsonStyle,
    text: String,
    /// How many characters of strings were written.
    characters: usize,
}

impl Writer {
    fn value(&mut self, value: &Value) {
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => {
                let _ = write!(self.text, "{value}");
            }
            Value::String(text) => self.string(text),
            Value::Array(elements) => {
                self.list('[', elements, Self::value);
                self.text.push(']');
            }
            Value::Object(members) => {
                let mut members: Vec<_> = members.iter().collect();
                if self.style.is_reversed {
                    members.reverse();
                }
                self.list('{', &members, |writer, (key, value)| {
                    writer.string(key);
                    writer.text.push(':');
                    if writer.style.white != White::None {
                        writer.text.push(' ');
                    }
                    writer.value(value);
                });
                self.text.push('}');
            }
        }
    }

    fn list<T>(&mut self, open: char, items: &[T], write: impl Fn(&mut Self, &T)) {
        self.text.push(open);
        for (number, item) in items.iter().enumerate() {
            if number > 0 {
                self.text.push(',');
            }
            self.text.push_str(match self.style.white {
                White::Lines => "\n  ",
                White::Blanks if number > 0 => " ",
                White::None | White::Blanks => "",
            });
            write(self, item);
        }
        if self.style.white == White::Lines && !items.is_empty() {
            self.text.push('\n');
        }
    }

    fn string(&mut self, text: &str) {
        self.text.push('"');
        for character in text.chars() {
            self.characters += 1;
            let every = self.style.escape_every;
            let is_escaped = every.is_some_and(|every| self.characters.is_multiple_of(every));
            if is_escaped || character.is_control() {
                let mut units = [0; 2];
                for unit in character.encode_utf16(&mut units) {
                    let _ = write!(self.text, "\\u{unit:04x}");
                }
            } else {
                if "\"\\".contains(character) {
                    self.text.push('\\');
                }
                self.text.push(character);
            }
        }
        self.text.push('"');
    }
}
