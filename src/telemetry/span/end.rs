//! What is written when a request is over: of its response and of its outcome.

use std::borrow::Cow;

use ::http::{HeaderMap, StatusCode};
use opentelemetry::global::ObjectSafeSpan;
use opentelemetry::{Key, KeyValue, StringValue};

use super::start::StartKeys;
use super::{RequestInfo, http, rpc};
use crate::outcome::{Aborted, End, Head, Outcome};
use crate::protocol::grpc::{GrpcCode, Protocol};
use crate::semconv as key;
use crate::settings::Settings;

/// Headers of a response that the settings ask for.
pub(crate) fn of_response_headers(
    headers: &HeaderMap,
    protocol: Protocol,
    config: &Settings,
) -> Vec<KeyValue> {
    let captured = &config.response_headers;
    let captured = match protocol {
        Protocol::Http => &captured.http,
        Protocol::Grpc | Protocol::GrpcWeb => &captured.rpc,
    };
    if captured.is_empty() {
        return Vec::new();
    }
    captured.read(headers, &config.sensitive_headers).collect()
}

/// Metadata after a gRPC response that the settings ask for.
pub(crate) fn of_trailers(trailers: &HeaderMap, config: &Settings) -> Vec<KeyValue> {
    let captured = &config.response_headers.rpc_trailers;
    captured.read(trailers, &config.sensitive_headers).collect()
}

/// Bytes of a body that passed.
pub(crate) fn body_size(key: &'static str, bytes: u64) -> KeyValue {
    KeyValue::new(key, i64::try_from(bytes).unwrap_or(i64::MAX))
}

/// The name of a request that claimed to be gRPC's and was answered in plain HTTP: what it called
/// itself is not for it to choose. Adds what is known of it as a request of HTTP.
pub(crate) fn of_no_call(
    head: &Head,
    facts: &RequestInfo,
    list: &mut EndAttributes<'_>,
) -> Cow<'static, str> {
    for attribute in http::method(head, facts) {
        list.set(attribute);
    }
    list.set(KeyValue::new(key::URL_SCHEME, facts.scheme.clone()));
    if let Some(version) = facts.version() {
        list.set(KeyValue::new(key::NETWORK_PROTOCOL_VERSION, version));
    }
    if let Some(route) = facts.route.clone() {
        list.set(KeyValue::new(key::HTTP_ROUTE, route));
    }
    http::name(facts, facts.route.as_ref().map(StringValue::as_str))
}

/// The name of a call of which the server says that it has no such method.
pub(crate) fn of_unknown_call() -> Cow<'static, str> {
    Cow::Borrowed(rpc::SYSTEM)
}

/// Attributes of the response, known with its head or its end.
pub(crate) fn of_response(head: &Head, end: &End, list: &mut EndAttributes<'_>) {
    let grpc_code = match head.protocol {
        Protocol::Http => None,
        Protocol::Grpc | Protocol::GrpcWeb => rpc::status_code(end),
    };
    if let Some(code) = grpc_code {
        list.set(KeyValue::new(key::RPC_STATUS_CODE, GrpcCode::name(code)));
    }
    // A gRPC answer is a 200; one that is not was made by something that knows HTTP only.
    if let Some(status) = head.status
        && (head.protocol == Protocol::Http || status != StatusCode::OK)
    {
        list.set(http::status_code(status));
    }
}

/// Attributes of the outcome.
pub(crate) fn of_outcome(outcome: &Outcome, list: &mut EndAttributes<'_>) {
    match outcome {
        Outcome::Departed => list.set(KeyValue::new(key::API_OUTCOME, "DEPARTED")),
        Outcome::Aborted(Aborted {
            reason, error_type, ..
        }) => {
            list.set(KeyValue::new(key::API_OUTCOME, "ABORTED"));
            list.set(KeyValue::new(key::API_ABORT_REASON, *reason));
            if let Some(error_type) = error_type {
                list.set(KeyValue::new(key::ERROR_TYPE, error_type.clone()));
            }
        }
    }
}

/// Name and attributes of the last event of a request.
pub(crate) fn terminal_event(outcome: Outcome) -> (&'static str, Vec<KeyValue>) {
    let Outcome::Aborted(Aborted {
        reason, message, ..
    }) = outcome
    else {
        return (key::EVENT_DEPARTED, Vec::new());
    };
    let mut attributes = vec![KeyValue::new(key::EVENT_REASON, reason)];
    attributes.extend(message.map(|message| KeyValue::new(key::EVENT_ERROR, message)));
    (key::EVENT_ABORTED, attributes)
}

/// Attributes being written at the end, each key once.
pub(crate) struct EndAttributes<'a> {
    span: &'a mut dyn ObjectSafeSpan,
    at_start: &'a StartKeys,
    /// Which keys were written, if somebody may say them again.
    keys: Option<Vec<Key>>,
}

impl<'a> EndAttributes<'a> {
    pub(crate) fn new(
        span: &'a mut dyn ObjectSafeSpan,
        at_start: &'a StartKeys,
        is_said_again: bool,
    ) -> Self {
        Self {
            span,
            at_start,
            keys: is_said_again.then(Vec::new),
        }
    }

    /// Writes an attribute of the layer's, unless the settings have said it at the start.
    pub(crate) fn set(&mut self, attribute: KeyValue) {
        // Mostly there are none, and nothing is to be compared.
        let given = &self.at_start.given;
        if !given.is_empty() && self.at_start.is_given(attribute.key.as_str()) {
            return;
        }
        if let Some(keys) = &mut self.keys {
            keys.push(attribute.key.clone());
        }
        self.span.set_attribute(attribute);
    }

    /// Writes a handler's attribute, unless it is the layer's to say.
    pub(crate) fn set_told(&mut self, attribute: KeyValue) {
        let name = attribute.key.as_str();
        let is_there = |keys: &Vec<Key>| keys.contains(&attribute.key);
        let is_layers = self.at_start.has(name) || is_of_end(name);
        if !is_layers && !self.keys.as_ref().is_some_and(is_there) {
            self.span.set_attribute(attribute);
        }
    }
}

/// Whether a key is the layer's alone: what it says of response and outcome must not be contradicted
/// where it says nothing, as with an `error.type` on a span that is no error.
pub(super) fn is_of_end(key: &str) -> bool {
    key.starts_with(key::OWN_PREFIX)
        || matches!(
            key,
            key::HTTP_RESPONSE_STATUS_CODE | key::RPC_STATUS_CODE | key::ERROR_TYPE
        )
}

/// The name and the attribute of a route that was learnt after the start.
pub(crate) fn late_route(facts: &RequestInfo, route: String) -> (Cow<'static, str>, KeyValue) {
    (
        http::name(facts, Some(&route)),
        KeyValue::new(key::HTTP_ROUTE, route),
    )
}
