//! What is written to a span when it ends.

use std::borrow::Cow;
use std::time::SystemTime;

use http::StatusCode;
use opentelemetry::global::ObjectSafeSpan;
use opentelemetry::trace::Status;
use opentelemetry::{KeyValue, StringValue, Value};

use crate::catch_panic::catch_panic;
use crate::outcome::lifecycle::terminal_event;
use crate::outcome::{Aborted, Outcome};
use crate::protocol::grpc::{GrpcCode, Protocol};
use crate::protocol::http::methods::KnownMethod;
use crate::recording::buffer::{Event, SpanBuffer};
use crate::recording::completion::Completion;
use crate::recording::request_info::{Conventions, RPC_SYSTEM_GRPC};
use crate::recording::written_keys::{OwnKey, WrittenKeys};
use crate::semconv::{EVENT_FIRST_RESPONSE_FROM_CORE, OWN_PREFIX};
use crate::settings::Settings;
use crate::text::truncate;

/// What the start of a span decided for its end.
#[derive(Debug)]
pub(crate) struct AtStart {
    pub(crate) keys: WrittenKeys,
    /// Whether the settings have named the span.
    pub(crate) is_named: bool,
}

/// Writes what was recorded and what is known at the end. The terminal event comes last, so that a panic
/// on the way leaves a span without one.
pub(crate) fn write_end(
    span: &mut dyn ObjectSafeSpan,
    completion: &mut Completion<'_>,
    late: Option<Box<SpanBuffer>>,
    at_start: &mut AtStart,
    settings: &Settings,
) {
    let mut buffer = SpanBuffer::merge(completion.buffer.take(), late, completion.at);
    let has_lifecycle = settings.lifecycle_events.is_on_span();
    write_events_and_links(span, buffer.as_deref_mut(), completion, has_lifecycle);
    let AtStart { keys, is_named } = at_start;
    let mut attributes = EndAttributes { span, keys };
    attributes.set_response(completion);
    attributes.set_times(completion, settings);
    attributes.set_dropped_counts(buffer.as_deref());
    attributes.set_outcome(completion);
    attributes.set_sizes(completion);
    if completion.is_stream && settings.marks_streams() {
        attributes.set(OwnKey::Stream, true);
    }
    let (name, route, from_handler) = buffer
        .map(|buffer| (buffer.name, buffer.route, buffer.attributes))
        .unwrap_or_default();
    let late_name = attributes.set_late_description(completion, route);
    for attribute in completion.captured {
        attributes.set_captured(attribute.clone());
    }
    for attribute in from_handler {
        attributes.set_from_handler(attribute);
    }
    if let Some(name) = name.or_else(|| late_name.filter(|_| !*is_named)) {
        span.update_name(name);
    }
    write_outcome(span, completion, has_lifecycle);
}

/// Writes the events and links that were recorded, and the engine's first response among the events.
fn write_events_and_links(
    span: &mut dyn ObjectSafeSpan,
    buffer: Option<&mut SpanBuffer>,
    completion: &Completion<'_>,
    has_lifecycle: bool,
) {
    let first_response = completion.first_response.filter(|_| has_lifecycle);
    // Most requests have neither.
    if buffer.is_none() && first_response.is_none() {
        return;
    }
    let (mut events, links) = match buffer {
        Some(buffer) => (
            std::mem::take(&mut buffer.events),
            std::mem::take(&mut buffer.links),
        ),
        None => Default::default(),
    };
    if !has_lifecycle {
        events.retain(|event| !event.name.starts_with(OWN_PREFIX));
    }
    if let Some(at) = first_response {
        let event = Event {
            name: EVENT_FIRST_RESPONSE_FROM_CORE.into(),
            at,
            attributes: Vec::new(),
        };
        events.insert(place_by_time(&events, at), event);
    }
    for event in events {
        span.add_event_with_timestamp(event.name, event.at, event.attributes);
    }
    for (span_context, attributes) in links {
        catch_panic(|| span.add_link(span_context, attributes));
    }
}

/// Returns where a lifecycle event belongs among the recorded events.
///
/// Those are in the order of recording, since the handler may give an event a time of its own. The place
/// is behind all events that are not later, but not behind a lifecycle event that is.
fn place_by_time(events: &[Event], at: SystemTime) -> usize {
    let last_earlier = events.iter().rposition(|event| event.at <= at);
    let is_later_lifecycle = |event: &Event| event.name.starts_with(OWN_PREFIX) && event.at > at;
    let first_later = events.iter().position(is_later_lifecycle);
    let behind = last_earlier.map_or(0, |place| place + 1);
    first_later.map_or(behind, |later| later.min(behind))
}

/// Writes the status, once, and the terminal event, last.
fn write_outcome(
    span: &mut dyn ObjectSafeSpan,
    completion: &mut Completion<'_>,
    has_lifecycle: bool,
) {
    let Some(outcome) = completion.outcome.take() else {
        return;
    };
    if let Outcome::Aborted(Aborted {
        error_type: Some(_),
        message,
        ..
    }) = &outcome
    {
        span.set_status(Status::error(message.clone().unwrap_or_default()));
    }
    if has_lifecycle {
        let (name, attributes) = terminal_event(outcome);
        span.add_event_with_timestamp(name.into(), completion.at, attributes);
    }
}

/// Writes attributes to a span that ends, each key once.
struct EndAttributes<'a> {
    span: &'a mut dyn ObjectSafeSpan,
    keys: &'a mut WrittenKeys,
}

impl EndAttributes<'_> {
    /// Writes an attribute of the layer's, unless the operator has set its key at the start.
    fn set(&mut self, key: OwnKey, value: impl Into<Value>) {
        if self.keys.claim_own(key) {
            self.span.set_attribute(KeyValue::new(key.name(), value));
        }
    }

    /// Writes a captured header, unless its key is taken.
    fn set_captured(&mut self, attribute: KeyValue) {
        if self.keys.claim(&attribute.key) {
            self.span.set_attribute(attribute);
        }
    }

    /// Writes an attribute of the handler's, unless its key is taken or the layer's. The handler's are the last,
    /// and each has another key, so none is claimed: 128 keys would be compared with each other.
    fn set_from_handler(&mut self, attribute: KeyValue) {
        if self.keys.is_free(&attribute.key) {
            self.span.set_attribute(attribute);
        }
    }

    fn set_response(&mut self, completion: &Completion<'_>) {
        let head = &completion.head;
        let is_call = head.protocol != Protocol::Http;
        if is_call && let Some(code) = completion.end.grpc_code() {
            self.set(OwnKey::RpcStatusCode, GrpcCode::name(code));
        }
        // A gRPC answer is a 200. Any other was made by something that has only HTTP.
        if let Some(status) = head.status
            && (!is_call || status != StatusCode::OK)
        {
            self.set(OwnKey::StatusCode, i64::from(status.as_u16()));
        }
    }

    fn set_times(&mut self, completion: &Completion<'_>, settings: &Settings) {
        let has_first_chunk =
            completion.is_event_stream && settings.journey_events && !completion.is_refused();
        let first_byte = completion.time_to_first_byte;
        for (key, time) in [
            (OwnKey::TimeToHead, completion.time_to_head),
            (OwnKey::TimeToFirstByte, first_byte),
            (OwnKey::FirstChunk, first_byte.filter(|_| has_first_chunk)),
        ] {
            if let Some(time) = time {
                self.set(key, time.as_secs_f64());
            }
        }
    }

    fn set_dropped_counts(&mut self, buffer: Option<&SpanBuffer>) {
        let Some(SpanBuffer { dropped, .. }) = buffer else {
            return;
        };
        for (key, dropped) in [
            (OwnKey::DroppedAttributes, dropped.attributes),
            (OwnKey::DroppedEvents, dropped.events),
        ] {
            if dropped > 0 {
                self.set(key, dropped);
            }
        }
    }

    fn set_outcome(&mut self, completion: &Completion<'_>) {
        match &completion.outcome {
            None => {}
            Some(Outcome::Departed) => self.set(OwnKey::Outcome, "DEPARTED"),
            Some(Outcome::Aborted(Aborted {
                reason, error_type, ..
            })) => {
                self.set(OwnKey::Outcome, "ABORTED");
                self.set(OwnKey::AbortReason, *reason);
                if let Some(error_type) = error_type {
                    self.set(OwnKey::ErrorType, error_type.clone());
                }
            }
        }
    }

    fn set_sizes(&mut self, completion: &Completion<'_>) {
        for (key, bytes) in [
            (OwnKey::RequestBodySize, completion.request_bytes),
            (OwnKey::ResponseBodySize, completion.response_bytes),
        ] {
            if let Some(bytes) = bytes {
                self.set(key, i64::try_from(bytes).unwrap_or(i64::MAX));
            }
        }
    }

    /// Sets what is known of the request only now. Returns the name, if that changes.
    fn set_late_description(
        &mut self,
        completion: &Completion<'_>,
        route: Option<String>,
    ) -> Option<Cow<'static, str>> {
        let request = completion.request;
        let is_answered_by_http = completion.head.protocol == Protocol::Http;
        let mut name = None;
        if request.conventions == Conventions::Rpc {
            if is_answered_by_http {
                name = Some(self.describe_as_http(completion));
            } else if !request.has_rpc_method_list && is_unconfirmed_call(completion) {
                name = Some(Cow::Borrowed(RPC_SYSTEM_GRPC));
            }
        }
        if let Some(route) = route
            && is_answered_by_http
            && request.route.is_none()
        {
            name = Some(request.http_name(Some(&route)));
            self.set(OwnKey::Route, route);
        }
        name
    }

    /// Adds HTTP's attributes to a request that claimed to be a gRPC call and was answered in plain HTTP.
    /// Returns HTTP's name, since a client may claim any method.
    fn describe_as_http(&mut self, completion: &Completion<'_>) -> Cow<'static, str> {
        let request = completion.request;
        self.set(OwnKey::Method, request.method_or_other());
        if request.known_method == KnownMethod::Unknown {
            let original = truncate(request.method.as_str()).to_owned();
            self.set(OwnKey::MethodOriginal, original);
        }
        self.set(OwnKey::Scheme, request.scheme.clone());
        if let Some(version) = request.http_version() {
            self.set(OwnKey::ProtocolVersion, version);
        }
        if let Some(route) = request.route.clone() {
            self.set(OwnKey::Route, route);
        }
        request.http_name(request.route.as_ref().map(StringValue::as_str))
    }
}

/// Whether nothing but the client's path names the called method: no server answered, or the server has
/// no such method.
fn is_unconfirmed_call(completion: &Completion<'_>) -> bool {
    let code = completion.end.sent_grpc_code();
    completion.head.status.is_none() || code == Some(GrpcCode::UNIMPLEMENTED)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::semconv::EVENT_HANDOFF_TO_CORE;

    #[test]
    fn a_lifecycle_event_is_placed_by_its_time() {
        let handoff = EVENT_HANDOFF_TO_CORE;
        for (rule, recorded, expected) in [
            ("no other event", &[][..], 0),
            ("before a later event", &[("late", 7)], 0),
            (
                "behind earlier events and those of the same time",
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
            ("a later handoff comes after", &[("a", 3), (handoff, 6)], 1),
            (
                "an earlier time recorded behind a later handoff",
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
            let recorded: Vec<_> = recorded.iter().map(event).collect();
            assert_eq!(place_by_time(&recorded, time(5)), expected, "{rule}");
        }
    }
}
