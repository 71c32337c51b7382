//! Ends an exchange: decides its outcome, records it in all signals, and ends the span.

use std::time::Duration;

use http::HeaderMap;

use crate::catch_panic::catch_panic;
use crate::exchange::state::{Ending, Exchange};
use crate::outcome::{End, Head, Outcome, Verdict};
use crate::recording::buffer::SpanBuffer;
use crate::recording::clock::Elapsed;
use crate::recording::completion::Completion;
use crate::recording::request_info::Conventions;
use crate::telemetry::span::end::write_end;

impl Exchange {
    /// Decides the outcome, records it, and ends the span. If recording panics, the span still ends.
    pub(super) fn settle(mut self: Box<Self>, ending: &Ending) {
        if catch_panic(|| self.record_end(ending)).is_none() {
            self.span.end_unrecorded();
        }
    }

    fn record_end(&mut self, ending: &Ending) {
        if !self.span.is_observed() {
            self.span.end_unrecorded();
            return;
        }
        let buffer = self.span.close();
        let measurement = self.measurement.take();
        if let Some(measurement) = &measurement {
            measurement.leave_active(&self.request);
        }
        let duration = self.duration(ending, buffer.as_deref());
        let mut at_start = self.at_start.take();
        let mut completion = self.complete(buffer, &ending.end, duration);
        let settings = &self.shared.settings;
        if let Some(measurement) = measurement {
            catch_panic(|| measurement.record(&completion, settings));
        }
        // Before the span ends, so that log processors find an open span in the current context.
        let loggers = &self.shared.providers.loggers;
        if loggers.is_set() {
            catch_panic(|| loggers.emit(&completion, &self.span, settings.lifecycle_events));
        }
        self.span.end(completion.at, &mut |span, late| {
            if let Some(at_start) = &mut at_start {
                write_end(span, &mut completion, late, at_start, settings);
            }
        });
    }

    /// Returns the time from the arrival to the end, or to the handler's last record if that is later.
    fn duration(&self, ending: &Ending, buffer: Option<&SpanBuffer>) -> Duration {
        let end = ending.at.unwrap_or_else(|| self.elapsed()).duration();
        let last_recorded = buffer.and_then(|buffer| buffer.last_recorded);
        last_recorded.map_or(end, |last| self.span.clock().since_start(last).max(end))
    }

    /// Builds the completion.
    fn complete<'a>(
        &'a self,
        mut buffer: Option<Box<SpanBuffer>>,
        end: &'a End,
        duration: Duration,
    ) -> Completion<'a> {
        let verdict = buffer
            .as_mut()
            .and_then(|buffer| buffer.verdict.take().or(buffer.status_error.take()));
        let head = self.head();
        let outcome = self.decide(&head, end, verdict.as_ref(), buffer.as_deref());
        let streaming = self.phase.streaming();
        let first_byte = streaming.and_then(|streaming| streaming.time_to_first_byte);
        let time_to_first_byte = first_byte.map(Elapsed::duration);
        let started = self.span.clock().started();
        let has_journey = self.shared.settings.journey_events && !head.is_error_status();
        let (request_bytes, response_bytes) = self.body_sizes();
        Completion {
            request: &self.request,
            head,
            end,
            outcome,
            is_outcome_from_verdict: verdict.is_some() && !matches!(end, End::Panicked),
            at: started + duration,
            duration,
            time_to_head: streaming
                .and_then(|streaming| streaming.time_to_head)
                .map(Elapsed::duration),
            time_to_first_byte,
            first_response: time_to_first_byte
                .filter(|_| has_journey)
                .map(|time| started + time),
            request_bytes,
            response_bytes,
            is_event_stream: streaming.is_some_and(|streaming| streaming.is_event_stream),
            is_stream: streaming.is_some_and(|streaming| streaming.is_stream)
                || buffer.as_ref().is_some_and(|buffer| buffer.is_stream),
            error_type_name: self.cold.as_ref().and_then(|cold| cold.error_type_name),
            captured: self.cold.as_ref().map_or(&[], |cold| &cold.captured),
            buffer,
        }
    }

    /// Returns the sizes of the request's and the response's body, if the settings ask for them and they are
    /// known. The conventions define them for HTTP only.
    fn body_sizes(&self) -> (Option<u64>, Option<u64>) {
        if !self.shared.settings.body_sizes || self.request.conventions != Conventions::Http {
            return (None, None);
        }
        let declared = || self.cold.as_ref()?.request_length;
        let streaming = self.phase.streaming();
        (
            self.span.request_bytes().or_else(declared),
            streaming.map(|streaming| streaming.body.delivered()),
        )
    }

    /// Decides the outcome. Returns `None` if the operator's classification panics.
    fn decide(
        &self,
        head: &Head,
        end: &End,
        verdict: Option<&Verdict>,
        buffer: Option<&SpanBuffer>,
    ) -> Option<Outcome> {
        let settings = &self.shared.settings;
        let outcome = settings.classify(head, end, verdict)?;
        let is_disconnect_allowed = !settings.disconnect_is_error
            || buffer.is_some_and(|buffer| buffer.is_disconnect_allowed);
        Some(match (end, verdict) {
            (End::Dropped { .. }, None) if is_disconnect_allowed => {
                outcome.without_disconnect_error()
            }
            _ => outcome,
        })
    }

    /// Adds the response's trace headers, if the settings ask for them and the request has a span.
    #[inline]
    pub(super) fn write_trace_headers(&self, headers: &mut HeaderMap) {
        let trace_headers = self.shared.settings.trace_headers;
        if trace_headers.is_enabled() && self.at_start.is_some() {
            trace_headers.write(self.span.span_context(), headers);
        }
    }
}
