//! What few requests have, and a span of all others has no room for.

use std::time::Duration;

use http::request;
use opentelemetry::KeyValue;

use super::RequestSpan;
use crate::protocol::grpc::web::TrailersReader;
use crate::protocol::grpc::{self, GrpcStatus, Protocol};
use crate::protocol::http::progress::declared_length;
use crate::settings::Settings;

/// A request that says to be longer, 1 TiB, is not believed: no more than a few would have to say so,
/// and the sum of all sizes would be none.
const MAX_LENGTH: u64 = 1 << 40;

/// What few requests have: in a box of its own, so that an open stream holds no room for it.
#[derive(Debug, Default)]
pub(super) struct ColdState {
    /// How long a gRPC caller waits.
    pub(super) timeout: Option<Duration>,
    /// gRPC: the status in the head, or among the trailers that are in the body.
    pub(super) grpc_status: Option<GrpcStatus>,
    /// The reader of a gRPC-Web body whose status is not known yet.
    pub(super) web_trailers: Option<TrailersReader>,
    /// The request's Content-Length, if somebody wants to know.
    pub(super) request_length: Option<u64>,
    /// What the settings want to know of the response's head and trailers.
    pub(super) captured: Vec<KeyValue>,
    /// The type of the error that was the end.
    pub(super) error_type_name: Option<&'static str>,
}

impl ColdState {
    /// What is known from the start.
    pub(super) fn of(
        config: &Settings,
        parts: &request::Parts,
        protocol: Protocol,
    ) -> Option<Box<Self>> {
        let (timeout, request_length) = match protocol {
            Protocol::Http if config.body_sizes => {
                (None, declared_length(&parts.headers, parts.version, None))
            }
            Protocol::Http => return None,
            Protocol::Grpc | Protocol::GrpcWeb => (grpc::parse_timeout(&parts.headers), None),
        };
        let request_length = request_length.filter(|length| *length <= MAX_LENGTH);
        let is_there = timeout.is_some() || request_length.is_some();
        is_there.then(|| {
            Box::new(Self {
                timeout,
                request_length,
                ..Self::default()
            })
        })
    }
}

impl RequestSpan {
    pub(super) fn rare(&mut self) -> &mut ColdState {
        self.rare.get_or_insert_default()
    }

    pub(super) fn timeout(&self) -> Option<Duration> {
        self.rare.as_ref()?.timeout
    }

    pub(super) fn has_grpc_status(&self) -> bool {
        let rare = self.rare.as_ref();
        rare.is_some_and(|rare| rare.grpc_status.is_some())
    }

    pub(super) fn take_grpc_status(&mut self) -> Option<GrpcStatus> {
        self.rare.as_mut()?.grpc_status.take()
    }

    pub(super) fn capture(&mut self, captured: Vec<KeyValue>) {
        if !captured.is_empty() {
            self.rare().captured.extend(captured);
        }
    }
}
