//! What is written at the end: what was told, what is known, and the outcome.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use opentelemetry::KeyValue;
use opentelemetry::global::ObjectSafeSpan;
use opentelemetry::trace::Status;

use super::RequestSpan;
use crate::catch_panic::catch_panic;
use crate::outcome::{Aborted, End, Outcome};
use crate::protocol::grpc::{GrpcCode, GrpcStatus, Protocol};
use crate::recording::buffer::{Event, SpanBuffer};
use crate::recording::clock::Elapsed;
use crate::recording::completion::{Completion, is_refused};
use crate::semconv as key;
use crate::telemetry::span::{self, EndAttributes};

impl RequestSpan {
    /// Settles the request: an end becomes an outcome, whoever listens is told, and the span is ended.
    /// Whatever fails on the way, it is ended.
    pub(super) fn settle(&mut self, end: &End) {
        let told = self.slot.close();
        if !self.listens {
            self.slot.end_unrecorded();
            return;
        }
        let metered = self.metered.take();
        if let Some(metered) = &metered {
            metered.leave(&self.facts);
        }
        let whole_at = match end {
            End::Complete { .. } => self.whole_at,
            End::LengthMismatch { .. }
            | End::ServiceError { .. }
            | End::BodyError { .. }
            | End::Dropped { .. }
            | End::Panicked => None,
        };
        let timeline = self.slot.timeline();
        let over = whole_at.unwrap_or_else(|| self.elapsed()).duration();
        let last = told.as_ref().and_then(|told| told.last);
        let duration = last.map_or(over, |last| timeline.since_start(last).max(over));
        let at = timeline.started() + duration;
        let mut summary = catch_panic(|| self.summary(told, end, at, duration));
        if let Some(summary) = &summary {
            if let Some(metered) = metered {
                catch_panic(|| metered.finish(summary, &self.config));
            }
            // While the span is open and in its slot, so that who reads the current one finds it.
            if self.config.loggers.is_set() {
                catch_panic(|| self.config.loggers.emit(summary, &self.slot, &self.config));
            }
        }
        self.slot.end(at, &mut |span, late| {
            // It is called once at most, and may take from the summary.
            if let Some(summary) = &mut summary {
                self.write(span, summary, late);
            }
        });
    }

    fn summary<'a>(
        &'a self,
        mut told: Option<Box<SpanBuffer>>,
        end: &'a End,
        at: SystemTime,
        duration: Duration,
    ) -> Completion<'a> {
        let verdict = told
            .as_mut()
            .and_then(|told| told.verdict.take().or(told.error.take()));
        let is_told = |what: fn(&SpanBuffer) -> bool| told.as_deref().is_some_and(what);
        let tolerated = !self.config.disconnect_is_error || is_told(|told| told.disconnect_allowed);
        let outcome = self.config.classify(&self.head, end, verdict.as_ref());
        let outcome = outcome.map(|outcome| match (outcome, end, &verdict) {
            (outcome, End::Dropped { .. }, None) if tolerated => outcome.tolerated(),
            (outcome, ..) => outcome,
        });
        let is_sized = self.config.body_sizes && self.facts.protocol == Protocol::Http;
        let response_bytes = match (&self.delivery, self.head.status) {
            (Some(delivery), _) => Some(delivery.delivered()),
            // There was a head and can be no body.
            (None, status) => status.map(|_| 0),
        };
        let time_to_first_byte = self.time_to_first_byte.map(Elapsed::duration);
        Completion {
            facts: &self.facts,
            head: &self.head,
            end,
            outcome,
            at,
            duration,
            time_to_head: self.time_to_head.map(Elapsed::duration),
            time_to_first_byte,
            first_response: time_to_first_byte
                .filter(|_| self.config.journey_events && !is_refused(&self.head))
                .map(|time| self.slot.timeline().started() + time),
            request_bytes: self
                .slot
                .request_bytes()
                .or_else(|| self.rare.as_ref()?.request_length)
                .filter(|_| is_sized),
            response_bytes: response_bytes.filter(|_| is_sized),
            is_event_stream: self.is_event_stream,
            is_stream: self.is_stream || is_told(|told| told.is_stream),
            error_type_name: self.rare.as_ref().and_then(|rare| rare.error_type_name),
            is_by_verdict: verdict.is_some() && !matches!(end, End::Panicked),
            told,
        }
    }

    /// Writes what was told and what is known at the end. A panic on the way leaves the rest
    /// unwritten, and the terminal event, which is the last, in any case.
    fn write(
        &self,
        span: &mut dyn ObjectSafeSpan,
        summary: &mut Completion<'_>,
        late: Option<Box<SpanBuffer>>,
    ) {
        let mut told = SpanBuffer::with_late(summary.told.take(), late, summary.at);
        let has_lifecycle = self.config.lifecycle_events.are_on_spans();
        let mut first_response = summary.first_response;
        if !has_lifecycle {
            first_response = None;
            if let Some(told) = &mut told {
                told.events
                    .retain(|event| !event.name.starts_with(key::OWN_PREFIX));
            }
        }
        // Of most requests there is neither.
        if told.is_some() || first_response.is_some() {
            write_events_and_links(span, told.as_deref_mut(), first_response);
        }

        let is_said_again = told
            .as_ref()
            .is_some_and(|told| !told.attributes.is_empty());
        let mut list = EndAttributes::new(span, &self.written, is_said_again);
        span::of_response(&self.head, summary.end, &mut list);
        let is_first_chunk = summary.is_event_stream && self.config.journey_events;
        for (key, time) in [
            (key::API_TIME_TO_HEAD, summary.time_to_head),
            (key::API_TIME_TO_FIRST_BYTE, summary.time_to_first_byte),
            (
                key::GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK,
                summary
                    .time_to_first_byte
                    .filter(|_| is_first_chunk && !summary.is_refused()),
            ),
        ] {
            if let Some(time) = time {
                list.set(KeyValue::new(key, time.as_secs_f64()));
            }
        }
        if let Some(SpanBuffer { dropped, .. }) = told.as_deref() {
            for (key, dropped) in [
                (key::API_DROPPED_ATTRIBUTES, dropped.attributes),
                (key::API_DROPPED_EVENTS, dropped.events),
            ] {
                if dropped > 0 {
                    list.set(KeyValue::new(key, dropped));
                }
            }
        }
        if let Some(outcome) = &summary.outcome {
            span::of_outcome(outcome, &mut list);
        }
        for (key, bytes) in [
            (key::HTTP_REQUEST_BODY_SIZE, summary.request_bytes),
            (key::HTTP_RESPONSE_BODY_SIZE, summary.response_bytes),
        ] {
            if let Some(bytes) = bytes {
                list.set(span::body_size(key, bytes));
            }
        }
        if summary.is_stream && self.config.meters.mark_streams() {
            list.set(KeyValue::new(key::API_STREAM, true));
        }
        let (name, route, attributes) = told
            .map(|told| (told.name, told.route, told.attributes))
            .unwrap_or_default();
        let name = self.late_name(name, route, summary.end, &mut list);
        if let Some(rare) = &self.rare {
            for attribute in &rare.captured {
                list.set(attribute.clone());
            }
        }
        for attribute in attributes {
            list.set_told(attribute);
        }
        if let Some(name) = name {
            span.update_name(name);
        }
        if let Some(outcome) = summary.outcome.take() {
            write_outcome(span, outcome, summary.at, has_lifecycle);
        }
    }

    /// Whether nobody but the client has said that there is such a method: no server has answered, or
    /// it has denied it.
    fn is_unknown_call(&self, end: &End) -> bool {
        self.head.status.is_none() || is_unimplemented(end)
    }

    /// The name, if the end knows a better one than the start: the handler's, or that of a route that
    /// was learnt later. And of what the client called a gRPC method, but the server knows to be none,
    /// no name is made.
    fn late_name(
        &self,
        told: Option<Cow<'static, str>>,
        route: Option<String>,
        end: &End,
        list: &mut EndAttributes<'_>,
    ) -> Option<Cow<'static, str>> {
        let is_call = self.facts.protocol != Protocol::Http;
        let mut better = None;
        if is_call && self.head.protocol == Protocol::Http {
            let of_no_call = span::of_no_call(&self.head, &self.facts, list);
            better = Some(of_no_call);
        } else if is_call && !self.config.rpc_methods.has_list() && self.is_unknown_call(end) {
            better = Some(span::of_unknown_call());
        }
        if let Some(route) = route
            && self.head.protocol == Protocol::Http
            && self.facts.route.is_none()
        {
            let (name, attribute) = span::late_route(&self.facts, route);
            list.set(attribute);
            better = Some(name);
        }
        told.or_else(|| better.filter(|_| !self.is_named))
    }
}

/// Whether a gRPC server has said that it has no such method.
fn is_unimplemented(end: &End) -> bool {
    matches!(
        end,
        End::Complete {
            grpc_status: Some(GrpcStatus {
                code: GrpcCode::UNIMPLEMENTED,
                ..
            })
        }
    )
}

/// What was told and is no attribute, and the engine's first answer among it by its time.
fn write_events_and_links(
    span: &mut dyn ObjectSafeSpan,
    told: Option<&mut SpanBuffer>,
    first_response: Option<SystemTime>,
) {
    let (mut events, links) = told
        .map(|told| {
            (
                std::mem::take(&mut told.events),
                std::mem::take(&mut told.links),
            )
        })
        .unwrap_or_default();
    if let Some(at) = first_response {
        let place = place_by_time(&events, at);
        let name = key::EVENT_FIRST_RESPONSE_FROM_CORE.into();
        let attributes = Vec::new();
        let event = Event {
            name,
            at,
            attributes,
        };
        events.insert(place, event);
    }
    for event in events {
        span.add_event_with_timestamp(event.name, event.at, event.attributes);
    }
    for (span_context, attributes) in links {
        catch_panic(|| span.add_link(span_context, attributes));
    }
}

/// Where an event of the layer's own belongs among those that were told, which are in the order of telling: a
/// handler may give an event a time of its own. Behind all that are not later, but not behind one of the
/// layer's own that is.
fn place_by_time(events: &[Event], at: SystemTime) -> usize {
    let behind = events.iter().rposition(|event| event.at <= at);
    let is_own_and_later = |event: &Event| event.name.starts_with(key::OWN_PREFIX) && event.at > at;
    let before = events.iter().position(is_own_and_later);
    let behind = behind.map_or(0, |place| place + 1);
    before.map_or(behind, |before| before.min(behind))
}

/// The status, once, and the terminal event, last.
fn write_outcome(
    span: &mut dyn ObjectSafeSpan,
    outcome: Outcome,
    at: SystemTime,
    has_lifecycle: bool,
) {
    if let Outcome::Aborted(Aborted {
        error_type: Some(_),
        message,
        ..
    }) = &outcome
    {
        span.set_status(Status::error(message.clone().unwrap_or_default()));
    }
    if has_lifecycle {
        let (name, attributes) = span::terminal_event(outcome);
        span.add_event_with_timestamp(name.into(), at, attributes);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_event_of_the_layers_own_has_its_place_by_time() {
        let handoff = key::EVENT_HANDOFF_TO_CORE;
        for (rule, told, expected) in [
            ("nothing was told", &[][..], 0),
            ("before what is later", &[("late", 7)], 0),
            (
                "behind what is earlier, or at the same time",
                &[("a", 3), ("b", 5), ("c", 6)],
                2,
            ),
            (
                "a time of the handler's own comes before a handoff",
                &[("eta", 9), (handoff, 4)],
                2,
            ),
            (
                "a handoff of the same time comes before",
                &[(handoff, 5)],
                1,
            ),
            ("a handoff is told late", &[("a", 3), (handoff, 6)], 1),
            (
                "an earlier time is told behind a late handoff",
                &[(handoff, 6), ("a", 1)],
                0,
            ),
        ] {
            let time = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            let event = |(name, seconds): &(&'static str, u64)| Event {
                name: (*name).into(),
                at: time(*seconds),
                attributes: Vec::new(),
            };
            let told: Vec<_> = told.iter().map(event).collect();
            assert_eq!(place_by_time(&told, time(5)), expected, "{rule}");
        }
    }
}
