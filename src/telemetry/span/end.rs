//! Writes the end of a span: attributes, name and status.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use opentelemetry::global::ObjectSafeSpan;
use opentelemetry::trace::Status;
use opentelemetry::{Key, KeyValue, StringValue, Value};

use crate::outcome::attribute_map::AttributeMap;
use crate::outcome::lifecycle::terminal_event;
use crate::outcome::{Aborted, Outcome};
use crate::protocol::grpc::{GrpcCode, Protocol};
use crate::protocol::http::methods::{KnownMethod, OTHER};
use crate::recording::buffer::{Dropped, SpanBuffer};
use crate::recording::ended_request::EndedRequest;
use crate::recording::request_info::{CalledMethod, Conventions, RPC_SYSTEM_GRPC};
use crate::recording::written_keys::{OwnKey, WrittenKeys};
use crate::semconv::EVENT_DEPARTED;
use crate::settings::Settings;
use crate::telemetry::span::events::write_events_and_links;
use crate::text::truncate;

/// The data from the start of a span that its end needs.
#[derive(Debug)]
pub(crate) struct AtStart {
    pub(crate) keys: WrittenKeys,
    /// Whether the name is from the settings.
    pub(crate) is_named: bool,
    /// How many of the operator's attributes were refused.
    pub(crate) refused: u32,
    /// Whether the lifecycle events are on the span.
    pub(crate) has_lifecycle: bool,
}

/// Writes the recorded data and the completion to the span. The terminal event comes last, so that a span whose
/// end panicked has no terminal event.
pub(crate) fn write_end(
    span: &mut dyn ObjectSafeSpan,
    ended: &mut EndedRequest<'_>,
    late: Option<Box<SpanBuffer>>,
    at_start: &mut AtStart,
    settings: &Settings,
) {
    ended.take_attributes_back();
    let mut buffer = SpanBuffer::merge(ended.buffer.take(), late, ended.at);
    let has_lifecycle = at_start.has_lifecycle;
    write_events_and_links(span, buffer.as_deref_mut(), ended, has_lifecycle);
    let AtStart {
        keys,
        is_named,
        refused,
        ..
    } = at_start;
    let mut attributes = EndAttributes { span, keys };
    attributes.set_response(ended);
    attributes.set_times(ended, settings);
    attributes.set_outcome(ended);
    attributes.set_sizes(ended);
    if ended.completion.is_stream && settings.marks_streams() {
        attributes.set(OwnKey::Stream, true);
    }
    let (name, route, from_handler, mut dropped) = buffer
        .map(|buffer| (buffer.name, buffer.route, buffer.attributes, buffer.dropped))
        .unwrap_or_default();
    let late_name = attributes.describe_late(ended, route);
    dropped.attributes += i64::from(*refused);
    // Most requests have none of them.
    if !ended.captured.is_empty() || !from_handler.is_empty() || dropped != Dropped::default() {
        attributes.set_unreserved(ended.captured, from_handler, dropped);
    }
    if let Some(name) = name.or_else(|| late_name.filter(|_| !*is_named)) {
        span.update_name(name);
    }
    write_outcome(span, ended, has_lifecycle);
}

/// Writes the status, once, and the terminal event, last.
fn write_outcome(span: &mut dyn ObjectSafeSpan, ended: &mut EndedRequest<'_>, has_lifecycle: bool) {
    // The usual outcome, without a move of the record.
    if let Some(Outcome::Departed) = ended.completion.outcome {
        if has_lifecycle {
            span.add_event_with_timestamp(EVENT_DEPARTED.into(), ended.at, Vec::new());
        }
        return;
    }
    let Some(outcome) = ended.completion.outcome.take() else {
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
        span.add_event_with_timestamp(name.into(), ended.at, attributes);
    }
}

/// Writes attributes to a span that ends, each key once.
struct EndAttributes<'a> {
    span: &'a mut dyn ObjectSafeSpan,
    keys: &'a mut WrittenKeys,
}

impl EndAttributes<'_> {
    /// Writes one of the layer's attributes, unless its key is taken.
    fn set(&mut self, key: OwnKey, value: impl Into<Value>) {
        if self.keys.claim_own(key) {
            self.span.set_attribute(KeyValue::new(key.name(), value));
        }
    }

    /// Writes captured headers and then the handler's attributes, except where a key is taken or reserved.
    /// The counts of what was dropped come first, since a tracer with a limit drops the last.
    ///
    /// They are the last, and each has another key, so none is claimed: 128 keys would be compared with each
    /// other.
    fn set_unreserved(
        &mut self,
        captured: &[KeyValue],
        from_handler: AttributeMap,
        mut dropped: Dropped,
    ) {
        let is_captured = |key: &Key| captured.iter().any(|attribute| attribute.key == *key);
        let keep = |attribute: &KeyValue| {
            let is_kept = !is_captured(&attribute.key) && self.keys.is_free(&attribute.key);
            dropped.attributes += i64::from(!is_kept);
            is_kept
        };
        let kept: Vec<_> = from_handler.into_iter().filter(keep).collect();
        self.set_dropped_counts(dropped);
        for attribute in captured {
            if self.keys.is_free(&attribute.key) {
                self.span.set_attribute(attribute.clone());
            }
        }
        for attribute in kept {
            self.span.set_attribute(attribute);
        }
    }

    fn set_response(&mut self, ended: &EndedRequest<'_>) {
        let completion = &ended.completion;
        let is_call = completion.protocol != Protocol::Http;
        if is_call && let Some(code) = completion.end.grpc_code() {
            self.set(OwnKey::RpcStatusCode, GrpcCode::as_str(code));
        }
        // A gRPC answer is a 200. Any other was made by something that has only HTTP.
        if let Some(status) = completion.status
            && (!is_call || status != StatusCode::OK)
        {
            self.set(OwnKey::StatusCode, i64::from(status.as_u16()));
        }
    }

    fn set_times(&mut self, ended: &EndedRequest<'_>, settings: &Settings) {
        let completion = &ended.completion;
        let has_first_chunk = settings.journey_events && !completion.is_error_status();
        let first_chunk = completion.time_to_first_token.filter(|_| has_first_chunk);
        self.set_time(OwnKey::TimeToHead, completion.time_to_head);
        self.set_time(OwnKey::TimeToFirstByte, completion.time_to_first_byte);
        self.set_time(OwnKey::FirstChunk, first_chunk);
    }

    fn set_time(&mut self, key: OwnKey, time: Option<Duration>) {
        if let Some(time) = time {
            self.set(key, time.as_secs_f64());
        }
    }

    fn set_dropped_counts(&mut self, dropped: Dropped) {
        for (key, dropped) in [
            (OwnKey::DroppedAttributes, dropped.attributes),
            (OwnKey::DroppedEvents, dropped.events),
            (OwnKey::DroppedLinks, dropped.links),
        ] {
            if dropped > 0 {
                self.set(key, dropped);
            }
        }
    }

    fn set_outcome(&mut self, ended: &EndedRequest<'_>) {
        match &ended.completion.outcome {
            None => {}
            Some(Outcome::Departed) => self.set(OwnKey::Outcome, "DEPARTED"),
            Some(Outcome::Aborted(Aborted {
                reason,
                error_type,
                code,
                ..
            })) => {
                self.set(OwnKey::Outcome, "ABORTED");
                self.set(OwnKey::AbortReason, *reason);
                if let Some(error_type) = error_type {
                    self.set(OwnKey::ErrorType, error_type.clone());
                }
                if let Some(code) = code {
                    self.set(OwnKey::ErrorCode, code.clone());
                }
            }
        }
    }

    fn set_sizes(&mut self, ended: &EndedRequest<'_>) {
        for (key, bytes) in [
            (OwnKey::RequestBodySize, ended.completion.request_bytes),
            (OwnKey::ResponseBodySize, ended.completion.response_bytes),
        ] {
            if let Some(bytes) = bytes {
                self.set(key, i64::try_from(bytes).unwrap_or(i64::MAX));
            }
        }
    }

    /// Sets the request's attributes that depend on the response or the handler. Returns the new name, if it
    /// changes.
    fn describe_late(
        &mut self,
        ended: &EndedRequest<'_>,
        route: Option<String>,
    ) -> Option<Cow<'static, str>> {
        let request = ended.request;
        let is_answered_by_http = ended.completion.protocol == Protocol::Http;
        let mut name = self.decide_method(ended);
        if request.conventions == Conventions::Rpc && is_answered_by_http {
            name = Some(self.describe_as_http(ended));
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

    /// Sets the method of a call that was unconfirmed at the start. Returns the new name if it is still unknown.
    fn decide_method(&mut self, ended: &EndedRequest<'_>) -> Option<Cow<'static, str>> {
        let CalledMethod::Unconfirmed { name, .. } = &ended.request.rpc_method else {
            return None;
        };
        if let Some(method) = &ended.rpc_method {
            self.set(OwnKey::RpcMethod, method.clone());
            return None;
        }
        if self.keys.is_free(&OwnKey::RpcMethod.name().into()) {
            self.set(OwnKey::RpcMethod, OTHER);
            self.set(
                OwnKey::RpcMethodOriginal,
                StringValue::from(Arc::clone(name)),
            );
        }
        Some(Cow::Borrowed(RPC_SYSTEM_GRPC))
    }

    /// Adds HTTP's attributes to a request that claimed to be a gRPC call and was answered in plain HTTP.
    /// Returns HTTP's name, since a client may claim any method.
    fn describe_as_http(&mut self, ended: &EndedRequest<'_>) -> Cow<'static, str> {
        let request = ended.request;
        self.set(OwnKey::Method, request.method_or_other());
        if request.known_method == KnownMethod::Unknown {
            let original = truncate(request.method.as_str()).to_owned();
            self.set(OwnKey::MethodOriginal, original);
        }
        if let Some(target) = ended.target {
            self.set(OwnKey::Path, target.path.clone());
            if let Some(query) = target.query.clone() {
                self.set(OwnKey::Query, query);
            }
        } else if let CalledMethod::Known(method) = &request.rpc_method {
            self.set(OwnKey::Path, ["/", &**method].concat());
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
