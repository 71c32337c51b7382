//! The default classification.

use std::borrow::Cow;

use http::{StatusCode, Version};

use crate::outcome::aborted::{Aborted, Outcome};
use crate::outcome::completion::Completion;
use crate::outcome::end::{End, Stage};
use crate::outcome::reason;
use crate::outcome::verdict::Verdict;
use crate::protocol::grpc::{GrpcCode, GrpcStatus, Protocol};

/// `error.type` of a gRPC response without `grpc-status`.
const MISSING_GRPC_STATUS: &str = "missing_grpc_status";

/// Decides the outcome of a response: the default classification.
///
/// The first of these decides: a panic, the handler's verdict, the end, the status. The
/// [guide](crate::guide::endings#the-outcome) has the table of all cases. If there is an `error.type`, the span's status
/// is Error.
///
/// [`ApiSpanLayer::classify`](crate::ApiSpanLayer::classify) replaces this function. A replacement may call it for
/// the cases that it does not decide itself.
///
/// The semantic conventions 1.45.0 for HTTP and gRPC server spans define which of these are errors. The reasons are
/// this crate's own.
///
/// ```
/// use http::{Method, StatusCode};
/// use tower_api_span::{Completion, End, Outcome, classify};
///
/// let completion = Completion::new(Method::GET, End::complete()).with_status(StatusCode::NOT_FOUND);
/// let Outcome::Aborted(aborted) = classify(&completion) else {
///     panic!("a 404 is aborted");
/// };
/// assert_eq!((aborted.reason, aborted.error_type), ("client_error", None));
/// ```
#[must_use]
pub fn classify(completion: &Completion) -> Outcome {
    let aborted = match (&completion.end, &completion.verdict) {
        (End::Panicked, _) => Some(Aborted::error(reason::PANIC)),
        (_, Some(verdict)) => Some(classify_verdict(verdict)),
        (End::Complete { grpc_status }, None) => classify_status(completion, grpc_status.as_ref()),
        (
            End::LengthMismatch {
                declared,
                delivered,
            },
            None,
        ) => Some(
            Aborted::error(reason::LENGTH_MISMATCH)
                .with_message(format!("{delivered} of {declared} declared bytes")),
        ),
        (End::Truncated, None) => Some(Aborted::error(reason::TRUNCATED_STREAM)),
        (
            End::ServiceError {
                message,
                error_type,
            }
            | End::BodyError {
                message,
                error_type,
            },
            None,
        ) => Some(classify_error(message.as_ref(), error_type.as_ref())),
        (
            End::Dropped {
                stage,
                past_deadline,
            },
            None,
        ) => Some(classify_drop(completion.protocol, *stage, *past_deadline)),
    };
    aborted.map_or(Outcome::Departed, Outcome::Aborted)
}

fn classify_error(message: Option<&String>, error_type: Option<&Cow<'static, str>>) -> Aborted {
    let exception = Cow::Borrowed(reason::EXCEPTION);
    Aborted {
        message: message.cloned(),
        ..Aborted::new(reason::EXCEPTION).with_error_type(error_type.cloned().unwrap_or(exception))
    }
}

fn classify_verdict(verdict: &Verdict) -> Aborted {
    let aborted = match verdict.reason {
        // An error of the client stays one if the handler reports it.
        reason::VALIDATION_ERROR | reason::CLIENT_ERROR => Aborted::new(verdict.reason),
        // A verdict with an empty reason still counts.
        "" => Aborted::error(reason::EXCEPTION),
        reason => Aborted::error(reason),
    };
    Aborted {
        message: verdict.message.clone(),
        code: verdict.code.clone(),
        ..aborted
    }
}

fn classify_drop(protocol: Protocol, stage: Stage, past_deadline: bool) -> Aborted {
    match (protocol, stage) {
        _ if past_deadline => Aborted::new(reason::DEADLINE_EXCEEDED)
            .with_error_type(GrpcCode::DEADLINE_EXCEEDED.as_str()),
        // In gRPC, "cancelled by the caller" is a status, and not an error of the server.
        (Protocol::Grpc | Protocol::GrpcWeb, _) => Aborted::new(reason::CLIENT_DISCONNECT),
        (Protocol::Http, Stage::Unread) => Aborted::error(reason::GENERATOR_EXIT),
        (Protocol::Http, Stage::BeforeHead | Stage::Midway | Stage::ReadingRequest) => {
            Aborted::error(reason::CLIENT_DISCONNECT)
        }
    }
}

fn classify_status(completion: &Completion, grpc_status: Option<&GrpcStatus>) -> Option<Aborted> {
    match (completion.protocol, grpc_status) {
        (Protocol::Grpc | Protocol::GrpcWeb, Some(status)) => classify_grpc_status(status),
        // With an HTTP error, a proxy, a router or a limit answered before gRPC was reached.
        (Protocol::Grpc, None) if !completion.is_error_status() => {
            Some(Aborted::new(reason::EXCEPTION).with_error_type(MISSING_GRPC_STATUS))
        }
        (Protocol::Http | Protocol::Grpc | Protocol::GrpcWeb, _) => {
            classify_http_status(completion.status?, completion.version)
        }
    }
}

fn classify_http_status(status: StatusCode, version: Version) -> Option<Aborted> {
    match status.as_u16() {
        // HTTP/2 and HTTP/3 have no 101 (RFC 9113, section 8.6), and HTTP/1.0 has no 1xx (RFC 9110, section 15.2).
        101 if version == Version::HTTP_11 => None,
        200..=399 => None,
        400 | 413 | 414 | 415 | 422 | 431 => Some(Aborted::new(reason::VALIDATION_ERROR)),
        401..=499 => Some(Aborted::new(reason::CLIENT_ERROR)),
        // Another informational status is not a final response. Servers of HTTP/1 send 500 instead, and clients of
        // HTTP/2 reject the message. 600 to 999 are not defined. Both are errors of the server.
        ..200 | 500.. => {
            Some(Aborted::new(reason::EXCEPTION).with_error_type(status.as_str().to_owned()))
        }
    }
}

fn classify_grpc_status(status: &GrpcStatus) -> Option<Aborted> {
    let aborted = match status.code {
        GrpcCode::OK => return None,
        GrpcCode::CANCELLED => Aborted::new(reason::CLIENT_DISCONNECT),
        GrpcCode::INVALID_ARGUMENT | GrpcCode::OUT_OF_RANGE | GrpcCode::FAILED_PRECONDITION => {
            Aborted::new(reason::VALIDATION_ERROR)
        }
        code if code.is_server_error() => {
            Aborted::new(reason::EXCEPTION).with_error_type(code.as_str())
        }
        _ => Aborted::new(reason::CLIENT_ERROR),
    };
    Some(Aborted {
        message: status.message.clone(),
        ..aborted
    })
}

#[cfg(test)]
mod tests;
