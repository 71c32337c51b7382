//! From what happened to what it means: head, end and verdict to outcome. Pure.

pub(crate) mod lifecycle;

use std::borrow::Cow;

use http::{Method, StatusCode};

use crate::protocol::grpc::{GrpcCode, GrpcStatus, Protocol};
use crate::text::truncate;

/// What is known of a response before its end.
///
/// ```
/// use http::{Method, StatusCode};
/// use tower_api_span::{End, Head, Outcome, classify};
///
/// let head = Head::new(Method::GET, Some(StatusCode::OK));
/// assert_eq!(classify(&head, &End::Complete { grpc_status: None }, None), Outcome::Departed);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Head {
    /// Method of the request, as it came.
    pub method: Method,
    /// Status of the response; `None` if the inner service gave no response.
    pub status: Option<StatusCode>,
    /// The protocol on top of HTTP, by the request's content type; HTTP if the answer is not gRPC's.
    pub protocol: Protocol,
}

impl Head {
    /// The head of a plain HTTP exchange.
    #[must_use]
    pub fn new(method: Method, status: Option<StatusCode>) -> Self {
        Self {
            method,
            status,
            protocol: Protocol::Http,
        }
    }

    /// The same with another protocol.
    ///
    /// ```
    /// use http::{Method, StatusCode};
    /// use tower_api_span::{End, Head, Outcome, Protocol, classify};
    ///
    /// let head = Head::new(Method::POST, Some(StatusCode::OK)).with_protocol(Protocol::Grpc);
    /// let Outcome::Aborted(aborted) = classify(&head, &End::Complete { grpc_status: None }, None) else {
    ///     panic!("a gRPC answer without grpc-status is no success");
    /// };
    /// assert_eq!(aborted.error_type.as_deref(), Some("missing_grpc_status"));
    /// ```
    #[must_use]
    pub fn with_protocol(mut self, protocol: Protocol) -> Self {
        self.protocol = protocol;
        self
    }
}

/// How a response stopped.
///
/// "Handed on" means: given to whoever polls the layer's future and body, in the end the server.
/// Whether the client has received it is known to nobody here.
///
/// ```
/// use http::Method;
/// use tower_api_span::{End, Head, Outcome, Stage, classify};
///
/// let end = End::Dropped { stage: Stage::Midway, past_deadline: false };
/// let Outcome::Aborted(aborted) = classify(&Head::new(Method::GET, None), &end, None) else {
///     panic!("half a response is no success");
/// };
/// assert_eq!(aborted.reason, "client_disconnect");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// The message was handed on whole.
    Complete {
        /// gRPC: the status in the trailers, else the one in the head.
        grpc_status: Option<GrpcStatus>,
    },
    /// The body was over with fewer or more bytes than the message had declared, by its
    /// Content-Length or, without one, by an exact size hint, of which servers make one.
    LengthMismatch {
        /// Bytes declared.
        declared: u64,
        /// Bytes handed on.
        delivered: u64,
    },
    /// The inner service returned an error instead of a response.
    ServiceError {
        /// The error's `Display`, cut at 1,024 bytes.
        message: Option<String>,
    },
    /// The body returned an error instead of a frame.
    BodyError {
        /// The error's `Display`, cut at 1,024 bytes.
        message: Option<String>,
    },
    /// Somebody gave up on the response while it still owed something.
    Dropped {
        /// How far it had come.
        stage: Stage,
        /// gRPC: the caller's `grpc-timeout` had passed.
        past_deadline: bool,
    },
    /// The inner service or its body panicked, or the task was unwinding for another reason.
    Panicked,
}

/// How far a response had come when it was dropped.
///
/// ```
/// use tower_api_span::{End, Stage};
///
/// let end = End::Dropped { stage: Stage::BeforeHead, past_deadline: false };
/// assert_ne!(end, End::Dropped { stage: Stage::Unread, past_deadline: false });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stage {
    /// The response future had not given a response yet.
    BeforeHead,
    /// The head had been handed on, the body had never been polled.
    Unread,
    /// The body had been polled.
    Midway,
}

/// What the handler said about its response with [`SpanHandle::abort`](crate::SpanHandle::abort).
///
/// ```
/// use http::{Method, StatusCode};
/// use tower_api_span::{End, Head, Outcome, Verdict, classify};
///
/// let head = Head::new(Method::GET, Some(StatusCode::OK));
/// let verdict = Verdict::new("generation_error", Some("out of memory".to_owned()));
/// let outcome = classify(&head, &End::Complete { grpc_status: None }, Some(&verdict));
/// assert_ne!(outcome, Outcome::Departed);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verdict {
    /// The handler's reason, of low cardinality.
    pub reason: &'static str,
    /// The handler's message, cut at 1,024 bytes.
    pub message: Option<String>,
}

impl Verdict {
    /// A verdict with this reason.
    #[must_use]
    pub fn new(reason: &'static str, message: Option<String>) -> Self {
        Self { reason, message }
    }

    /// The verdict of a handler that set the span's status to Error by its context.
    pub(crate) fn of_status(description: &str) -> Self {
        let message = truncate(description);
        Self::new(EXCEPTION, (!message.is_empty()).then(|| message.to_owned()))
    }
}

/// What a request came to.
///
/// ```
/// use tower_api_span::{Aborted, Outcome};
///
/// let outcome = Outcome::Aborted(Aborted::new("quota").with_error_type("quota"));
/// assert_ne!(outcome, Outcome::Departed);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// Handed on whole, and nobody said that it was not well: event `api.DEPARTED`, status Unset.
    Departed,
    /// Anything else: event `api.ABORTED`.
    Aborted(Aborted),
}

impl Outcome {
    /// The same as no error, if it is that a client has left.
    pub(crate) fn tolerated(mut self) -> Self {
        if let Self::Aborted(aborted) = &mut self
            && [CLIENT_DISCONNECT, GENERATOR_EXIT].contains(&aborted.reason)
        {
            aborted.error_type = None;
        }
        self
    }

    /// The same as it may be written, whatever a user's classification has made of it: nothing is
    /// empty, and nothing is longer than what comes from the wire.
    pub(crate) fn bounded(mut self) -> Self {
        if let Self::Aborted(aborted) = &mut self {
            if aborted.reason.is_empty() {
                aborted.reason = EXCEPTION;
            }
            if let Some(error_type) = &mut aborted.error_type {
                if error_type.is_empty() {
                    *error_type = Cow::Borrowed("_OTHER");
                } else if truncate(error_type).len() < error_type.len() {
                    *error_type = Cow::Owned(truncate(error_type).to_owned());
                }
            }
            if let Some(message) = &mut aborted.message {
                message.truncate(truncate(message).len());
            }
            aborted.message.take_if(|message| message.is_empty());
        }
        self
    }
}

/// Why, and how bad.
///
/// ```
/// use tower_api_span::Aborted;
///
/// let aborted = Aborted::new("quota").with_error_type("quota").with_message("used up");
/// assert_eq!(aborted.reason, "quota");
/// assert_eq!(aborted.error_type.as_deref(), Some("quota"));
/// assert_eq!(aborted.message.as_deref(), Some("used up"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Aborted {
    /// Attribute `reason` of the event and `api.abort.reason` of the span.
    pub reason: &'static str,
    /// Attribute `error.type`. If there is one the span's status is Error, else it stays Unset.
    pub error_type: Option<Cow<'static, str>>,
    /// Attribute `error` of the event and, if the status is Error, its description.
    pub message: Option<String>,
}

impl Aborted {
    /// Aborted for this reason, which is not an error: the span's status stays Unset.
    #[must_use]
    pub fn new(reason: &'static str) -> Self {
        Self {
            reason,
            error_type: None,
            message: None,
        }
    }

    /// The same as an error of this type, of low cardinality: the span's status becomes Error.
    #[must_use]
    pub fn with_error_type(mut self, error_type: impl Into<Cow<'static, str>>) -> Self {
        self.error_type = Some(error_type.into());
        self
    }

    /// The same with a message.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<String>) -> Self {
        self.message = Some(message.into());
        self
    }

    fn error(reason: &'static str) -> Self {
        Self::new(reason).with_error_type(reason)
    }

    fn saying(mut self, message: Option<&String>) -> Self {
        self.message = message.cloned();
        self
    }
}

pub(crate) const CLIENT_DISCONNECT: &str = "client_disconnect";
pub(crate) const GENERATOR_EXIT: &str = "generator_exit";
const VALIDATION_ERROR: &str = "validation_error";
const CLIENT_ERROR: &str = "client_error";
const EXCEPTION: &str = "exception";
const LENGTH_MISMATCH: &str = "length_mismatch";
const DEADLINE_EXCEEDED: &str = "deadline_exceeded";
pub(crate) const GENERATION_ERROR: &str = "generation_error";
const PANIC: &str = "panic";
const MISSING_GRPC_STATUS: &str = "missing_grpc_status";

/// The default classification: what an end means.
///
/// A panic wins; else the handler's verdict; else how the response stopped; else its status.
///
/// | reason | when | `error.type`, with which the status is Error |
/// |---|---|---|
/// | `client_disconnect` | the future, or a body already polled, was dropped before its end | `client_disconnect`; none for a gRPC call |
/// | `generator_exit` | a body that still owed something was dropped without being polled | `generator_exit` |
/// | `validation_error` | 400, 413, 414, 415, 422, 431; `INVALID_ARGUMENT`, `OUT_OF_RANGE`, `FAILED_PRECONDITION` | none |
/// | `client_error` | any other 4xx; gRPC codes that are not the server's fault | none |
/// | `exception` | service error, body error; 5xx, and 1xx but 101, which is no response, if its body is read to the end; `UNKNOWN`, `DEADLINE_EXCEEDED`, `UNIMPLEMENTED`, `INTERNAL`, `UNAVAILABLE`, `DATA_LOSS`; no `grpc-status` | `exception`; the number; the code's name; `missing_grpc_status` |
/// | `length_mismatch` | fewer or more bytes than declared | `length_mismatch` |
/// | `deadline_exceeded` | gRPC: dropped after the caller's `grpc-timeout` | `DEADLINE_EXCEEDED` |
/// | `panic` | the inner service or its body panicked | `panic` |
/// | the handler's | [`SpanHandle::abort`](crate::SpanHandle::abort) | the same string; none for `validation_error` and `client_error` |
///
/// [`ApiSpanLayer::classify`](crate::ApiSpanLayer::classify) replaces it; a replacement may call it
/// for all that it does not decide itself.
///
/// Sources: HTTP server spans and gRPC server spans of the semantic conventions 1.45.0 for what is
/// an error; the reasons are this crate's own.
///
/// ```
/// use http::{Method, StatusCode};
/// use tower_api_span::{End, Head, Outcome, classify};
///
/// let head = Head::new(Method::GET, Some(StatusCode::NOT_FOUND));
/// let Outcome::Aborted(aborted) = classify(&head, &End::Complete { grpc_status: None }, None) else {
///     panic!("a 404 is aborted");
/// };
/// assert_eq!((aborted.reason, aborted.error_type), ("client_error", None));
/// ```
#[must_use]
pub fn classify(head: &Head, end: &End, verdict: Option<&Verdict>) -> Outcome {
    let aborted = match (end, verdict) {
        (End::Panicked, _) => Aborted::error(PANIC),
        (_, Some(verdict)) => by_verdict(verdict),
        (End::ServiceError { message } | End::BodyError { message }, None) => {
            Aborted::error(EXCEPTION).saying(message.as_ref())
        }
        (
            End::LengthMismatch {
                declared,
                delivered,
            },
            None,
        ) => Aborted::error(LENGTH_MISMATCH)
            .with_message(format!("{delivered} of {declared} declared bytes")),
        (
            End::Dropped {
                stage,
                past_deadline,
            },
            None,
        ) => dropped(head.protocol, *stage, *past_deadline),
        (End::Complete { grpc_status }, None) => {
            return match by_status(head, grpc_status.as_ref()) {
                Some(aborted) => Outcome::Aborted(aborted),
                None => Outcome::Departed,
            };
        }
    };
    Outcome::Aborted(aborted)
}

fn by_verdict(verdict: &Verdict) -> Aborted {
    let aborted = match verdict.reason {
        // The caller's fault, whoever says so.
        VALIDATION_ERROR | CLIENT_ERROR => Aborted::new(verdict.reason),
        // A verdict without a reason is still a verdict, and an empty string says nothing.
        "" => Aborted::error(EXCEPTION),
        reason => Aborted::error(reason),
    };
    aborted.saying(verdict.message.as_ref())
}

fn dropped(protocol: Protocol, stage: Stage, past_deadline: bool) -> Aborted {
    match (protocol, stage) {
        _ if past_deadline => {
            Aborted::new(DEADLINE_EXCEEDED).with_error_type(GrpcCode::DEADLINE_EXCEEDED.name())
        }
        // "Cancelled by the caller" is a status of its own in gRPC, and not an error of the server.
        (Protocol::Grpc | Protocol::GrpcWeb, _) => Aborted::new(CLIENT_DISCONNECT),
        (Protocol::Http, Stage::Unread) => Aborted::error(GENERATOR_EXIT),
        (Protocol::Http, Stage::BeforeHead | Stage::Midway) => Aborted::error(CLIENT_DISCONNECT),
    }
}

fn by_status(head: &Head, grpc_status: Option<&GrpcStatus>) -> Option<Aborted> {
    match (head.protocol, grpc_status) {
        (Protocol::Grpc | Protocol::GrpcWeb, Some(status)) => by_grpc_status(status),
        // Turned away before it reached gRPC, by a proxy, a router or a limit: HTTP says why.
        (Protocol::Grpc, None) if !is_http_error(head.status) => {
            Some(Aborted::new(EXCEPTION).with_error_type(MISSING_GRPC_STATUS))
        }
        (Protocol::Http | Protocol::Grpc | Protocol::GrpcWeb, _) => by_http_status(head.status?),
    }
}

fn is_http_error(status: Option<StatusCode>) -> bool {
    status.is_some_and(|status| status.as_u16() >= 400)
}

fn by_http_status(status: StatusCode) -> Option<Aborted> {
    match status.as_u16() {
        101 | 200..=399 => None,
        400 | 413 | 414 | 415 | 422 | 431 => Some(Aborted::new(VALIDATION_ERROR)),
        401..=499 => Some(Aborted::new(CLIENT_ERROR)),
        // An informational status ends nothing, and servers answer 500 in its place; 600 to 999 are
        // no statuses at all. Both are nobody's fault but the server's.
        ..200 | 500.. => Some(Aborted::new(EXCEPTION).with_error_type(status.as_str().to_owned())),
    }
}

fn by_grpc_status(status: &GrpcStatus) -> Option<Aborted> {
    let aborted = match status.code {
        GrpcCode::OK => return None,
        GrpcCode::CANCELLED => Aborted::new(CLIENT_DISCONNECT),
        GrpcCode::INVALID_ARGUMENT | GrpcCode::OUT_OF_RANGE | GrpcCode::FAILED_PRECONDITION => {
            Aborted::new(VALIDATION_ERROR)
        }
        code if code.is_server_error() => Aborted::new(EXCEPTION).with_error_type(code.name()),
        _ => Aborted::new(CLIENT_ERROR),
    };
    Some(aborted.saying(status.message.as_ref()))
}

#[cfg(test)]
mod tests;
