//! Ends an exchange: decides its outcome, records it in all signals, and ends the span.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::{Context, StringValue};

use crate::catch_panic::catch_panic;
use crate::exchange::shared::Shared;
use crate::exchange::state::{Ending, Exchange, Streaming};
use crate::outcome::method_evidence::{MethodEvidence, method_evidence};
use crate::outcome::{Completion, End, Outcome};
use crate::propagation::current::with_current;
use crate::protocol::grpc::Protocol;
use crate::recording::buffer::SpanBuffer;
use crate::recording::clock::Elapsed;
use crate::recording::ended_request::EndedRequest;
use crate::recording::request_info::{CalledMethod, Conventions};
use crate::telemetry::metrics::Measurement;
use crate::telemetry::span::end::write_end;

impl Exchange {
    /// Decides the ending and the outcome, records them, and ends the span. If anything on the way panics, the
    /// span is ended all the same.
    pub(super) fn settle(mut self: Box<Self>, ending: impl FnOnce(&mut Self) -> Ending) {
        let recorded = catch_panic(|| {
            let mut ending = ending(&mut self);
            if self.span.is_request_unfinished() {
                ending = self.with_unfinished_request(ending);
            }
            self.record_end(ending);
        });
        if recorded.is_none() {
            self.span.end_unrecorded();
        }
    }

    fn record_end(&mut self, ending: Ending) {
        if !self.span.is_observed() {
            self.span.end_unrecorded();
            return;
        }
        let mut buffer = self.span.close();
        self.add_answer(&mut buffer);
        let measurement = self.measurement.take();
        if let Some(measurement) = &measurement {
            measurement.leave_active(&self.request);
        }
        let duration = self.duration(&ending, buffer.as_deref());
        let mut at_start = self.at_start.take();
        let path = self.cold.as_mut().and_then(|cold| cold.path.take());
        let mut completion = self.complete(buffer.as_deref_mut(), ending.end, duration);
        completion.path = path;
        let mut ended = self.conclude(buffer, &mut completion);
        if let Some(context) = &self.context {
            self.report(context, measurement, &ended);
        }
        let settings = &self.shared.settings;
        self.span.end(ended.at, &mut |span, late| {
            if let Some(at_start) = &mut at_start {
                write_end(span, &mut ended, late, at_start, settings);
            }
        });
    }

    /// Reports the request to metrics, logs and the operator's callback, before the span ends. Its context is current,
    /// for exemplars and for log processors. No lock is held: what they record is late, so it cannot change the outcome.
    #[inline(never)]
    fn report(
        &self,
        context: &Context,
        measurement: Option<Measurement>,
        ended: &EndedRequest<'_>,
    ) {
        let Shared {
            settings,
            providers,
            learnt_models,
            ..
        } = &*self.shared;
        with_current(context, || {
            #[cfg(feature = "tracing")]
            let _entered = self.enter_tracing_span();
            if let Some(measurement) = measurement {
                catch_panic(|| measurement.record(ended, settings, learnt_models));
            }
            if self.emits_events {
                let loggers = &providers.loggers;
                catch_panic(|| loggers.emit(ended, &self.span, settings.lifecycle_events));
            }
            #[cfg(feature = "tracing")]
            if let Some(log) = self.cold.as_ref().and_then(|cold| cold.log.as_ref()) {
                catch_panic(|| log.write_end(ended.completion, settings));
            }
            let callback = &settings.on_completion;
            callback.call(|callback| callback(ended.completion));
        });
    }

    /// Returns the time from the arrival to the end, or to the handler's last record if that is later.
    fn duration(&self, ending: &Ending, buffer: Option<&SpanBuffer>) -> Duration {
        let end = ending.at.unwrap_or_else(|| self.elapsed()).duration();
        let last_recorded = buffer.and_then(|buffer| buffer.last_recorded);
        last_recorded.map_or(end, |last| self.span.clock().since_start(last).max(end))
    }

    /// Decides the outcome, and adds what is still to be written of the request.
    fn conclude<'a>(
        &'a self,
        buffer: Option<Box<SpanBuffer>>,
        completion: &'a mut Completion,
    ) -> EndedRequest<'a> {
        let started = self.span.clock().started();
        completion.outcome = self.decide(completion, buffer.as_deref());
        if let Some(Outcome::Aborted(aborted)) = &mut completion.outcome {
            aborted.limit_message(self.shared.settings.max_error_message);
        }
        let has_first_response =
            self.shared.settings.journey_events && !completion.is_error_status();
        let streaming = self.phase.streaming().filter(|_| has_first_response);
        let first_response = streaming.and_then(Streaming::time_to_first_response);
        let cold = self.cold.as_ref();
        EndedRequest {
            request: &self.request,
            rpc_method: self.known_method(completion),
            target: cold.and_then(|cold| cold.target.as_ref()),
            at: started + completion.duration,
            first_response: first_response.map(|time| started + time.duration()),
            error_type_name: cold.and_then(|cold| cold.error_type_name),
            captured: cold.map_or(&[], |cold| &cold.captured),
            completion,
            buffer,
        }
    }

    /// Returns what the request has come to, without an outcome.
    #[expect(
        clippy::inline_always,
        reason = "made in place: a record is expensive to move"
    )]
    #[inline(always)]
    fn complete(
        &self,
        mut buffer: Option<&mut SpanBuffer>,
        end: End,
        duration: Duration,
    ) -> Completion {
        let verdict = buffer
            .as_mut()
            .and_then(|buffer| buffer.verdict.take().or(buffer.status_error.take()));
        let streaming = self.phase.streaming();
        let elapsed = |time: fn(&Streaming) -> Option<Elapsed>| {
            let time = streaming.and_then(time);
            time.map(Elapsed::duration)
        };
        let attributes = buffer
            .as_mut()
            .filter(|_| self.shared.settings.passes_completion())
            .map(|buffer| Box::new(std::mem::take(&mut buffer.attributes)));
        let (request_bytes, response_bytes) = self.body_sizes();
        let protocol = self.head_protocol();
        Completion {
            method: self.request.method.clone(),
            path: None,
            route: self.route(protocol, buffer.as_deref()),
            version: self.request.version,
            protocol,
            status: streaming.map(|streaming| streaming.status),
            end,
            verdict,
            outcome: None,
            duration,
            time_to_head: elapsed(|streaming| streaming.time_to_head),
            time_to_first_byte: elapsed(|streaming| streaming.time_to_first_byte),
            time_to_first_token: elapsed(Streaming::time_to_first_token),
            request_bytes,
            response_bytes,
            is_stream: streaming.is_some_and(|streaming| streaming.is_stream)
                || buffer.is_some_and(|buffer| buffer.is_stream),
            attributes,
            trace_id: self.span.span_context().trace_id(),
            span_id: self.span.span_context().span_id(),
        }
    }

    /// Returns the method of a gRPC call, if it is known by now. Learns it if the response confirms it: a method that
    /// cannot be learnt would be one of an unbounded number.
    fn known_method(&self, completion: &Completion) -> Option<StringValue> {
        let learnt = &self.shared.learnt_methods;
        match &self.request.rpc_method {
            CalledMethod::Unknown => None,
            CalledMethod::Known(method) => Some(StringValue::from(Arc::clone(method))),
            CalledMethod::Unconfirmed {
                name,
                is_of_known_service,
            } => {
                let is_learnt = match method_evidence(completion) {
                    MethodEvidence::Confirmed => learnt.add_confirmed(name),
                    MethodEvidence::Failed => *is_of_known_service && learnt.add_failed(name),
                    MethodEvidence::Missing => false,
                };
                is_learnt.then(|| StringValue::from(Arc::clone(name)))
            }
        }
    }

    /// Returns the route: the one known at the start or, for HTTP, the handler's.
    fn route(&self, protocol: Protocol, buffer: Option<&SpanBuffer>) -> Option<StringValue> {
        let late = || match protocol {
            Protocol::Http => Some(StringValue::from(buffer?.route.clone()?)),
            Protocol::Grpc | Protocol::GrpcWeb => None,
        };
        self.request.route.clone().or_else(late)
    }

    /// Returns the sizes of the request's and the response's body, where they are known and asked for. The
    /// conventions have them for HTTP alone.
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

    /// Decides the outcome. Returns `None` if the user's classification panics.
    fn decide(&self, completion: &Completion, buffer: Option<&SpanBuffer>) -> Option<Outcome> {
        let settings = &self.shared.settings;
        let outcome = settings.classify(completion)?;
        let is_disconnect_allowed = !settings.disconnect_is_error
            || buffer.is_some_and(|buffer| buffer.is_disconnect_allowed);
        Some(match (&completion.end, &completion.verdict) {
            (End::Dropped { .. }, None) if is_disconnect_allowed => {
                outcome.without_disconnect_error()
            }
            _ => outcome,
        })
    }
}
