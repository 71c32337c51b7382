//! The events of a body, in each state that they go through while the body is read.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use sse_stream::{Sse, SseByteStream};

use super::Framing;
use super::json::{self, Datum};

/// An event as far as it is known at the end of one of its lines.
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
#[derive(Clone, Debug)]
pub(super) struct Event {
    /// The event's name, empty if it has none.
    pub(super) name: String,
    /// The data lines so far, joined by LF.
    pub(super) data: Option<String>,
    /// The number of bytes of the body up to the end of the line.
    pub(super) at: usize,
    /// What was read last.
    pub(super) read: Read,
    /// The event has ended.
    pub(super) is_over: bool,
    /// The body ends inside its JSON.
    pub(super) is_cut: bool,
    /// It is an element of an array.
    pub(super) is_element: bool,
    /// It is a body, or a line of a body, whose content type is that of one object: perhaps a record of an application.
    pub(super) may_be_record: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Read {
    /// A line of data.
    Data,
    /// A field line `error`, which is not part of the event: its value.
    ErrorField(String),
    /// The last line of JSON that is in no field, and not part of the event.
    Bare(String),
    /// Another line that does not end the event.
    Other,
    /// The end of the event.
    End,
}

impl Event {
    /// Parses the data.
    pub(super) fn datum(&self) -> Datum {
        self.data.as_deref().map_or(Datum::Other, json::parse)
    }

    fn json(text: &str, at: usize) -> Self {
        Self {
            name: String::new(),
            data: Some(text.to_owned()),
            at,
            read: Read::Data,
            is_over: true,
            is_cut: false,
            is_element: false,
            may_be_record: false,
        }
    }
}

/// How a body is framed, by its content type and by what it begins with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shown {
    pub(super) framing: Framing,
    /// The number of bytes before the first value or line.
    pub(super) start: usize,
    /// The number of bytes of the first object, if the body was to be one value.
    first: usize,
    /// The number of bytes up to the first one of the next object, which shows that.
    next: usize,
    /// The content type is another.
    pub(super) is_guessed: bool,
}

/// Returns how a body is framed.
pub(super) fn shown(body: &[u8], declared: Framing) -> Shown {
    let mut shown = Shown {
        framing: declared,
        start: 0,
        first: 0,
        next: 0,
        is_guessed: false,
    };
    if declared == Framing::Events {
        return shown;
    }
    let marked = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let white = marked.iter().take_while(|byte| b" \t\n\r".contains(byte));
    shown.start = body.len() - marked.len() + white.count();
    if declared == Framing::Lines {
        return shown;
    }
    let text = String::from_utf8_lossy(&body[shown.start..]);
    if text.starts_with(['d', 'e', 'i', 'r', ':']) {
        (shown.framing, shown.is_guessed) = (Framing::Events, true);
    } else if let Some((length, next)) = json::before_object(&text) {
        let raw = |length| raw_length(&body[shown.start..], length);
        (shown.first, shown.next) = (raw(length), raw(next) + 1);
        shown.framing = Framing::Lines;
    }
    shown
}

/// Returns how many bytes the first `length` bytes of their lossy text stand for.
fn raw_length(bytes: &[u8], length: usize) -> usize {
    let (mut in_text, mut raw) = (0, 0);
    for chunk in bytes.utf8_chunks() {
        let valid = chunk.valid().len();
        if in_text + valid >= length {
            return raw + length - in_text;
        }
        in_text += valid + char::REPLACEMENT_CHARACTER.len_utf8();
        raw += valid + chunk.invalid().len();
    }
    raw
}

/// Returns the events of a body, each as its states in order.
pub(super) fn events(body: &[u8], shown: Shown, is_over: bool) -> Vec<Vec<Event>> {
    let (_, rest) = body.split_at(shown.start);
    let mut events = match shown.framing {
        Framing::Events => event_stream(rest, is_over),
        Framing::Lines => {
            let (first, rest) = rest.split_at(shown.first);
            let text = String::from_utf8_lossy(first);
            let first = (shown.first > 0).then(|| vec![Event::json(&text, shown.next)]);
            let mut lines = json_lines(rest, is_over);
            for line in lines.iter_mut().flatten() {
                line.at += shown.first;
            }
            let mut lines: Vec<_> = first.into_iter().chain(lines).collect();
            for line in lines.iter_mut().flatten() {
                line.may_be_record = shown.first > 0;
            }
            lines
        }
        // A value that is complete counts although the body goes on.
        Framing::Whole => {
            let text = String::from_utf8_lossy(rest);
            let elements = json::elements(&text);
            let is_element = elements.is_some();
            let values = elements
                .unwrap_or_else(|| vec![text.into_owned()])
                .into_iter();
            let events = values.map(|value| {
                vec![Event {
                    is_element,
                    may_be_record: true,
                    ..Event::json(&value, rest.len())
                }]
            });
            events.collect()
        }
    };
    for state in events.iter_mut().flatten() {
        state.at += shown.start;
    }
    events
}

fn json_lines(body: &[u8], is_over: bool) -> Vec<Vec<Event>> {
    let mut events = Vec::new();
    let mut at = 0;
    for line in body.split_inclusive(|byte| *byte == b'\n') {
        at += line.len();
        let is_complete = is_over || line.ends_with(b"\n");
        if is_complete && !line.trim_ascii().is_empty() {
            let line = String::from_utf8_lossy(line);
            // CR before LF is white space.
            let line = line.trim_end_matches('\n').trim_end_matches('\r');
            events.push(vec![Event::json(line, at)]);
        }
    }
    events
}

fn event_stream(body: &[u8], is_over: bool) -> Vec<Vec<Event>> {
    let mut events = Vec::new();
    let mut states = Vec::new();
    let mut start = 0;
    let mut bare = Bare::default();
    let mut has_text = false;
    let mut lines = lines(body, is_over).into_iter().peekable();
    while let Some(line) = lines.next() {
        let is_blank = line.text.is_empty();
        let is_last = is_over && lines.peek().is_none();
        let block = parse_block(&body[start..line.end], start == 0);
        let is_cut = is_last && !is_blank && block.data.as_deref().is_some_and(json::is_cut);
        let mut state = |read, is_over| {
            states.push(Event {
                name: block.event.clone().unwrap_or_default(),
                data: block.data.clone(),
                at: line.end,
                read,
                is_over,
                is_cut,
                is_element: false,
                may_be_record: false,
            });
        };
        if is_blank {
            bare = Bare::default();
        } else {
            let read = line.read(start == 0);
            let data = block.data.as_deref().unwrap_or_default().trim_ascii_start();
            has_text |= read == Read::Data && !data.is_empty() && !data.starts_with('{');
            state(bare.read(&line, read, has_text), false);
        }
        if is_blank || is_last {
            state(Read::End, true);
            events.push(std::mem::take(&mut states));
            start = line.end;
        }
    }
    events.push(states);
    events
}

/// Parses the lines of one event, as if it ended behind them.
fn parse_block(lines: &[u8], is_first: bool) -> Sse {
    let lines = String::from_utf8_lossy(lines);
    // Only at the start of the body is a byte order mark no part of the line.
    let before = if is_first { "" } else { ":\n" };
    let bytes = Bytes::from(format!("{before}{lines}\n\n"));
    let body = stream::iter([Ok::<_, Infallible>(bytes)]);
    let parsed = SseByteStream::new(body).next().now_or_never();
    let parsed = parsed.expect("the bytes are there");
    parsed.map_or_else(Sse::default, |block| block.expect("valid UTF-8"))
}

/// JSON that is in no field: the lines so far, and whether the event has a line of data.
#[derive(Default)]
struct Bare {
    text: Option<String>,
    has_data: bool,
}

impl Bare {
    /// Reads a line. Returns what it is, if it is no line of this JSON, else [`Read::Other`] before the last one. Behind
    /// text there is no such JSON.
    fn read(&mut self, line: &Line<'_>, read: Read, has_text: bool) -> Read {
        if read == Read::Data {
            (self.text, self.has_data) = (None, true);
            return read;
        }
        let is_in_json = self.text.is_some();
        if matches!(read, Read::ErrorField(_)) && is_in_json {
            return Read::Other;
        }
        let first = line.text.first();
        if first == Some(&b'{') && !self.has_data && !has_text {
            self.text.get_or_insert_default();
        }
        let is_of_json = first.is_some_and(|first| b"{}[]\" \t".contains(first));
        let Some(text) = self.text.as_mut().filter(|_| is_of_json) else {
            return read;
        };
        text.push_str(&String::from_utf8_lossy(line.text));
        text.push('\n');
        if matches!(json::parse(text), Datum::Object(_)) {
            return Read::Bare(self.text.take().unwrap_or_default());
        }
        read
    }
}

/// A line without its end.
struct Line<'a> {
    text: &'a [u8],
    /// The number of bytes of the body up to the end of the line: the first byte of its line break.
    end: usize,
}

impl Line<'_> {
    /// Returns what the line is; `sse-stream` neither says which lines it has read nor knows `error`.
    fn read(&self, is_first_event: bool) -> Read {
        let text = String::from_utf8_lossy(self.text);
        let text = match text.strip_prefix('\u{feff}') {
            Some(rest) if is_first_event && self.is_at_start() => rest,
            _ => &text,
        };
        let (name, value) = text.split_once(':').unwrap_or((text, ""));
        match name {
            "data" => Read::Data,
            "error" => Read::ErrorField(value.strip_prefix(' ').unwrap_or(value).to_owned()),
            _ => Read::Other,
        }
    }

    /// Whether the line is the first of the body.
    fn is_at_start(&self) -> bool {
        self.end <= self.text.len() + 1
    }
}

/// Splits a body into lines, which end with LF, CR or CRLF. The last can lack its end if the body is over.
fn lines(body: &[u8], is_over: bool) -> Vec<Line<'_>> {
    let mut lines = Vec::new();
    let mut start = 0;
    for (at, byte) in body.iter().enumerate() {
        let is_lf = *byte == b'\n';
        if is_lf && at > 0 && body[at - 1] == b'\r' {
            // The second half of CRLF.
            start = at + 1;
        } else if is_lf || *byte == b'\r' {
            lines.push(Line {
                text: &body[start..at],
                end: at + 1,
            });
            start = at + 1;
        }
    }
    if is_over && start < body.len() {
        lines.push(Line {
            text: &body[start..],
            end: body.len(),
        });
    }
    lines
}
