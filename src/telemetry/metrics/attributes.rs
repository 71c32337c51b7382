//! Attributes of metrics: few, and of few values, whatever clients send.

use std::borrow::Cow;

use opentelemetry::{KeyValue, StringValue, Value};

use super::StreamDurations;
use crate::outcome::End;
use crate::protocol::grpc::{GrpcCode, Protocol};
use crate::protocol::http::methods::OTHER;
use crate::recording::completion::Completion;
use crate::semconv as key;
use crate::settings::Settings;
use crate::telemetry::span::RequestInfo;

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
    pub(super) fn of(summary: &Completion<'_>, config: &Settings) -> Self {
        let mut list = Self::new();
        match summary.head.protocol {
            Protocol::Http => list.of_http(summary),
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

    fn of_http(&mut self, summary: &Completion<'_>) {
        let facts = summary.facts;
        self.push(key::HTTP_REQUEST_METHOD, facts.method_or_other());
        self.push(key::URL_SCHEME, scheme(facts));
        if let Some(status) = summary.head.status {
            self.push(key::HTTP_RESPONSE_STATUS_CODE, i64::from(status.as_u16()));
        }
        let late = || Some(StringValue::from(summary.told.as_ref()?.route.clone()?));
        if let Some(route) = facts.route.clone().or_else(late) {
            self.push(key::HTTP_ROUTE, route);
        }
        if let Some(version) = facts.version() {
            self.push(key::NETWORK_PROTOCOL_VERSION, version);
        }
    }

    fn of_rpc(&mut self, summary: &Completion<'_>, config: &Settings) {
        let code = crate::telemetry::span::grpc_code(summary.end);
        self.push(key::RPC_SYSTEM_NAME, crate::telemetry::span::GRPC);
        // Only the operator and the server know which methods there are: the one by a list, the other
        // by an answer that does not deny it. Whatever else a client calls would be a series.
        let is_known = config.rpc_methods.has_list() || is_answered(summary);
        let method = summary.facts.rpc_method.clone().filter(|_| is_known);
        self.push(key::RPC_METHOD, method.unwrap_or(StringValue::from(OTHER)));
        if let Some(code) = code {
            self.push(key::RPC_STATUS_CODE, code.name());
        }
    }
}

/// Whether the server has answered as only one does that has the method: with success, or with a
/// message. Whatever stands before it, logins, quotas, checks, refuses a method that is not there with
/// the same codes as one that is. (In gRPC-Web a status is data, too.)
fn is_answered(summary: &Completion<'_>) -> bool {
    let has_message =
        summary.head.protocol == Protocol::Grpc && summary.time_to_first_byte.is_some();
    match summary.end {
        End::Complete {
            grpc_status: Some(status),
        } => status.code == GrpcCode::OK || has_message && status.code != GrpcCode::UNIMPLEMENTED,
        End::Dropped { .. } | End::BodyError { .. } | End::Panicked => has_message,
        End::Complete { grpc_status: None }
        | End::LengthMismatch { .. }
        | End::ServiceError { .. } => false,
    }
}

/// What is known of a request from its start.
pub(super) fn of_start(facts: &RequestInfo) -> [KeyValue; 2] {
    [
        KeyValue::new(key::HTTP_REQUEST_METHOD, facts.method_or_other()),
        KeyValue::new(key::URL_SCHEME, scheme(facts)),
    ]
}

/// The scheme, where the operator or a trusted proxy knows it. Else it is the client's word, over HTTP/2
/// any that it likes: one of two.
fn scheme(facts: &RequestInfo) -> Cow<'static, str> {
    match &*facts.scheme {
        _ if facts.is_scheme_known => facts.scheme.clone(),
        "https" => Cow::Borrowed("https"),
        _ => Cow::Borrowed("http"),
    }
}
