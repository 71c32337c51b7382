//! How a response ended.

use std::borrow::Cow;

use crate::protocol::grpc::{GrpcCode, GrpcStatus};

/// How a response ended.
///
/// "Returned" means that the server, or middleware outside, got it from the layer's future or body. The layer
/// cannot observe whether the client received it.
///
/// ```
/// use http::Method;
/// use tower_api_span::{Completion, End, Outcome, Stage, classify};
///
/// let completion = Completion::new(Method::GET, End::dropped(Stage::Midway));
/// let Outcome::Aborted(aborted) = classify(&completion) else {
///     panic!("half a response is no success");
/// };
/// assert_eq!(aborted.reason, "client_disconnect");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// The whole message was returned.
    #[non_exhaustive]
    Complete {
        /// gRPC: the status in the trailers, else in the head.
        grpc_status: Option<GrpcStatus>,
    },
    /// The body ended with fewer or more bytes than the message declared: by its Content-Length or,
    /// without one, by an exact size hint, from which servers make one.
    #[non_exhaustive]
    LengthMismatch {
        /// Bytes declared.
        declared: u64,
        /// Bytes returned.
        delivered: u64,
    },
    /// The whole message was returned, but it is a stream of a known format and lacks that format's end.
    /// See [`llm_formats`](crate::ApiSpanLayer::llm_formats).
    #[non_exhaustive]
    Truncated,
    /// The inner service returned an error instead of a response.
    #[non_exhaustive]
    ServiceError {
        /// The texts of the error and its sources, `outer: inner`, truncated to 1,024 bytes.
        message: Option<String>,
        /// The error's kind, if that is known: `error.type`, of low cardinality. See
        /// [`error_type_fn`](crate::ApiSpanLayer::error_type_fn).
        error_type: Option<Cow<'static, str>>,
    },
    /// The body returned an error instead of a frame.
    #[non_exhaustive]
    BodyError {
        /// The texts of the error and its sources, as those of a service error.
        message: Option<String>,
        /// The error's kind, as that of a service error.
        error_type: Option<Cow<'static, str>>,
    },
    /// The response was dropped before it was complete, or the client disconnected inside its request.
    #[non_exhaustive]
    Dropped {
        /// The stage at the drop.
        stage: Stage,
        /// gRPC: whether the caller's `grpc-timeout` had passed.
        past_deadline: bool,
    },
    /// The inner service or its body panicked, or the task was unwinding for another reason.
    #[non_exhaustive]
    Panicked,
}

impl End {
    /// Makes the end of a message that was returned whole.
    ///
    /// ```
    /// assert_eq!(tower_api_span::End::complete().grpc_status(), None);
    /// ```
    #[must_use]
    pub fn complete() -> Self {
        Self::Complete { grpc_status: None }
    }

    /// Sets the gRPC status of a complete message. Any other end stays as it is.
    ///
    /// ```
    /// use tower_api_span::{End, GrpcCode, GrpcStatus};
    ///
    /// let status = GrpcStatus::new(GrpcCode::OK, None);
    /// let end = End::complete().with_grpc_status(status.clone());
    /// assert_eq!(end.grpc_status(), Some(&status));
    /// ```
    #[must_use]
    pub fn with_grpc_status(mut self, status: GrpcStatus) -> Self {
        if let Self::Complete { grpc_status } = &mut self {
            *grpc_status = Some(status);
        }
        self
    }

    /// Makes the end of a body with another number of bytes than declared.
    ///
    /// ```
    /// use tower_api_span::End;
    ///
    /// assert_ne!(End::length_mismatch(5, 3), End::complete());
    /// ```
    #[must_use]
    pub fn length_mismatch(declared: u64, delivered: u64) -> Self {
        Self::LengthMismatch {
            declared,
            delivered,
        }
    }

    /// Makes the end of a stream that lacks the end of its format.
    ///
    /// ```
    /// use tower_api_span::End;
    ///
    /// assert_ne!(End::truncated(), End::complete());
    /// ```
    #[must_use]
    pub fn truncated() -> Self {
        Self::Truncated
    }

    /// Makes the end of a request whose service returned an error.
    ///
    /// ```
    /// use tower_api_span::End;
    ///
    /// assert_ne!(End::service_error(None), End::body_error(None));
    /// ```
    #[must_use]
    pub fn service_error(message: Option<String>) -> Self {
        Self::ServiceError {
            message,
            error_type: None,
        }
    }

    /// Makes the end of a body that returned an error.
    ///
    /// ```
    /// use tower_api_span::End;
    ///
    /// assert_ne!(End::body_error(Some("reset".to_owned())), End::body_error(None));
    /// ```
    #[must_use]
    pub fn body_error(message: Option<String>) -> Self {
        Self::BodyError {
            message,
            error_type: None,
        }
    }

    /// Makes the end of a response that was dropped at this stage, before a deadline.
    ///
    /// ```
    /// use tower_api_span::{End, Stage};
    ///
    /// assert_ne!(End::dropped(Stage::Unread), End::dropped(Stage::Midway));
    /// ```
    #[must_use]
    pub fn dropped(stage: Stage) -> Self {
        Self::Dropped {
            stage,
            past_deadline: false,
        }
    }

    /// Makes the end of a gRPC call that was dropped at this stage, after the caller's `grpc-timeout`.
    ///
    /// ```
    /// use tower_api_span::{End, Stage};
    ///
    /// assert_ne!(End::dropped_past_deadline(Stage::Midway), End::dropped(Stage::Midway));
    /// ```
    #[must_use]
    pub fn dropped_past_deadline(stage: Stage) -> Self {
        Self::Dropped {
            stage,
            past_deadline: true,
        }
    }

    /// Makes the end of a request whose service or body panicked.
    ///
    /// ```
    /// use tower_api_span::End;
    ///
    /// assert_ne!(End::panicked(), End::complete());
    /// ```
    #[must_use]
    pub fn panicked() -> Self {
        Self::Panicked
    }

    /// Sets the kind of a service's or body's error, of low cardinality. Any other end stays as it is.
    ///
    /// ```
    /// use tower_api_span::End;
    ///
    /// assert_ne!(End::service_error(None).with_error_type("timeout"), End::service_error(None));
    /// ```
    #[must_use]
    pub fn with_error_type(mut self, kind: impl Into<Cow<'static, str>>) -> Self {
        if let Self::ServiceError { error_type, .. } | Self::BodyError { error_type, .. } =
            &mut self
        {
            *error_type = Some(kind.into());
        }
        self
    }

    /// Returns the kind of the error that was the end, if that is known.
    ///
    /// ```
    /// assert_eq!(tower_api_span::End::panicked().error_type(), None);
    /// ```
    #[must_use]
    pub fn error_type(&self) -> Option<&str> {
        self.error_kind().map(Cow::as_ref)
    }

    pub(crate) fn error_kind(&self) -> Option<&Cow<'static, str>> {
        match self {
            Self::ServiceError { error_type, .. } | Self::BodyError { error_type, .. } => {
                error_type.as_ref()
            }
            Self::Complete { .. }
            | Self::LengthMismatch { .. }
            | Self::Truncated
            | Self::Dropped { .. }
            | Self::Panicked => None,
        }
    }

    /// Returns the gRPC status of a complete message.
    ///
    /// ```
    /// assert_eq!(tower_api_span::End::panicked().grpc_status(), None);
    /// ```
    #[must_use]
    pub fn grpc_status(&self) -> Option<&GrpcStatus> {
        match self {
            Self::Complete { grpc_status } => grpc_status.as_ref(),
            Self::LengthMismatch { .. }
            | Self::Truncated
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
            Self::Complete { grpc_status } => grpc_status.as_ref().map(|status| status.code),
            Self::Dropped {
                past_deadline: true,
                ..
            } => Some(GrpcCode::DEADLINE_EXCEEDED),
            Self::Dropped { .. } => Some(GrpcCode::CANCELLED),
            Self::LengthMismatch { .. }
            | Self::Truncated
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
/// assert_ne!(End::dropped(Stage::BeforeHead), End::dropped(Stage::Unread));
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
    /// The client disconnected while the request's body was being read. It usually receives no later part of the
    /// response.
    /// Detected only with a [`RequestBodyLayer`](crate::RequestBodyLayer).
    ReadingRequest,
}
