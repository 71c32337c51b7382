//! Strategies for event streams: lines that the oracle can read, cut anywhere.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::support::body::Step;

const BYTE_ORDER_MARK: &str = "\u{feff}";

/// Lines, without line breaks.
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

/// Returns the text of an event stream, and its pieces.
pub fn event_streams() -> impl Strategy<Value = (Bytes, Vec<Step>)> {
    let noise = vec(select(&b"dataevent: [DONE]"[..]), 0..9)
        .prop_map(|noise| String::from_utf8(noise).expect("ASCII"));
    let line = prop_oneof![9 => select(&LINES[..]).prop_map(str::to_owned), 1 => noise];
    let line_break = select(vec!["\n", "\n", "\n\n", "\r\n", "\r\n\r\n", "\r", "\r\r"]);
    (
        prop::bool::weighted(0.1),
        vec((line, line_break), 0..6),
        // The last line can lack its line break.
        any::<bool>(),
        cuts(),
    )
        .prop_map(|(has_mark, lines, has_last_break, cuts)| {
            let mut text = String::new();
            if has_mark {
                text.push_str(BYTE_ORDER_MARK);
            }
            let last = lines.len().saturating_sub(1);
            for (nr, (line, line_break)) in lines.iter().enumerate() {
                text.push_str(line);
                if nr < last || has_last_break {
                    text.push_str(line_break);
                }
            }
            let pieces = cuts.pieces(text.as_bytes());
            (Bytes::from(text), pieces)
        })
}

/// Where a stream is cut.
#[derive(Clone, Debug)]
pub struct Cuts {
    anywhere: Vec<usize>,
    /// After each CR, also before a LF.
    after_cr: bool,
}

pub fn cuts() -> impl Strategy<Value = Cuts> {
    (vec(any::<usize>(), 0..5), prop::bool::weighted(0.2))
        .prop_map(|(anywhere, after_cr)| Cuts { anywhere, after_cr })
}

impl Cuts {
    /// Returns the pieces of a text as steps of a body.
    pub fn pieces(&self, all: &[u8]) -> Vec<Step> {
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
