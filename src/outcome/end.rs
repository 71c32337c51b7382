//! How a response ended: the facts that a classification decides by.

use std::borrow::Cow;

use http::{Method, StatusCode};

use crate::outcome::reason;
use crate::protocol::grpc::{GrpcCode, GrpcStatus, Protocol};
use crate::text::truncate;

/// What is known of an exchange apart from its end.
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
    /// The request's method, as it came.
    pub method: Method,
    /// The response's status; `None` if the inner service returned no response.
    pub status: Option<StatusCode>,
    /// The protocol on top of HTTP: the one the request's content type claims, or HTTP if the answer is
    /// not gRPC's.
    pub protocol: Protocol,
}

impl Head {
    /// Makes the head of a plain HTTP exchange.
    #[must_use]
    pub fn new(method: Method, status: Option<StatusCode>) -> Self {
        Self {
            method,
            status,
            protocol: Protocol::Http,
        }
    }

    /// Sets the protocol.
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

    /// Whether the status is 400 or above.
    pub(crate) fn is_error_status(&self) -> bool {
        self.status.is_some_and(|status| status.as_u16() >= 400)
    }
}

/// How a response ended.
///
/// "Returned" means: returned to whatever polls the layer's future and body, in the end the server.
/// Whether the client received it cannot be observed here.
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
    /// The whole message was returned.
    Complete {
        /// gRPC: the status in the trailers, else the one in the head.
        grpc_status: Option<GrpcStatus>,
    },
    /// The body ended with fewer or more bytes than the message declared: by its Content-Length or,
    /// without one, by an exact size hint, from which servers make one.
    LengthMismatch {
        /// Bytes declared.
        declared: u64,
        /// Bytes returned.
        delivered: u64,
    },
    /// The inner service returned an error instead of a response.
    ServiceError {
        /// The texts of the error and its sources, `outer: inner`, truncated to 1,024 bytes.
        message: Option<String>,
        /// The error's kind, if that is known: `error.type`, of low cardinality. See
        /// [`error_type_fn`](crate::ApiSpanLayer::error_type_fn).
        error_type: Option<Cow<'static, str>>,
    },
    /// The body returned an error instead of a frame.
    BodyError {
        /// The texts of the error and its sources, as those of a service error.
        message: Option<String>,
        /// The error's kind, as that of a service error.
        error_type: Option<Cow<'static, str>>,
    },
    /// The response was dropped while it still owed something.
    Dropped {
        /// How far it had come.
        stage: Stage,
        /// gRPC: the caller's `grpc-timeout` had passed.
        past_deadline: bool,
    },
    /// The inner service or its body panicked, or the task was unwinding for another reason.
    Panicked,
}

impl End {
    /// Returns the kind of the error that was the end, if that is known.
    pub(crate) fn error_type(&self) -> Option<&Cow<'static, str>> {
        match self {
            Self::ServiceError { error_type, .. } | Self::BodyError { error_type, .. } => {
                error_type.as_ref()
            }
            Self::Complete { .. }
            | Self::LengthMismatch { .. }
            | Self::Dropped { .. }
            | Self::Panicked => None,
        }
    }

    /// Returns the gRPC code that the server sent.
    pub(crate) fn sent_grpc_code(&self) -> Option<GrpcCode> {
        match self {
            Self::Complete { grpc_status } => grpc_status.as_ref().map(|status| status.code),
            Self::LengthMismatch { .. }
            | Self::ServiceError { .. }
            | Self::BodyError { .. }
            | Self::Dropped { .. }
            | Self::Panicked => None,
        }
    }

    /// Returns the gRPC code of a call that ended so: the one that was sent, or gRPC's name for a call
    /// that stopped without one.
    pub(crate) fn grpc_code(&self) -> Option<GrpcCode> {
        match self {
            Self::Complete { .. } => self.sent_grpc_code(),
            Self::Dropped {
                past_deadline: true,
                ..
            } => Some(GrpcCode::DEADLINE_EXCEEDED),
            Self::Dropped { .. } => Some(GrpcCode::CANCELLED),
            Self::LengthMismatch { .. }
            | Self::ServiceError { .. }
            | Self::BodyError { .. }
            | Self::Panicked => None,
        }
    }
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
    /// The response future had not returned a response.
    BeforeHead,
    /// The head had been returned, the body had never been polled.
    Unread,
    /// The body had been polled.
    Midway,
}

/// The handler's verdict on its response, given with [`SpanHandle::abort`](crate::SpanHandle::abort).
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
    /// The handler's message, truncated to 1,024 bytes.
    pub message: Option<String>,
}

impl Verdict {
    /// Makes a verdict.
    #[must_use]
    pub fn new(reason: &'static str, message: Option<String>) -> Self {
        Self { reason, message }
    }

    /// Makes the verdict of a handler that set the span's status to Error through its context.
    pub(crate) fn from_status(description: &str) -> Self {
        let message = truncate(description);
        let message = (!message.is_empty()).then(|| message.to_owned());
        Self::new(reason::EXCEPTION, message)
    }
}
