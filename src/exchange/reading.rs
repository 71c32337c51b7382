//! An answer of a language model that is being read.

use http::response;

use crate::protocol::grpc::Protocol;
use crate::protocol::http::content_type::ContentType;
use crate::protocol::http::progress::is_unencoded;
use crate::protocol::llm::{Answer, AnswerReader, Failure, Findings, Framing, LlmFormat, Reads};
use crate::recording::clock::{Clock, Elapsed};
use crate::settings::Settings;

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
    /// When the first event with data was returned, other than a failure or the end.
    first_content: Option<Elapsed>,
    first_token: Option<Elapsed>,
    /// The time of the last frame whose time was read: of the first, and of each that completes the declared length or
    /// goes beyond it.
    frame_at: Option<Elapsed>,
    /// Whether frames were missed, so that nothing follows from what was not read.
    is_incomplete: bool,
    /// Whether a stream that lacks its end is truncated. An error status, or a gRPC status, says what happened.
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
        parts: &response::Parts,
        answered: Protocol,
        settings: &Settings,
    ) -> Option<Box<Self>> {
        let is_success = parts.status.as_u16() < 400;
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
        is_unencoded(&parts.headers).then(|| {
            Box::new(Self {
                reader: AnswerReader::new(framing),
                reads: Reads {
                    formats,
                    failures: settings.stream_errors,
                    facts: settings.gen_ai_attributes && is_success,
                },
                first_content: None,
                first_token: None,
                frame_at: None,
                is_incomplete: false,
                needs_end: is_success && answered == Protocol::Http,
            })
        })
    }

    /// Reads a frame. `now` is its time, if that was read.
    pub(super) fn read(
        &mut self,
        frame: &[u8],
        settings: &Settings,
        clock: &Clock,
        now: Option<Elapsed>,
    ) -> Findings {
        if self.is_incomplete {
            return Findings::default();
        }
        self.frame_at = now.or(self.frame_at);
        let terminator = settings.stream_terminators.data.as_deref();
        // Nearly all frames are such events.
        let rest = self.reader.skip_known(frame, terminator);
        if rest.is_empty() {
            return Findings::default();
        }
        let found = self.reader.read(rest, self.reads, settings.terminators());
        self.note_times(clock, now);
        found
    }

    /// Records that a frame was missed.
    pub(super) fn miss_frame(&mut self) {
        self.is_incomplete = true;
    }

    /// Reads the end, when the body is over. The last line may lack its line end. It came with the last frame, whose time
    /// is known if all declared bytes were returned.
    pub(super) fn finish(
        &mut self,
        settings: &Settings,
        clock: &Clock,
        has_all: bool,
    ) -> (AnswerEnd, Option<Box<Failure>>) {
        if self.is_incomplete {
            return (AnswerEnd::Open, None);
        }
        let found = self.reader.finish(self.reads, settings.terminators());
        self.note_times(clock, self.frame_at.filter(|_| has_all));
        let end = if found.is_over {
            AnswerEnd::Terminated
        } else if self.needs_end && self.reader.is_truncated(settings.llm_formats) {
            AnswerEnd::Truncated
        } else {
            AnswerEnd::Open
        };
        (end, found.failure)
    }

    fn note_times(&mut self, clock: &Clock, now: Option<Elapsed>) {
        let is_first_content = self.first_content.is_none() && self.reader.has_content();
        let is_first_token = self.first_token.is_none() && self.reader.answer().has_token;
        if is_first_content || is_first_token {
            let now = now.unwrap_or_else(|| Elapsed::since_start(clock));
            self.first_content.get_or_insert(now);
            if is_first_token {
                self.first_token = Some(now);
            }
        }
    }

    pub(super) fn is_whole_answer(&self) -> bool {
        self.reader.framing() == Framing::Whole
    }

    /// Returns the answer, if its attributes are recorded.
    pub(super) fn recorded_answer(&self) -> Option<&Answer> {
        self.reads.facts.then(|| self.reader.answer())
    }

    /// Returns the time of the first token. `None` if there was none, or this is no stream.
    ///
    /// An event stream of no known format has tokens of an unknown kind: the first one is the first event with data. If
    /// frames were missed before, it is `first_byte`.
    pub(super) fn first_token(&self, first_byte: Option<Elapsed>) -> Option<Elapsed> {
        match (self.reader.answer().format, self.reader.framing()) {
            (_, Framing::Whole) | (None, Framing::Lines) => None,
            (Some(_), Framing::EventStream | Framing::Lines) => self.first_token,
            (None, Framing::EventStream) if self.is_incomplete => self.first_content.or(first_byte),
            (None, Framing::EventStream) => self.first_content,
        }
    }

    /// Whether it is a stream whose tokens are known.
    pub(super) fn has_tokens(&self) -> bool {
        match self.reader.framing() {
            Framing::EventStream => !self.reader.is_text(),
            Framing::Lines => self.reader.answer().format.is_some(),
            Framing::Whole => false,
        }
    }
}
