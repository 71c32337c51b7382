//! The result of a request. Built once, when the request ends. Span, metrics and logs all read it, so they
//! cannot disagree.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use opentelemetry::KeyValue;

use crate::outcome::{End, Head, Outcome};
use crate::recording::buffer::SpanBuffer;
use crate::recording::request_info::RequestInfo;

/// A request that has ended.
#[derive(Debug)]
pub(crate) struct Completion<'a> {
    pub(crate) request: &'a RequestInfo,
    pub(crate) head: Head,
    pub(crate) end: &'a End,
    /// `None` if the operator's classification panicked.
    pub(crate) outcome: Option<Outcome>,
    /// Whether the handler's verdict, or an error event in the stream, decided the outcome.
    pub(crate) is_outcome_from_verdict: bool,
    /// The data recorded before the outcome was decided.
    pub(crate) buffer: Option<Box<SpanBuffer>>,
    /// The time of the end, by the request's clock.
    pub(crate) at: SystemTime,
    /// The time from the arrival to the end.
    pub(crate) duration: Duration,
    pub(crate) time_to_head: Option<Duration>,
    pub(crate) time_to_first_byte: Option<Duration>,
    /// The time of event `api.FIRST_RESPONSE_FROM_CORE`: of the first byte, if the settings ask for the event
    /// and the status is below 400.
    pub(crate) first_response: Option<SystemTime>,
    /// The bytes of the request's body, if they are known and the settings ask for them.
    pub(crate) request_bytes: Option<u64>,
    /// The bytes of the response's body that were returned to the server, if there was a head and the settings
    /// ask for them.
    pub(crate) response_bytes: Option<u64>,
    /// Whether the content type is that of an event stream.
    pub(crate) is_event_stream: bool,
    /// Whether the response is a stream, by its content type or because the handler declared it.
    pub(crate) is_stream: bool,
    /// The Rust type of the error that ended the request.
    pub(crate) error_type_name: Option<&'static str>,
    /// The captured headers and trailers of the response.
    pub(crate) captured: &'a [KeyValue],
}

impl Completion<'_> {
    /// Returns `error.type`, if the outcome is an error.
    pub(crate) fn error_type(&self) -> Option<&Cow<'static, str>> {
        match self.outcome.as_ref()? {
            Outcome::Departed => None,
            Outcome::Aborted(aborted) => aborted.error_type.as_ref(),
        }
    }

    /// Whether the status is 400 or above. The body is then not a response of the engine.
    pub(crate) fn is_refused(&self) -> bool {
        self.head.is_error_status()
    }
}
