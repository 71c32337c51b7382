//! The end of a response: the input of a classification.

use http::{Method, StatusCode};

use crate::outcome::reason;
use crate::protocol::grpc::{GrpcCode, GrpcStatus, Protocol};
use crate::text::truncate;

/// The request's method, and the response's status and protocol.
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
    /// The request's method, as the client sent it.
    pub method: Method,
    /// The response's status. `None` if the inner service returned no response.
    pub status: Option<StatusCode>,
    /// The protocol that the request's content type claims, or HTTP if the response is not gRPC.
    pub protocol: Protocol,
}

impl Head {
    /// Creates the head of a plain HTTP exchange.
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
    ///     panic!("a gRPC response without grpc-status is not a success");
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
/// "Returned" means that the server, or middleware outside, got it from the layer's future or body. The layer
/// cannot observe whether the client received it.
///
/// ```
/// use http::Method;
/// use tower_api_span::{End, Head, Outcome, Stage, classify};
///
/// let end = End::Dropped { stage: Stage::Midway, past_deadline: false };
/// let Outcome::Aborted(aborted) = classify(&Head::new(Method::GET, None), &end, None) else {
///     panic!("half a response is not a success");
/// };
/// assert_eq!(aborted.reason, "client_disconnect");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// The whole message was returned.
    Complete {
        /// gRPC: the status in the trailers, else in the head.
        grpc_status: Option<GrpcStatus>,
    },
    /// The body ended with fewer or more bytes than the message declared. The declared length is the
    /// Content-Length, else the body's exact size hint, which servers turn into a Content-Length.
    LengthMismatch {
        /// Bytes declared.
        declared: u64,
        /// Bytes returned.
        delivered: u64,
    },
    /// The inner service returned an error instead of a response.
    ServiceError {
        /// The error's `Display`, truncated to 1,024 bytes.
        message: Option<String>,
    },
    /// The body returned an error instead of a frame.
    BodyError {
        /// The error's `Display`, truncated to 1,024 bytes.
        message: Option<String>,
    },
    /// The response was dropped before its end.
    Dropped {
        /// The stage at the drop.
        stage: Stage,
        /// gRPC: whether the caller's `grpc-timeout` had passed.
        past_deadline: bool,
    },
    /// The inner service or its body panicked, or another panic unwound the task.
    Panicked,
}

impl End {
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

    /// Returns the gRPC code of a call: the code that the server sent or, for a dropped call, gRPC's code for a
    /// drop.
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

/// The stage of a response that was dropped.
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
    /// The head was returned, and the body was never polled.
    Unread,
    /// The body was polled.
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
    /// Creates a verdict.
    #[must_use]
    pub fn new(reason: &'static str, message: Option<String>) -> Self {
        Self { reason, message }
    }

    /// Creates the verdict of a handler that set an Error status on the span in the context.
    pub(crate) fn from_status(description: &str) -> Self {
        let message = truncate(description);
        let message = (!message.is_empty()).then(|| message.to_owned());
        Self::new(reason::EXCEPTION, message)
    }
}
