//! What a request has come to: one record, made once, when the request ends.

mod build;
mod read;
mod request_path;

use std::time::Duration;

use http::{Method, StatusCode, Version};
use opentelemetry::StringValue;
use opentelemetry::trace::{SpanId, TraceId};

use crate::outcome::aborted::Outcome;
use crate::outcome::attribute_map::AttributeMap;
use crate::outcome::end::End;
use crate::outcome::verdict::Verdict;
use crate::protocol::grpc::Protocol;

pub(crate) use request_path::RequestPath;

/// A request that has ended.
///
/// Span, metrics, log events and the classification read this one record, so no two of them can disagree.
/// [`ApiSpanLayer::classify`](crate::ApiSpanLayer::classify) and
/// [`ApiSpanLayer::on_completion`](crate::ApiSpanLayer::on_completion) pass it to the operator's callbacks.
///
/// The layer makes it. [`new`](Self::new) and the `with_` methods make one for a test of a callback.
///
/// ```
/// use http::{Method, StatusCode};
/// use tower_api_span::{Completion, End, Outcome, classify};
///
/// let completion = Completion::new(Method::GET, End::complete()).with_status(StatusCode::OK);
/// assert_eq!(classify(&completion), Outcome::Departed);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Completion {
    pub(crate) method: Method,
    pub(crate) path: Option<RequestPath>,
    pub(crate) route: Option<StringValue>,
    pub(crate) version: Version,
    pub(crate) protocol: Protocol,
    pub(crate) status: Option<StatusCode>,
    pub(crate) end: End,
    pub(crate) verdict: Option<Verdict>,
    /// `None` while the classification runs, and if it panics.
    pub(crate) outcome: Option<Outcome>,
    pub(crate) duration: Duration,
    pub(crate) time_to_head: Option<Duration>,
    pub(crate) time_to_first_byte: Option<Duration>,
    pub(crate) time_to_first_token: Option<Duration>,
    pub(crate) request_bytes: Option<u64>,
    pub(crate) response_bytes: Option<u64>,
    pub(crate) is_stream: bool,
    /// Those of the handler and of the answer that was read, if a callback reads the completion. Boxed, because a
    /// record is expensive to move.
    pub(crate) attributes: Option<Box<AttributeMap>>,
    pub(crate) trace_id: TraceId,
    pub(crate) span_id: SpanId,
}

impl Completion {
    /// Makes the record of a plain HTTP/1.1 request that ended so, before a head.
    ///
    /// ```
    /// use http::Method;
    /// use tower_api_span::{Completion, End};
    ///
    /// let completion = Completion::new(Method::GET, End::panicked());
    /// assert_eq!(completion.status(), None);
    /// ```
    #[must_use]
    pub fn new(method: Method, end: End) -> Self {
        Self {
            method,
            path: None,
            route: None,
            version: Version::HTTP_11,
            protocol: Protocol::Http,
            status: None,
            end,
            verdict: None,
            outcome: None,
            duration: Duration::ZERO,
            time_to_head: None,
            time_to_first_byte: None,
            time_to_first_token: None,
            request_bytes: None,
            response_bytes: None,
            is_stream: false,
            attributes: None,
            trace_id: TraceId::INVALID,
            span_id: SpanId::INVALID,
        }
    }

    /// Returns `error.type`, if the outcome is an error.
    pub(crate) fn error_type(&self) -> Option<&std::borrow::Cow<'static, str>> {
        match self.outcome.as_ref()? {
            Outcome::Departed => None,
            Outcome::Aborted(aborted) => aborted.error_type.as_ref(),
        }
    }

    /// Whether the status is 400 or above.
    pub(crate) fn is_error_status(&self) -> bool {
        self.status.is_some_and(|status| status.as_u16() >= 400)
    }
}
