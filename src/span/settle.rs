//! What is written at the end: what was told, what is known, and the outcome.

use std::borrow::Cow;
use std::time::SystemTime;

use opentelemetry::KeyValue;
use opentelemetry::global::ObjectSafeSpan;
use opentelemetry::trace::Status;

use super::RequestSpan;
use crate::attributes;
use crate::contain::contain;
use crate::grpc::{GrpcCode, GrpcStatus, Protocol};
use crate::outcome::{Aborted, End, Outcome};
use crate::semconv as key;
use crate::slot::{Told, has_key};

impl RequestSpan {
    /// Writes what was told and what is known at the end. A panic on the way leaves the rest
    /// unwritten, the terminal event in any case.
    pub(super) fn write(
        &self,
        span: &mut dyn ObjectSafeSpan,
        told: Told,
        at: SystemTime,
        end: &End,
    ) {
        for event in told.events {
            span.add_event_with_timestamp(event.name, event.at, event.attributes);
        }
        for (span_context, attributes) in told.links {
            contain(|| span.add_link(span_context, attributes));
        }

        let verdict = told.verdict.or(told.error);
        let tolerated = told.disconnect_allowed || !self.config.disconnect_is_error;
        let outcome =
            self.config
                .classify(&self.head, end, verdict.as_ref())
                .map(|outcome| match (outcome, end, &verdict) {
                    (outcome, End::Dropped { .. }, None) if tolerated => outcome.tolerated(),
                    (outcome, ..) => outcome,
                });

        let mut attributes = Vec::with_capacity(8 + told.attributes.len());
        attributes::of_response(&self.head, end, &mut attributes);
        for (key, time) in [
            (key::API_TIME_TO_HEAD, self.time_to_head),
            (key::API_TIME_TO_FIRST_BYTE, self.time_to_first_byte),
            (
                key::GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK,
                self.time_to_first_byte
                    .filter(|_| self.is_event_stream && self.config.journey_events)
                    .filter(|_| !self.is_refused()),
            ),
        ] {
            attributes.extend(time.map(|time| KeyValue::new(key, time.as_secs_f64())));
        }
        for (key, dropped) in [
            (key::API_DROPPED_ATTRIBUTES, told.dropped.attributes),
            (key::API_DROPPED_EVENTS, told.dropped.events),
        ] {
            attributes.extend((dropped > 0).then(|| KeyValue::new(key, dropped)));
        }
        if let Some(outcome) = &outcome {
            attributes::of_outcome(outcome, &mut attributes);
        }
        if self.config.body_sizes && self.protocol == Protocol::Http {
            attributes.extend(self.body_sizes());
        }
        let name = self.late_name(told.name, told.route, end, &mut attributes);
        attributes.extend_from_slice(&self.captured);
        self.written.leave_out_given(&mut attributes);
        for attribute in told.attributes {
            let key = attribute.key.as_str();
            let is_layers = self.written.has(key) || attributes::is_of_end(key);
            if !is_layers && !has_key(&attributes, &attribute.key) {
                attributes.push(attribute);
            }
        }
        for attribute in attributes {
            span.set_attribute(attribute);
        }
        if let Some(name) = name {
            span.update_name(name);
        }
        if let Some(outcome) = outcome {
            write_outcome(span, outcome, at);
        }
    }

    /// Bytes of the request and of the response.
    fn body_sizes(&self) -> impl Iterator<Item = KeyValue> {
        let request = self.slot.request_bytes().or(self.request_length);
        let response = match (&self.delivery, self.head.status) {
            (Some(delivery), _) => Some(delivery.delivered()),
            // There was a head and can be no body.
            (None, status) => status.map(|_| 0),
        };
        [
            (key::HTTP_REQUEST_BODY_SIZE, request),
            (key::HTTP_RESPONSE_BODY_SIZE, response),
        ]
        .into_iter()
        .filter_map(|(key, bytes)| Some(attributes::body_size(key, bytes?)))
    }

    /// The name, if the end knows a better one than the start: the handler's, or that of a route that
    /// was learnt later. And of what the client called a gRPC method, but the server knows to be none,
    /// no name is made.
    fn late_name(
        &self,
        told: Option<Cow<'static, str>>,
        route: Option<String>,
        end: &End,
        attributes: &mut Vec<KeyValue>,
    ) -> Option<Cow<'static, str>> {
        let is_call = self.protocol != Protocol::Http;
        let mut better = None;
        if is_call && self.head.protocol == Protocol::Http {
            better = Some(attributes::of_no_call(&self.head, &self.config, attributes));
        } else if is_call && is_unimplemented(end) && !self.config.rpc_methods.are_given() {
            better = Some(attributes::of_unknown_call());
        }
        if let Some(route) = route
            && self.head.protocol == Protocol::Http
            && !self.written.has(key::HTTP_ROUTE)
        {
            let (name, attribute) = attributes::late_route(&self.head, route, &self.config);
            attributes.push(attribute);
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

/// The status, once, and the terminal event, last.
fn write_outcome(span: &mut dyn ObjectSafeSpan, outcome: Outcome, at: SystemTime) {
    let Outcome::Aborted(aborted) = outcome else {
        span.add_event_with_timestamp(key::EVENT_DEPARTED.into(), at, Vec::new());
        return;
    };
    let Aborted {
        reason,
        error_type,
        message,
    } = aborted;
    if error_type.is_some() {
        span.set_status(Status::error(message.clone().unwrap_or_default()));
    }
    let mut attributes = vec![KeyValue::new(key::EVENT_REASON, reason)];
    attributes.extend(message.map(|message| KeyValue::new(key::EVENT_ERROR, message)));
    span.add_event_with_timestamp(key::EVENT_ABORTED.into(), at, attributes);
}
