//! State that most requests never need.

use std::time::Duration;

use http::request;
use opentelemetry::KeyValue;

use crate::exchange::signals::OtherSignals;
use crate::outcome::completion::RequestPath;
#[cfg(feature = "tracing")]
use crate::propagation::tracing_span::TracingSpan;
use crate::protocol::grpc::web::TrailersReader;
use crate::protocol::grpc::{GrpcStatus, Protocol, parse_timeout};
use crate::protocol::http::forwarded::Hop;
use crate::protocol::http::progress::declared_length;
use crate::recording::request_info::HttpTarget;
use crate::settings::Settings;
#[cfg(feature = "tracing")]
use crate::telemetry::span::network::client_address;
use crate::telemetry::span::target::Target;
#[cfg(feature = "tracing")]
use crate::telemetry::tracing::access_log::RequestLog;

/// The limit of a request's declared length: 1 TiB. A larger length is ignored, because a few forged lengths
/// would make the sum of all sizes useless.
const MAX_LENGTH: u64 = 1 << 40;

/// State that most requests never need. Boxed, to keep open streams small.
#[derive(Debug, Default)]
pub(super) struct ColdState {
    /// gRPC: the caller's `grpc-timeout`.
    pub(super) timeout: Option<Duration>,
    /// gRPC: the target, unless it is the path of a known method.
    pub(super) target: Option<HttpTarget>,
    /// gRPC: the status from the head, or from the trailers in a gRPC-Web body.
    pub(super) grpc_status: Option<GrpcStatus>,
    /// The reader of a gRPC-Web body, for its status.
    pub(super) web_trailers: Option<TrailersReader>,
    /// The request's Content-Length, if body sizes are recorded.
    pub(super) request_length: Option<u64>,
    /// Headers and trailers of the response that the settings capture.
    pub(super) captured: Vec<KeyValue>,
    /// The path and query of the request, for the access log or a callback that gets the completion. Truncated.
    pub(super) path: Option<RequestPath>,
    /// The type of the error that was the end.
    pub(super) error_type_name: Option<&'static str>,
    #[cfg(feature = "tracing")]
    pub(super) log: Option<RequestLog>,
    /// The request's span of `tracing`, for what is reported at the end.
    #[cfg(feature = "tracing")]
    pub(super) tracing_span: Option<TracingSpan>,
}

impl ColdState {
    /// Reads the timeout and the length of a request. Returns `None` if it has neither.
    pub(super) fn read(
        settings: &Settings,
        parts: &request::Parts,
        target: Target<'_>,
        claimed: Protocol,
        hop: &Hop<'_>,
        signals: &OtherSignals,
    ) -> Option<Box<Self>> {
        let has_access_log = signals.has_access_log;
        let (timeout, request_length) = match claimed {
            Protocol::Http if settings.body_sizes => {
                (None, declared_length(&parts.headers, parts.version, None))
            }
            Protocol::Http => (None, None),
            Protocol::Grpc | Protocol::GrpcWeb => (parse_timeout(&parts.headers), None),
        };
        let request_length = request_length.filter(|length| *length <= MAX_LENGTH);
        let path = (has_access_log || settings.passes_completion())
            .then(|| target.original.path_and_query().map(RequestPath::copy_of))
            .flatten();
        #[cfg(not(feature = "tracing"))]
        let _ = hop;
        let is_empty = timeout.is_none() && request_length.is_none() && path.is_none();
        if is_empty && !has_access_log {
            return None;
        }
        Some(Box::new(Self {
            timeout,
            request_length,
            path,
            #[cfg(feature = "tracing")]
            log: has_access_log.then(|| start_log(settings, parts, hop)),
            ..Self::default()
        }))
    }

    /// Sets the target of a gRPC call, if it is to be recorded.
    pub(super) fn set_target(this: &mut Option<Box<Self>>, target: Option<HttpTarget>) {
        if target.is_some() {
            this.get_or_insert_default().target = target;
        }
    }
}

#[cfg(feature = "tracing")]
#[inline(never)]
fn start_log(settings: &Settings, parts: &request::Parts, hop: &Hop<'_>) -> RequestLog {
    RequestLog::new(client_address(parts, settings, hop))
}
