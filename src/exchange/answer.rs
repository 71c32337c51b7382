//! Reads the answer of a language model in the response body, as the frames pass.

use bytes::Buf;

use crate::exchange::frame::contiguous;
use crate::exchange::reading::AnswerEnd;
use crate::exchange::state::{Exchange, Phase, Streaming};
use crate::outcome::Verdict;
use crate::outcome::reason::GENERATION_ERROR;
use crate::protocol::llm::Failure;
use crate::recording::buffer::SpanBuffer;
use crate::recording::clock::Elapsed;
use crate::telemetry::gen_ai::describe_answer;

impl Exchange {
    /// Reads a frame of the answer. `now` is its time, if that was read. Returns whether the frame completes the end of
    /// the stream.
    pub(super) fn read_answer(
        &mut self,
        data: &impl Buf,
        bytes: usize,
        now: Option<Elapsed>,
    ) -> bool {
        let Phase::Streaming(Streaming { reading, .. }) = &mut self.phase else {
            return false;
        };
        let Some(reading) = reading else {
            return false;
        };
        let Some(frame) = contiguous(data, bytes) else {
            reading.miss_frame();
            return false;
        };
        let found = reading.read(frame, &self.shared.settings, self.span.clock(), now);
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
        let Phase::Streaming(Streaming { reading, body, .. }) = &mut self.phase else {
            return AnswerEnd::Open;
        };
        let Some(reading) = reading else {
            return AnswerEnd::Open;
        };
        let settings = &self.shared.settings;
        let (end, failure) = reading.finish(settings, self.span.clock(), body.has_delivered_all());
        if let Some(failure) = failure {
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
        let answer = reading.and_then(|reading| reading.recorded_answer());
        if let Some(answer) = answer.filter(|answer| answer.format.is_some()) {
            describe_answer(answer, buffer.get_or_insert_default());
        }
    }
}

impl Streaming {
    /// Returns the time of the first token of a stream.
    pub(super) fn time_to_first_token(&self) -> Option<Elapsed> {
        let first_byte = self.time_to_first_byte.filter(|_| self.is_event_stream);
        match &self.reading {
            Some(reading) => reading.first_token(first_byte),
            None => first_byte,
        }
    }

    /// Returns the time of the first response from the engine: a stream's first token, or the first byte.
    pub(super) fn time_to_first_response(&self) -> Option<Elapsed> {
        match &self.reading {
            Some(reading) if reading.has_tokens() => self.time_to_first_token(),
            Some(_) | None => self.time_to_first_byte,
        }
    }
}
