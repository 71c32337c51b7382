//! Event streams: lines of which it is known what they are, cut anywhere; and what is to be found in
//! one, read as a whole from its beginning.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::support::body::Step;

const BYTE_ORDER_MARK: &str = "\u{feff}";

/// Lines, without their ends.
const LINES: [&str; 22] = [
    "data: {\"choices\":[]}",
    "data: {\"choices\":[]}",
    "data: [DONE]",
    "data: [DONE]",
    "data:[DONE]",
    "data:  [DONE]",
    "data: [DONE] ",
    "data : [DONE]",
    "Data: [DONE]",
    "data",
    ": a comment",
    "id: 7",
    "event: error",
    "event:error",
    "event: message",
    "event",
    "data: {\"error\":{\"message\":\"out of memory\"}}",
    "data: { \"error\" : \"no\" }",
    "data: {\"error\":null}",
    "data: {\"of\":1,\"error\":\"late\"}",
    "data: trouble",
    "",
];

/// The text of an event stream, and its pieces.
pub fn event_streams() -> impl Strategy<Value = (Bytes, Vec<Step>)> {
    let noise = vec(select(&b"dataevent: [DONE]"[..]), 0..9)
        .prop_map(|noise| String::from_utf8(noise).expect("ASCII"));
    let line = prop_oneof![9 => select(&LINES[..]).prop_map(str::to_owned), 1 => noise];
    let end = select(vec!["\n", "\n", "\n\n", "\r\n", "\r\n\r\n", "\r", "\r\r"]);
    (
        prop::bool::weighted(0.1),
        vec((line, end), 0..6),
        // The last line may lack its end.
        any::<bool>(),
        cuts(),
    )
        .prop_map(|(has_mark, lines, is_ended, cuts)| {
            let mut text = String::new();
            if has_mark {
                text.push_str(BYTE_ORDER_MARK);
            }
            let last = lines.len().saturating_sub(1);
            for (nr, (line, end)) in lines.iter().enumerate() {
                text.push_str(line);
                if nr < last || is_ended {
                    text.push_str(end);
                }
            }
            let pieces = cuts.pieces(text.as_bytes());
            (Bytes::from(text), pieces)
        })
}

/// Where a stream is cut.
#[derive(Clone, Debug)]
struct Cuts {
    anywhere: Vec<usize>,
    /// Between CR and LF, and after each CR that is alone.
    after_cr: bool,
}

fn cuts() -> impl Strategy<Value = Cuts> {
    (vec(any::<usize>(), 0..5), prop::bool::weighted(0.2))
        .prop_map(|(anywhere, after_cr)| Cuts { anywhere, after_cr })
}

impl Cuts {
    /// The same bytes in pieces.
    fn pieces(&self, all: &[u8]) -> Vec<Step> {
        let anywhere = self.anywhere.iter().map(|cut| cut % (all.len() + 1));
        let mut cuts: Vec<_> = anywhere.chain([0, all.len()]).collect();
        if self.after_cr {
            let bytes = all.iter().enumerate();
            cuts.extend(
                bytes
                    .filter(|(_, byte)| **byte == b'\r')
                    .map(|(at, _)| at + 1),
            );
        }
        cuts.sort_unstable();
        cuts.windows(2)
            .map(|cut| Step::Slice(cut[0], cut[1]))
            .collect()
    }
}

/// What is to be found in an event stream.
#[derive(Debug, Default, PartialEq)]
pub struct Found {
    /// What the first error says; nothing of it may be readable.
    pub error: Option<String>,
    pub is_terminated: bool,
}

/// What is in the beginning of a stream, or in all of it.
pub fn found(text: &[u8], is_all: bool) -> Found {
    let text = String::from_utf8_lossy(text);
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&text);
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let (ended, rest) = text.rsplit_once('\n').unwrap_or(("", &text));
    let has_ended = ended.len() < text.len() - rest.len();
    let mut lines: Vec<_> = has_ended
        .then(|| ended.split('\n'))
        .into_iter()
        .flatten()
        .collect();
    if is_all {
        // The end of all ends a line and an event.
        lines.extend([rest, ""]);
    }
    let mut found = Found::default();
    let (mut is_error, mut has_data) = (false, false);
    for line in lines {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "" if line.is_empty() => {
                if is_error {
                    found.error.get_or_insert_default();
                }
                (is_error, has_data) = (false, false);
            }
            "event" => is_error = value == "error",
            "data" if !has_data => {
                has_data = true;
                let (is_one, message) = read(value);
                if is_error || is_one {
                    found.error.get_or_insert(message);
                }
                if value == "[DONE]" {
                    found.is_terminated = true;
                    return found;
                }
            }
            _ => {}
        }
    }
    found
}

/// Whether data is an error by itself, and what it says as one. Of JSON no more than is in the lines
/// above, as far as it goes: a stream may stop anywhere.
fn read(data: &str) -> (bool, String) {
    if !data.starts_with('{') {
        return (false, data.to_owned());
    }
    let tight = data.replace(' ', "");
    let said = tight.strip_prefix("{\"error\":");
    let message = data
        .split_once("\"message\":\"")
        .or_else(|| tight.split_once("\"error\":\""))
        .and_then(|(_, rest)| rest.split('"').next());
    (
        said.is_some_and(|said| !said.starts_with("null")),
        message.unwrap_or_default().to_owned(),
    )
}

#[test]
fn what_is_found_is_what_the_format_says() {
    for (text, is_all, error, is_terminated) in [
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
        ("", true, None, false),
    ] {
        let expected = Found {
            error: error.map(str::to_owned),
            is_terminated,
        };
        assert_eq!(found(text.as_bytes(), is_all), expected, "{text:?}");
    }
}
