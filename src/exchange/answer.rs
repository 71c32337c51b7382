//! Reads the answer of a language model in the response body, as the frames pass.

use bytes::Buf;
use http::{HeaderMap, StatusCode};

use crate::exchange::frame::contiguous;
use crate::exchange::state::{Exchange, Phase, Streaming};
use crate::outcome::Verdict;
use crate::outcome::reason::GENERATION_ERROR;
use crate::protocol::http::content_type::ContentType;
use crate::protocol::http::progress::is_unencoded;
use crate::protocol::llm::{AnswerReader, Failure, Framing, LlmFormat, Reads};
use crate::recording::buffer::SpanBuffer;
use crate::recording::clock::Elapsed;
use crate::settings::Settings;
use crate::telemetry::gen_ai::describe_answer;

/// The content types of streams with a JSON object in each line.
const LINES: [&str; 3] = [
    "application/x-ndjson",
    "application/jsonl",
    "application/stream+json",
];

/// An answer that is being read.
#[derive(Debug)]
pub(super) struct Reading {
    reader: AnswerReader,
    reads: Reads,
    /// When the first event with data was returned.
    first_data: Option<Elapsed>,
    first_token: Option<Elapsed>,
    /// Whether frames were missed, so that nothing follows from what was not read.
    is_incomplete: bool,
    /// Whether a stream that lacks its end is truncated: an error status already says what happened.
    needs_end: bool,
}

/// The end of an answer, when its body is over.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum AnswerEnd {
    /// It has the end of its format, or needs none.
    Open,
    /// The stream's end is in its last line.
    Terminated,
    Truncated,
}

impl Reading {
    /// Starts to read a response, if the settings ask for it.
    pub(super) fn start(
        content_type: ContentType<'_>,
        headers: &HeaderMap,
        status: StatusCode,
        settings: &Settings,
    ) -> Option<Box<Self>> {
        let is_success = status.as_u16() < 400;
        let formats = settings.llm_formats;
        let framing = if content_type.is("text/event-stream") && settings.reads_event_streams() {
            Framing::EventStream
        } else if LINES.iter().any(|one| content_type.is(one))
            && (settings.stream_errors || formats.contain(LlmFormat::Ollama))
        {
            Framing::Lines
        } else if content_type.is("application/json") && !formats.is_empty() && is_success {
            Framing::Whole
        } else {
            return None;
        };
        is_unencoded(headers).then(|| {
            Box::new(Self {
                reader: AnswerReader::new(framing),
                reads: Reads {
                    formats,
                    failures: settings.stream_errors,
                    facts: settings.gen_ai_attributes && is_success,
                },
                first_data: None,
                first_token: None,
                is_incomplete: false,
                needs_end: is_success,
            })
        })
    }

    fn is_whole_answer(&self) -> bool {
        self.reader.framing() == Framing::Whole
    }
}

impl Streaming {
    /// Returns the time of the first token of a stream or, if its format is not known, of its first event.
    pub(super) fn time_to_first_token(&self) -> Option<Elapsed> {
        let unknown = || self.time_to_first_byte.filter(|_| self.is_event_stream);
        let Some(reading) = &self.reading else {
            return unknown();
        };
        match (reading.reader.answer().format, reading.reader.framing()) {
            (_, Framing::Whole) | (None, Framing::Lines) => None,
            (Some(_), Framing::EventStream | Framing::Lines) => reading.first_token,
            (None, Framing::EventStream) if reading.is_incomplete => {
                reading.first_data.or_else(unknown)
            }
            (None, Framing::EventStream) => reading.first_data,
        }
    }

    /// Returns the time of the first response from the engine: a stream's first token, or the first byte.
    pub(super) fn time_to_first_response(&self) -> Option<Elapsed> {
        let is_read_stream =
            self.reading
                .as_ref()
                .is_some_and(|reading| match reading.reader.framing() {
                    Framing::EventStream => true,
                    Framing::Lines => reading.reader.answer().format.is_some(),
                    Framing::Whole => false,
                });
        if is_read_stream {
            self.time_to_first_token()
        } else {
            self.time_to_first_byte
        }
    }
}

impl Exchange {
    /// Reads a frame of the answer. Returns whether it completes the end of the stream.
    pub(super) fn read_answer(&mut self, data: &impl Buf, bytes: usize) -> bool {
        let Phase::Streaming(Streaming { reading, .. }) = &mut self.phase else {
            return false;
        };
        let Some(reading) = reading else {
            return false;
        };
        if reading.is_incomplete {
            return false;
        }
        let Some(piece) = contiguous(data, bytes) else {
            reading.is_incomplete = true;
            return false;
        };
        // Nearly all frames are such events.
        let piece = reading.reader.skip_known(piece);
        if piece.is_empty() {
            return false;
        }
        let terminators = self.shared.settings.terminators();
        let found = reading.reader.read(piece, reading.reads, terminators);
        let is_first = |time: Option<Elapsed>, has: bool| time.is_none() && has;
        let is_first_data = is_first(reading.first_data, reading.reader.has_data());
        let is_first_token = is_first(reading.first_token, reading.reader.answer().has_token);
        if is_first_data || is_first_token {
            let now = Elapsed::since_start(self.span.clock());
            reading.first_data.get_or_insert(now);
            if is_first_token {
                reading.first_token = Some(now);
            }
        }
        if let Some(failure) = found.failure {
            self.record_failure(*failure);
        }
        found.is_over
    }

    /// Records a failure as a verdict. It shares a field with the handler's, because the first one counts.
    fn record_failure(&self, failure: Failure) {
        let Failure { message, code } = failure;
        self.span.record_internal(|buffer| {
            let verdict = &mut buffer.verdict;
            verdict.get_or_insert_with(|| Verdict {
                code,
                ..Verdict::new(GENERATION_ERROR, message)
            });
        });
    }

    /// Reads the end of the answer when its body is over. The last line may lack its line end.
    pub(super) fn finish_answer(&mut self) -> AnswerEnd {
        let Phase::Streaming(Streaming { reading, .. }) = &mut self.phase else {
            return AnswerEnd::Open;
        };
        let Some(reading) = reading.as_deref_mut().filter(|it| !it.is_incomplete) else {
            return AnswerEnd::Open;
        };
        let settings = &self.shared.settings;
        let found = reading.reader.finish(reading.reads, settings.terminators());
        let end = if found.is_over {
            AnswerEnd::Terminated
        } else if reading.needs_end && reading.reader.is_truncated(settings.llm_formats) {
            AnswerEnd::Truncated
        } else {
            AnswerEnd::Open
        };
        if let Some(failure) = found.failure {
            self.record_failure(*failure);
        }
        end
    }

    /// Reads a whole answer that was dropped. Its body may not be over, but its JSON may.
    pub(super) fn finish_dropped_answer(&mut self) {
        let reading = self.phase.streaming().and_then(|it| it.reading.as_ref());
        if reading.is_some_and(|reading| reading.is_whole_answer()) {
            self.finish_answer();
        }
    }

    /// Adds what was read in the answer to the attributes, where the handler has not set them.
    pub(super) fn add_answer(&self, buffer: &mut Option<Box<SpanBuffer>>) {
        let reading = self.phase.streaming().and_then(|it| it.reading.as_ref());
        let Some(reading) = reading.filter(|reading| reading.reads.facts) else {
            return;
        };
        if reading.reader.answer().format.is_some() {
            describe_answer(reading.reader.answer(), buffer.get_or_insert_default());
        }
    }
}
