//! The default classification.

use std::borrow::Cow;

use http::StatusCode;

use crate::outcome::aborted::{Aborted, Outcome};
use crate::outcome::end::{End, Head, Stage, Verdict};
use crate::outcome::reason;
use crate::protocol::grpc::{GrpcCode, GrpcStatus, Protocol};

/// `error.type` of a gRPC answer without `grpc-status`.
const MISSING_GRPC_STATUS: &str = "missing_grpc_status";

/// Decides what an end means: the default classification.
///
/// A panic wins; else the handler's verdict; else how the response ended; else its status.
///
/// | reason | when | `error.type`, with which the status is Error |
/// |---|---|---|
/// | `client_disconnect` | the future, or a body already polled, was dropped before its end | `client_disconnect`; none for a gRPC call |
/// | `generator_exit` | a body that still owed something was dropped without being polled | `generator_exit` |
/// | `validation_error` | 400, 413, 414, 415, 422, 431; `INVALID_ARGUMENT`, `OUT_OF_RANGE`, `FAILED_PRECONDITION` | none |
/// | `client_error` | any other 4xx; gRPC codes that are not the server's fault | none |
/// | `exception` | service error, body error; 5xx, and 1xx other than 101, which is no final response; `UNKNOWN`, `DEADLINE_EXCEEDED`, `UNIMPLEMENTED`, `INTERNAL`, `UNAVAILABLE`, `DATA_LOSS`; no `grpc-status` | the error's kind, else `exception`; the number; the code's name; `missing_grpc_status` |
/// | `length_mismatch` | fewer or more bytes than declared | `length_mismatch` |
/// | `deadline_exceeded` | gRPC: dropped after the caller's `grpc-timeout` | `DEADLINE_EXCEEDED` |
/// | `panic` | the inner service or its body panicked | `panic` |
/// | the handler's | [`SpanHandle::abort`](crate::SpanHandle::abort) | the same string; none for `validation_error` and `client_error` |
///
/// The kinds of errors are `timeout`, `overloaded`, `body_limit`, those of I/O errors, and
/// [the operator's](crate::ApiSpanLayer::error_type_fn).
///
/// [`ApiSpanLayer::classify`](crate::ApiSpanLayer::classify) replaces it. A replacement may call it for
/// what it does not decide itself.
///
/// Sources: the semantic conventions 1.45.0, HTTP server spans and gRPC server spans, decide what is an
/// error. The reasons are this crate's own.
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
        (End::Panicked, _) => Some(Aborted::error(reason::PANIC)),
        (_, Some(verdict)) => Some(classify_verdict(verdict)),
        (End::Complete { grpc_status }, None) => classify_status(head, grpc_status.as_ref()),
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
        ) => Some(classify_drop(head.protocol, *stage, *past_deadline)),
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
        // The client's fault, also if the handler reports it.
        reason::VALIDATION_ERROR | reason::CLIENT_ERROR => Aborted::new(verdict.reason),
        // A verdict without a reason is still a verdict.
        "" => Aborted::error(reason::EXCEPTION),
        reason => Aborted::error(reason),
    };
    Aborted {
        message: verdict.message.clone(),
        ..aborted
    }
}

fn classify_drop(protocol: Protocol, stage: Stage, past_deadline: bool) -> Aborted {
    match (protocol, stage) {
        _ if past_deadline => Aborted::new(reason::DEADLINE_EXCEEDED)
            .with_error_type(GrpcCode::DEADLINE_EXCEEDED.name()),
        // In gRPC, "cancelled by the caller" is a status, and not an error of the server.
        (Protocol::Grpc | Protocol::GrpcWeb, _) => Aborted::new(reason::CLIENT_DISCONNECT),
        (Protocol::Http, Stage::Unread) => Aborted::error(reason::GENERATOR_EXIT),
        (Protocol::Http, Stage::BeforeHead | Stage::Midway) => {
            Aborted::error(reason::CLIENT_DISCONNECT)
        }
    }
}

fn classify_status(head: &Head, grpc_status: Option<&GrpcStatus>) -> Option<Aborted> {
    match (head.protocol, grpc_status) {
        (Protocol::Grpc | Protocol::GrpcWeb, Some(status)) => classify_grpc_status(status),
        // With an HTTP error, a proxy, a router or a limit answered before gRPC was reached.
        (Protocol::Grpc, None) if !head.is_error_status() => {
            Some(Aborted::new(reason::EXCEPTION).with_error_type(MISSING_GRPC_STATUS))
        }
        (Protocol::Http | Protocol::Grpc | Protocol::GrpcWeb, _) => {
            classify_http_status(head.status?)
        }
    }
}

fn classify_http_status(status: StatusCode) -> Option<Aborted> {
    match status.as_u16() {
        101 | 200..=399 => None,
        400 | 413 | 414 | 415 | 422 | 431 => Some(Aborted::new(reason::VALIDATION_ERROR)),
        401..=499 => Some(Aborted::new(reason::CLIENT_ERROR)),
        // An informational status is no final response, and servers send 500 in its place. 600 to 999
        // are not defined. Both are the server's fault.
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
            Aborted::new(reason::EXCEPTION).with_error_type(code.name())
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
