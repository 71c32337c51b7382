//! Answers of LLM APIs: the end of the stream, failures, the outcome, and what is read of the answer.
//!
//! An input is a byte of settings ([`Settings::take`]), cut lengths ([`crate::input::take_cuts`]), and the
//! body. The body goes through the layer cut and whole. Both times the span must show what the oracle expects
//! of the whole body.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use tower_api_span::{ApiSpanLayer, LlmFormat};

use crate::exchange::{Frames, answer, read};
use crate::input::{piece_at, split, take_byte, take_cuts};
use crate::oracle::llm::{self, Format, Framing};
use crate::oracle::{self, Oracle, Polled};
use crate::recorder::{clear, only, recorded};

/// The terminators of the layers. An empty one has no effect.
const TERMINATORS: [Option<&str>; 4] = [Some("[DONE]"), Some(" end"), None, Some("")];

/// The content types.
const CONTENT_TYPES: [&str; 4] = [
    "text/event-stream",
    "application/x-ndjson",
    "application/json",
    "text/event-stream; charset=utf-8",
];

/// The formats that are listed: all, none, or a few.
const FORMATS: [&[Format]; 8] = [
    &Format::ALL,
    &[],
    &[Format::ChatCompletions],
    &[Format::Completions, Format::Ollama],
    &[Format::Responses],
    &[Format::Messages],
    &[Format::Gemini, Format::Messages],
    &[Format::Ollama],
];

/// The settings of layer, response and reader.
#[derive(Clone, Copy, Debug)]
struct Settings {
    llm: llm::Settings,
    /// The layer is `ApiSpanLayer::llm()`.
    is_preset: bool,
    reads_attributes: bool,
    has_journey_events: bool,
    status: u16,
    content_type: &'static str,
    /// How many bytes the Content-Length exceeds the body, if there is one.
    excess: Option<u8>,
    /// The reader stops after so many polls.
    polls: Option<usize>,
}

impl Settings {
    /// Bits 0 and 1 select the terminator. With bit 2 failures are not read. With bit 3 the next byte is the
    /// excess of the Content-Length. With bit 4 the next byte is the number of polls after which the reader
    /// stops. Bits 5 and 6 select the content type. With bit 7 the next byte selects the formats with bits 0
    /// to 2; with bit 3 an event `done` is a terminator; with bit 4 the layer is the preset, whatever the other
    /// settings are; with bits 5 and 6 neither attributes nor journey events are recorded; with bit 7 the status is
    /// 503.
    fn take(input: &mut &[u8]) -> Self {
        let bits = take_byte(input);
        let excess = (bits & 8 != 0).then(|| take_byte(input));
        let polls = (bits & 16 != 0).then(|| usize::from(take_byte(input)));
        let more = if bits & 128 == 0 { 0 } else { take_byte(input) };
        let is_preset = more & 16 != 0;
        let llm = llm::Settings {
            formats: FORMATS[usize::from(more & 7)],
            terminator: TERMINATORS[usize::from(bits & 3)],
            terminator_event: (more & 8 != 0).then_some("done"),
            reads_errors: bits & 4 == 0,
        };
        Self {
            llm: if is_preset { llm::Settings::llm() } else { llm },
            is_preset,
            reads_attributes: is_preset || more & 32 == 0,
            has_journey_events: is_preset || more & 64 == 0,
            status: if more & 128 == 0 { 200 } else { 503 },
            content_type: CONTENT_TYPES[usize::from(bits >> 5 & 3)],
            excess,
            polls,
        }
    }

    fn layer(self) -> ApiSpanLayer {
        if self.is_preset {
            return recorded(ApiSpanLayer::llm());
        }
        let formats = self.llm.formats.iter().map(|format| match format {
            Format::ChatCompletions => LlmFormat::ChatCompletions,
            Format::Completions => LlmFormat::Completions,
            Format::Responses => LlmFormat::Responses,
            Format::Messages => LlmFormat::Messages,
            Format::Gemini => LlmFormat::Gemini,
            Format::Ollama => LlmFormat::Ollama,
        });
        let mut layer = recorded(ApiSpanLayer::new())
            .llm_formats(formats)
            .gen_ai_attributes(self.reads_attributes)
            .journey_events(self.has_journey_events)
            .stream_errors(self.llm.reads_errors);
        if let Some(terminator) = self.llm.terminator {
            layer = layer.stream_terminator(terminator);
        }
        if let Some(name) = self.llm.terminator_event {
            layer = layer.stream_terminator_event(name);
        }
        layer
    }

    fn oracle(self) -> oracle::Settings {
        oracle::Settings {
            is_llm: self.is_preset,
            llm: self.llm,
            reads_attributes: self.reads_attributes,
            has_journey_events: self.has_journey_events,
            ..oracle::Settings::default()
        }
    }

    fn polls(self) -> usize {
        self.polls.unwrap_or(usize::MAX)
    }

    fn headers(self, pieces: &[&[u8]]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let content_type = HeaderValue::from_static(self.content_type);
        headers.insert("content-type", content_type);
        if let Some(excess) = self.excess {
            let length: usize = pieces.iter().map(|piece| piece.len()).sum();
            let declared = length + usize::from(excess);
            headers.insert("content-length", declared.into());
        }
        headers
    }
}

/// Plays an input.
pub fn run(mut input: &[u8]) {
    let settings = Settings::take(&mut input);
    let lengths = take_cuts(&mut input);
    for pieces in [split(input, lengths), vec![input]] {
        let (oracle, expected) = expected(&pieces, settings);
        let poll = play(&pieces, settings);
        let span = only();
        if oracle.ended().expect("an end").is_unknown {
            continue;
        }
        oracle.check(&span.0);
        assert_eq!(poll, expected, "the poll: {settings:?} {pieces:?}");
    }
}

/// Returns the poll during which the span ended, if it was one.
fn play(pieces: &[&[u8]], settings: Settings) -> Option<usize> {
    clear();
    let response = answer(&settings.layer(), Request::new(()), |_| {
        let mut response = Response::new(Frames::data(pieces.iter().copied()));
        *response.status_mut() = StatusCode::from_u16(settings.status).expect("a status");
        *response.headers_mut() = settings.headers(pieces);
        response
    });
    read(response.into_body(), settings.polls())
}

/// Returns the oracle at the end of the exchange, and the poll during which the span must end.
fn expected(pieces: &[&[u8]], settings: Settings) -> (Oracle, Option<usize>) {
    let polls = settings.polls();
    let is_read_to_end = polls > pieces.len();
    let delivered = &pieces[..polls.min(pieces.len())];
    let bytes = delivered.concat();

    let mut oracle = Oracle::new(settings.oracle(), &Request::new(()), false);
    let head = Polled::Head(settings.status, settings.headers(pieces));
    oracle.polled(&head, None);
    if !delivered.is_empty() {
        let data = Bytes::copy_from_slice(&bytes);
        oracle.polled(&Polled::Data(data, true), None);
    }
    let poll = if oracle.ended().is_some() {
        let media_type = settings.content_type.split(';').next();
        let framing = media_type.and_then(Framing::from_media_type);
        let framing = framing.expect("a content type that is read");
        let end = llm::read(&bytes, framing, false, &settings.oracle().llm).end;
        Some(piece_at(delivered, end.expect("an end in the body")))
    } else {
        is_read_to_end.then_some(pieces.len())
    };
    if is_read_to_end {
        oracle.polled(&Polled::EndOfBody, None);
    }
    oracle.dropped(false);
    (oracle, poll)
}
