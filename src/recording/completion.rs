//! What a request has come to: made once, when it settles, and read by whoever tells of it, so that no
//! two of them can disagree.

use std::time::{Duration, SystemTime};

use crate::outcome::{End, Head, Outcome};
use crate::recording::buffer::SpanBuffer;
use crate::telemetry::span::RequestInfo;

/// A request that is over.
#[derive(Debug)]
#[cfg_attr(
    not(all(feature = "metrics", feature = "logs")),
    allow(dead_code, reason = "metrics and logs read more of it than spans do")
)]
pub(crate) struct Completion<'a> {
    pub(crate) facts: &'a RequestInfo,
    pub(crate) head: &'a Head,
    pub(crate) end: &'a End,
    /// `None` if the user's classification panicked.
    pub(crate) outcome: Option<Outcome>,
    /// What was told, if anything was.
    pub(crate) told: Option<Box<SpanBuffer>>,
    /// When it was over, by the request's own clock.
    pub(crate) at: SystemTime,
    /// From the arrival until then.
    pub(crate) duration: Duration,
    pub(crate) time_to_head: Option<Duration>,
    pub(crate) time_to_first_byte: Option<Duration>,
    /// When the engine's first answer was handed on, if the settings make that an event.
    pub(crate) first_response: Option<SystemTime>,
    /// Bytes of the request's body, where they are known and wanted.
    pub(crate) request_bytes: Option<u64>,
    /// Bytes of the response's body that were handed on, if there was a head and they are wanted.
    pub(crate) response_bytes: Option<u64>,
    /// The response is a stream of events by its content type.
    pub(crate) is_event_stream: bool,
    /// The response is a stream, by its content type or by the handler's word.
    pub(crate) is_stream: bool,
    /// The type of the service's or the body's error, if that was the end.
    pub(crate) error_type_name: Option<&'static str>,
    /// It was the handler who has decided the outcome.
    pub(crate) is_by_verdict: bool,
}

impl Completion<'_> {
    /// The type of the error, if it is one.
    #[cfg(feature = "metrics")]
    pub(crate) fn error_type(&self) -> Option<&std::borrow::Cow<'static, str>> {
        match self.outcome.as_ref()? {
            Outcome::Departed => None,
            Outcome::Aborted(aborted) => aborted.error_type.as_ref(),
        }
    }

    /// The response is an error by its status: its body then is not the engine's.
    pub(crate) fn is_refused(&self) -> bool {
        is_refused(self.head)
    }
}

/// Whether a response is an error by its status.
pub(crate) fn is_refused(head: &Head) -> bool {
    head.status.is_some_and(|status| status.as_u16() >= 400)
}
