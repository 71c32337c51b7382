//! What a request has come to: made once, when it ends, and read by span, metrics and logs alike, so
//! that no two of them can disagree.

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
    /// `None` if the user's classification panicked.
    pub(crate) outcome: Option<Outcome>,
    /// Whether the handler's verdict, or an error event in the stream, decided the outcome.
    pub(crate) is_outcome_from_verdict: bool,
    /// What was recorded before the outcome was decided.
    pub(crate) buffer: Option<Box<SpanBuffer>>,
    /// When it ended, by the request's own clock.
    pub(crate) at: SystemTime,
    /// From the arrival until then.
    pub(crate) duration: Duration,
    pub(crate) time_to_head: Option<Duration>,
    pub(crate) time_to_first_byte: Option<Duration>,
    /// When the first byte was returned to the server, if that is an event and the status is below 400.
    pub(crate) first_response: Option<SystemTime>,
    /// Bytes of the request's body, if they are known and asked for.
    pub(crate) request_bytes: Option<u64>,
    /// Bytes of the response's body that were returned to the server, if there was a head and they are
    /// asked for.
    pub(crate) response_bytes: Option<u64>,
    /// The response is an event stream by its content type.
    pub(crate) is_event_stream: bool,
    /// The response is a stream, by its content type or because the handler declared it.
    pub(crate) is_stream: bool,
    /// The type of the service's or the body's error, if that was the end.
    pub(crate) error_type_name: Option<&'static str>,
    /// Headers and trailers of the response that the settings capture.
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

    /// Whether the status is 400 or above: then the body is no answer of the engine.
    pub(crate) fn is_refused(&self) -> bool {
        self.head.is_error_status()
    }
}
