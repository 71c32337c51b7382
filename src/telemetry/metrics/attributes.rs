//! Attributes of metrics: few, and with few values, whatever clients send.

use std::borrow::Cow;

use opentelemetry::{KeyValue, StringValue, Value};

use crate::outcome::End;
use crate::protocol::grpc::{GrpcCode, Protocol};
use crate::protocol::http::methods::OTHER;
use crate::recording::completion::Completion;
use crate::recording::request_info::{RPC_SYSTEM_GRPC, RequestInfo};
use crate::semconv as key;
use crate::settings::Settings;

/// The most attributes that a measurement has.
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

    /// Describes a request and what it has come to.
    pub(super) fn describe(completion: &Completion<'_>, settings: &Settings) -> Self {
        let mut list = Self::new();
        match completion.head.protocol {
            Protocol::Http => list.push_http(completion),
            Protocol::Grpc | Protocol::GrpcWeb => list.push_rpc(completion),
        }
        if let Some(error_type) = completion.error_type() {
            list.push(key::ERROR_TYPE, error_type.clone());
        }
        if completion.is_stream && settings.marks_streams() {
            list.push(key::API_STREAM, true);
        }
        list
    }

    fn push_http(&mut self, completion: &Completion<'_>) {
        let request = completion.request;
        self.push(key::HTTP_REQUEST_METHOD, request.method_or_other());
        self.push(key::URL_SCHEME, bounded_scheme(request));
        if let Some(status) = completion.head.status {
            self.push(key::HTTP_RESPONSE_STATUS_CODE, i64::from(status.as_u16()));
        }
        let late_route = || {
            let route = completion.buffer.as_ref()?.route.clone()?;
            Some(StringValue::from(route))
        };
        if let Some(route) = request.route.clone().or_else(late_route) {
            self.push(key::HTTP_ROUTE, route);
        }
        if let Some(version) = request.http_version() {
            self.push(key::NETWORK_PROTOCOL_VERSION, version);
        }
    }

    fn push_rpc(&mut self, completion: &Completion<'_>) {
        let request = completion.request;
        self.push(key::RPC_SYSTEM_NAME, RPC_SYSTEM_GRPC);
        // Any other method would be a series that a client makes.
        let is_known = request.has_rpc_method_list || is_method_confirmed(completion);
        let method = request.rpc_method.clone().filter(|_| is_known);
        self.push(key::RPC_METHOD, method.unwrap_or(StringValue::from(OTHER)));
        if let Some(code) = completion.end.grpc_code() {
            self.push(key::RPC_STATUS_CODE, code.as_str());
        }
    }
}

/// Whether the server has answered as it can only for a method that it has: with OK, or with a message.
///
/// Logins, quotas and checks in front of it refuse unknown methods with the same codes as known ones. In
/// gRPC-Web a status is data, too, so data is no message there.
fn is_method_confirmed(completion: &Completion<'_>) -> bool {
    let has_message =
        completion.head.protocol == Protocol::Grpc && completion.time_to_first_byte.is_some();
    match completion.end {
        End::Complete {
            grpc_status: Some(status),
        } => status.code == GrpcCode::OK || has_message && status.code != GrpcCode::UNIMPLEMENTED,
        End::Dropped { .. } | End::BodyError { .. } | End::Panicked => has_message,
        End::Complete { grpc_status: None }
        | End::LengthMismatch { .. }
        | End::ServiceError { .. } => false,
    }
}

/// Describes an active request, of which only the start is known.
pub(super) fn describe_active(request: &RequestInfo) -> [KeyValue; 2] {
    [
        KeyValue::new(key::HTTP_REQUEST_METHOD, request.method_or_other()),
        KeyValue::new(key::URL_SCHEME, bounded_scheme(request)),
    ]
}

/// Returns the scheme of the operator or a trusted proxy. A client's, of which HTTP/2 allows any, becomes
/// `https` or `http`.
fn bounded_scheme(request: &RequestInfo) -> Cow<'static, str> {
    match &*request.scheme {
        _ if request.is_scheme_trusted => request.scheme.clone(),
        "https" => Cow::Borrowed("https"),
        _ => Cow::Borrowed("http"),
    }
}
