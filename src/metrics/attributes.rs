//! Attributes of metrics: few, and of few values, whatever clients send.

use std::borrow::Cow;

use opentelemetry::{KeyValue, StringValue, Value};

use super::StreamDurations;
use crate::attributes::Facts;
use crate::config::Config;
use crate::grpc::{GrpcCode, Protocol};
use crate::methods::OTHER;
use crate::outcome::End;
use crate::semconv as key;
use crate::summary::Summary;

/// How many there may be at most.
const CAPACITY: usize = 8;

/// A list of attributes that is nowhere but on the stack.
pub(super) struct List {
    attributes: [KeyValue; CAPACITY],
    length: usize,
}

impl List {
    pub(super) fn new() -> Self {
        Self {
            attributes: std::array::from_fn(|_| KeyValue::new("", false)),
            length: 0,
        }
    }

    pub(super) fn push(&mut self, key: &'static str, value: impl Into<Value>) {
        if let Some(free) = self.attributes.get_mut(self.length) {
            *free = KeyValue::new(key, value);
            self.length += 1;
        }
    }

    pub(super) fn as_slice(&self) -> &[KeyValue] {
        &self.attributes[..self.length]
    }

    /// What a request was, and what it has come to.
    pub(super) fn of(summary: &Summary<'_>, config: &Config) -> Self {
        let mut list = Self::new();
        match summary.head.protocol {
            Protocol::Http => list.of_http(summary, config),
            Protocol::Grpc | Protocol::GrpcWeb => list.of_rpc(summary, config),
        }
        if let Some(error_type) = summary.error_type() {
            list.push(key::ERROR_TYPE, error_type.clone());
        }
        let settings = &config.meters.settings;
        if summary.is_stream && settings.streams == StreamDurations::Marked {
            list.push(key::API_STREAM, true);
        }
        list
    }

    fn of_http(&mut self, summary: &Summary<'_>, config: &Config) {
        let facts = summary.facts;
        self.push(key::HTTP_REQUEST_METHOD, facts.method_or_other());
        self.push(key::URL_SCHEME, scheme(facts, config));
        if let Some(status) = summary.head.status {
            self.push(key::HTTP_RESPONSE_STATUS_CODE, i64::from(status.as_u16()));
        }
        let late = || summary.told.route.clone().map(StringValue::from);
        if let Some(route) = facts.route.clone().or_else(late) {
            self.push(key::HTTP_ROUTE, route);
        }
        if let Some(version) = facts.version {
            self.push(key::NETWORK_PROTOCOL_VERSION, version);
        }
    }

    fn of_rpc(&mut self, summary: &Summary<'_>, config: &Config) {
        let code = crate::attributes::grpc_code(summary.end);
        self.push(key::RPC_SYSTEM_NAME, crate::attributes::GRPC);
        // Only the operator and the server know which methods there are: the one by a list, the other
        // by an answer that does not deny it. Whatever else a client calls would be a series.
        let is_known = config.rpc_methods.are_given() || is_answered(summary);
        let method = summary.facts.rpc_method.clone().filter(|_| is_known);
        self.push(key::RPC_METHOD, method.unwrap_or(StringValue::from(OTHER)));
        if let Some(code) = code {
            self.push(key::RPC_STATUS_CODE, code.name());
        }
    }
}

/// Whether the server has answered as if it had the method: with data, or with a status that only a
/// method gives. If the client has left, the status that denies it may have been still to come.
fn is_answered(summary: &Summary<'_>) -> bool {
    match summary.end {
        End::Complete {
            grpc_status: Some(status),
        } => match status.code {
            GrpcCode::UNIMPLEMENTED => false,
            // Of what stands before it, too, whatever is called: logins, quotas, limits.
            GrpcCode::PERMISSION_DENIED
            | GrpcCode::RESOURCE_EXHAUSTED
            | GrpcCode::UNAUTHENTICATED
            | GrpcCode::UNAVAILABLE => summary.time_to_first_byte.is_some(),
            _ => true,
        },
        End::Dropped { .. } => summary.time_to_first_byte.is_some(),
        End::Complete { grpc_status: None }
        | End::LengthMismatch { .. }
        | End::ServiceError { .. }
        | End::BodyError { .. }
        | End::Panicked => false,
    }
}

/// What is known of a request from its start.
pub(super) fn of_start(facts: &Facts, config: &Config) -> [KeyValue; 2] {
    [
        KeyValue::new(key::HTTP_REQUEST_METHOD, facts.method_or_other()),
        KeyValue::new(key::URL_SCHEME, scheme(facts, config)),
    ]
}

/// The scheme, if it is one that there is: over HTTP/2 a client may send any.
fn scheme(facts: &Facts, config: &Config) -> Cow<'static, str> {
    let is_known = ["http", "https", "ws", "wss"].contains(&&*facts.scheme)
        || config.scheme.as_ref() == Some(&facts.scheme);
    if is_known {
        facts.scheme.clone()
    } else {
        Cow::Borrowed(OTHER)
    }
}
