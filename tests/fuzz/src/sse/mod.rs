//! Event streams: where the terminator is, what an error event says, and what comes of it.
//!
//! An input is a byte of settings ([`Settings::of`]), how to cut ([`crate::input::cuts`]), and the
//! stream. It goes through the layer cut and whole, and both times the same must come of it: what a
//! reader says that splits the whole stream into lines.

pub mod json;
pub mod lines;

use std::sync::LazyLock;

use http::{Request, Response};
use tower_api_span::ApiSpanLayer;

use crate::exchange::{Frames, answer, read};
use crate::input::{byte, cut, cuts, piece_of};
use crate::recorder::{MAX_STRING, forget, only, recorded};
use json::Message;
use lines::{Error, read_lines};

/// The terminators of the layers. The last one is as good as none.
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

/// How the layer is set, and what the response says of itself.
#[derive(Clone, Copy, Debug)]
struct Settings {
    terminator: usize,
    reads_errors: bool,
    /// Content-Length: so many bytes more than there are.
    declared: Option<u8>,
    /// The reader stops after so many polls.
    polls: Option<usize>,
}

impl Settings {
    /// Bits 0 and 1 choose the terminator, with 2 error events are not read; with 3 a byte says what is
    /// declared too much, with 4 a byte says after how many polls the reader stops.
    fn of(input: &mut &[u8]) -> Self {
        let chosen = byte(input);
        Self {
            terminator: usize::from(chosen & 3),
            reads_errors: chosen & 4 == 0,
            declared: (chosen & 8 != 0).then(|| byte(input)),
            polls: (chosen & 16 != 0).then(|| usize::from(byte(input))),
        }
    }

    fn layer(self) -> &'static ApiSpanLayer {
        &LAYERS[2 * self.terminator + usize::from(self.reads_errors)]
    }

    fn terminator(self) -> Option<&'static str> {
        TERMINATORS[self.terminator].filter(|terminator| !terminator.is_empty())
    }

    fn declared(self, pieces: &[&[u8]]) -> Option<usize> {
        let length: usize = pieces.iter().map(|piece| piece.len()).sum();
        self.declared.map(|more| length + usize::from(more))
    }

    fn polls(self) -> usize {
        self.polls.unwrap_or(usize::MAX)
    }
}

/// What has come of a stream.
#[derive(Debug, PartialEq)]
struct Came {
    outcome: String,
    error: Message,
    /// In which poll the span ended, if it was in one.
    poll: Option<usize>,
}

/// Plays an input.
pub fn run(mut input: &[u8]) {
    let settings = Settings::of(&mut input);
    let lengths = cuts(&mut input);
    let came = [cut(input, lengths), vec![input]].map(|pieces| {
        let came = play(&pieces, settings);
        let mut expected = expected(&pieces, settings);
        if expected.error == Message::Any {
            expected.error = came.error.clone();
        }
        assert_eq!(came, expected, "{settings:?} {pieces:?}");
        came
    });
    // Of one that does not read on to the end, the whole stream may have more to say.
    if settings.polls.is_none() {
        let [in_pieces, whole] = came.map(|came| (came.outcome, came.error));
        assert_eq!(in_pieces, whole);
    }
}

fn play(pieces: &[&[u8]], settings: Settings) -> Came {
    forget();
    let response = answer(settings.layer(), Request::new(()), |_| {
        let body = Frames::data(pieces.iter().copied());
        let mut response = Response::builder().header("content-type", "text/event-stream");
        if let Some(declared) = settings.declared(pieces) {
            response = response.header("content-length", declared);
        }
        response.body(body).expect("a response")
    });
    let poll = read(response.into_body(), settings.polls());
    let span = only();
    Came {
        outcome: span.outcome(),
        error: Message::Is(span.error()),
        poll,
    }
}

fn expected(pieces: &[&[u8]], settings: Settings) -> Came {
    let declared = settings.declared(pieces);
    let polls = settings.polls();
    let is_read = polls > pieces.len();
    let pieces = &pieces[..polls.min(pieces.len())];
    let bytes = pieces.concat();
    let is_delivered = declared.is_some_and(|declared| declared <= bytes.len());
    // What a stream ends in is its last line, where it is known to be over.
    let is_over = is_read || is_delivered;
    let found = read_lines(&bytes, is_over, settings.terminator());

    let silent = |outcome| (outcome, Message::Is(None));
    let error = found.error.filter(|_| settings.reads_errors);
    let (outcome, message) = if let Some(Error { message }) = error {
        ("generation_error", message.cut(MAX_STRING))
    } else if found.terminator.is_some() {
        silent("DEPARTED")
    } else {
        match declared {
            _ if !is_over && polls == 0 => silent("generator_exit"),
            _ if !is_over => silent("client_disconnect"),
            Some(declared) if declared != bytes.len() => {
                let message = format!("{} of {declared} declared bytes", bytes.len());
                ("length_mismatch", Message::Is(Some(message)))
            }
            _ => silent("DEPARTED"),
        }
    };
    let in_line = found.terminator.filter(|end| !end.is_by_end);
    Came {
        outcome: outcome.to_owned(),
        error: message,
        poll: match in_line {
            Some(end) => Some(piece_of(pieces, end.bytes)),
            None => is_read.then_some(pieces.len()),
        },
    }
}
