//! The status of a gRPC call.

pub mod web;

use http::{HeaderMap, HeaderValue};
use percent_encoding::percent_decode;

use super::{MAX_STRING, truncate};

/// The names of the codes, by number.
pub const NAMES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

#[derive(Clone, Debug)]
pub struct Status {
    pub name: &'static str,
    pub message: Option<String>,
}

impl Status {
    /// Reads the status from headers or trailers. The first value of each name counts.
    pub fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let code = headers.get("grpc-status")?.as_bytes();
        let message = headers.get("grpc-message").map(HeaderValue::as_bytes);
        Some(Self::parse(code, message))
    }

    pub(super) fn parse(code: &[u8], message: Option<&[u8]>) -> Self {
        let mut names = (0..).zip(NAMES);
        let known = names.find(|(number, _)| number.to_string().as_bytes() == code);
        let message = message.map(|message| {
            let bytes: Vec<u8> = percent_decode(message).collect();
            let text = String::from_utf8_lossy(&bytes).into_owned();
            truncate(text, MAX_STRING)
        });
        Self {
            name: known.map_or("UNKNOWN", |(_, name)| name),
            message: message.filter(|message| !message.is_empty()),
        }
    }
}
