//! The attributes of metrics. They are few, and client input cannot give them many values.

use std::borrow::Cow;

use opentelemetry::{KeyValue, StringValue, Value};

use crate::protocol::grpc::Protocol;
use crate::protocol::http::methods::OTHER;
use crate::recording::ended_request::EndedRequest;
use crate::recording::request_info::{RPC_SYSTEM_GRPC, RequestInfo};
use crate::semconv as key;
use crate::settings::Settings;

/// The largest number of attributes of a measurement.
const CAPACITY: usize = 8;

/// A list of attributes on the stack.
pub(super) struct AttributeList {
    attributes: [KeyValue; CAPACITY],
    length: usize,
}

impl AttributeList {
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

    /// Returns the attributes, followed by the application's.
    pub(super) fn with<'a>(&'a self, more: &[KeyValue]) -> Cow<'a, [KeyValue]> {
        if more.is_empty() {
            Cow::Borrowed(self.as_slice())
        } else {
            Cow::Owned([self.as_slice(), more].concat())
        }
    }

    /// Describes a request and what it has come to.
    pub(super) fn describe(ended: &EndedRequest<'_>, settings: &Settings) -> Self {
        let mut list = Self::new();
        match ended.completion.protocol {
            Protocol::Http => list.push_http(ended),
            Protocol::Grpc | Protocol::GrpcWeb => list.push_rpc(ended),
        }
        if let Some(error_type) = ended.completion.error_type() {
            list.push(key::ERROR_TYPE, error_type.clone());
        }
        if ended.completion.is_stream && settings.marks_streams() {
            list.push(key::API_STREAM, true);
        }
        list
    }

    fn push_http(&mut self, ended: &EndedRequest<'_>) {
        let request = ended.request;
        self.push(key::HTTP_REQUEST_METHOD, request.method_or_other());
        self.push(key::URL_SCHEME, bounded_scheme(request));
        if let Some(status) = ended.completion.status {
            self.push(key::HTTP_RESPONSE_STATUS_CODE, i64::from(status.as_u16()));
        }
        if let Some(route) = ended.completion.route.clone() {
            self.push(key::HTTP_ROUTE, route);
        }
        if let Some(version) = request.http_version() {
            self.push(key::NETWORK_PROTOCOL_VERSION, version);
        }
    }

    fn push_rpc(&mut self, ended: &EndedRequest<'_>) {
        self.push(key::RPC_SYSTEM_NAME, RPC_SYSTEM_GRPC);
        // Any other method would be a series that a client makes.
        let method = ended.rpc_method.clone();
        self.push(key::RPC_METHOD, method.unwrap_or(StringValue::from(OTHER)));
        if let Some(code) = ended.completion.end.grpc_code() {
            self.push(key::RPC_STATUS_CODE, code.as_str());
        }
    }
}

/// Describes an active request, from the data of its start.
pub(super) fn describe_active(request: &RequestInfo) -> [KeyValue; 2] {
    [
        KeyValue::new(key::HTTP_REQUEST_METHOD, request.method_or_other()),
        KeyValue::new(key::URL_SCHEME, bounded_scheme(request)),
    ]
}

/// Returns the scheme, if it is from the operator or a trusted proxy. Over HTTP/2 a client can send any scheme, so
/// its scheme becomes `https` or `http`.
fn bounded_scheme(request: &RequestInfo) -> Cow<'static, str> {
    match &*request.scheme {
        _ if request.is_scheme_trusted => request.scheme.clone(),
        "https" => Cow::Borrowed("https"),
        _ => Cow::Borrowed("http"),
    }
}
