//! Event streams: the place of the terminator, the message of an error event, and the outcome.
//!
//! An input is a byte of settings ([`Settings::take`]), cut lengths ([`crate::input::take_cuts`]), and the
//! stream. The stream goes through the layer cut and whole. Both times the span must show the same,
//! which is what the oracle expects of the whole stream.

use std::sync::LazyLock;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use tower_api_span::ApiSpanLayer;

use crate::exchange::{Frames, answer, read};
use crate::input::{piece_at, split, take_byte, take_cuts};
use crate::oracle::sse::json::Message;
use crate::oracle::sse::read_lines;
use crate::oracle::{self, Oracle, Polled};
use crate::recorder::{clear, only, recorded};

/// The terminators of the layers. An empty one has no effect.
const TERMINATORS: [Option<&str>; 4] = [Some("[DONE]"), Some(" end"), None, Some("")];

static LAYERS: LazyLock<Vec<ApiSpanLayer>> = LazyLock::new(|| {
    let mut layers = Vec::new();
    for terminator in TERMINATORS {
        for reads_errors in [false, true] {
            let layer = recorded(ApiSpanLayer::new()).stream_errors(reads_errors);
            layers.push(match terminator {
                Some(terminator) => layer.stream_terminator(terminator),
                None => layer,
            });
        }
    }
    layers
});

/// The settings of layer, response and reader.
#[derive(Clone, Copy, Debug)]
struct Settings {
    terminator: usize,
    reads_errors: bool,
    /// How many bytes the Content-Length exceeds the stream, if there is one.
    excess: Option<u8>,
    /// The reader stops after so many polls.
    polls: Option<usize>,
}

impl Settings {
    /// Bits 0 and 1 select the terminator. With bit 2 error events are not read. With bit 3 the next
    /// byte is the excess of the Content-Length. With bit 4 the next byte is the number of polls after
    /// which the reader stops.
    fn take(input: &mut &[u8]) -> Self {
        let bits = take_byte(input);
        Self {
            terminator: usize::from(bits & 3),
            reads_errors: bits & 4 == 0,
            excess: (bits & 8 != 0).then(|| take_byte(input)),
            polls: (bits & 16 != 0).then(|| usize::from(take_byte(input))),
        }
    }

    fn layer(self) -> &'static ApiSpanLayer {
        &LAYERS[2 * self.terminator + usize::from(self.reads_errors)]
    }

    fn oracle(self) -> oracle::Settings {
        oracle::Settings {
            terminator: TERMINATORS[self.terminator],
            reads_errors: self.reads_errors,
            ..oracle::Settings::default()
        }
    }

    fn polls(self) -> usize {
        self.polls.unwrap_or(usize::MAX)
    }

    fn headers(self, pieces: &[&[u8]]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let content_type = HeaderValue::from_static("text/event-stream");
        headers.insert("content-type", content_type);
        if let Some(excess) = self.excess {
            let length: usize = pieces.iter().map(|piece| piece.len()).sum();
            let declared = length + usize::from(excess);
            headers.insert("content-length", declared.into());
        }
        headers
    }
}

/// What the span of a stream shows.
#[derive(Debug, PartialEq)]
struct Recorded {
    outcome: String,
    error_type: Option<String>,
    error: Message,
    /// The poll during which the span ended, if it was one.
    poll: Option<usize>,
}

/// Plays an input.
pub fn run(mut input: &[u8]) {
    let settings = Settings::take(&mut input);
    let lengths = take_cuts(&mut input);
    let recorded = [split(input, lengths), vec![input]].map(|pieces| {
        let recorded = play(&pieces, settings);
        let mut expected = expected(&pieces, settings);
        if expected.error == Message::Any {
            expected.error = recorded.error.clone();
        }
        assert_eq!(recorded, expected, "{settings:?} {pieces:?}");
        recorded
    });
    // A reader that stops early may have seen less of the stream when it was cut.
    if settings.polls.is_none() {
        let [in_pieces, whole] = recorded.map(|recorded| Recorded {
            poll: None,
            ..recorded
        });
        assert_eq!(in_pieces, whole);
    }
}

fn play(pieces: &[&[u8]], settings: Settings) -> Recorded {
    clear();
    let response = answer(settings.layer(), Request::new(()), |_| {
        let mut response = Response::new(Frames::data(pieces.iter().copied()));
        *response.headers_mut() = settings.headers(pieces);
        response
    });
    let poll = read(response.into_body(), settings.polls());
    let span = only();
    Recorded {
        outcome: span.outcome(),
        error_type: span.attribute("error.type"),
        error: Message::Is(span.error()),
        poll,
    }
}

fn expected(pieces: &[&[u8]], settings: Settings) -> Recorded {
    let polls = settings.polls();
    let is_read_to_end = polls > pieces.len();
    let delivered = &pieces[..polls.min(pieces.len())];
    let bytes = delivered.concat();

    let mut oracle = Oracle::new(settings.oracle(), &Request::new(()), false);
    let head = Polled::Head(200, settings.headers(pieces));
    oracle.polled(&head, None);
    if !delivered.is_empty() {
        let data = Bytes::copy_from_slice(&bytes);
        oracle.polled(&Polled::Data(data, true), None);
    }
    let poll = if oracle.ended().is_some() {
        let terminator = TERMINATORS[settings.terminator];
        let terminator = read_lines(&bytes, false, terminator).terminator;
        let end = terminator.expect("the terminator ended the exchange");
        Some(piece_at(delivered, end))
    } else {
        is_read_to_end.then_some(pieces.len())
    };
    if is_read_to_end {
        oracle.polled(&Polled::EndOfBody, None);
    }
    oracle.dropped(false);
    let ended = oracle.ended().expect("the body was dropped");
    Recorded {
        outcome: ended.reason.unwrap_or("DEPARTED").to_owned(),
        error_type: ended.error_type.clone(),
        error: ended.error.clone(),
        poll,
    }
}
