//! Status and deadline a second time, by tables and another's decoder.

use http::{HeaderMap, HeaderValue};
use percent_encoding::percent_decode;

use crate::recorder::MAX_STRING;

/// The seventeen codes.
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

/// A status.
#[derive(Clone, Debug)]
pub struct Status {
    pub name: &'static str,
    pub message: Option<String>,
}

impl Status {
    /// The one in these headers, of which the first of each name counts.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let code = headers.get("grpc-status")?.as_bytes();
        let message = headers.get("grpc-message").map(HeaderValue::as_bytes);
        Some(Self::told(code, message))
    }

    /// The one that is told so.
    pub fn told(code: &[u8], message: Option<&[u8]>) -> Self {
        let mut names = (0..).zip(NAMES);
        let known = names.find(|(number, _)| number.to_string().as_bytes() == code);
        let message = message.map(|message| {
            let bytes: Vec<u8> = percent_decode(message).collect();
            let mut text = String::from_utf8_lossy(&bytes).into_owned();
            text.truncate(text.floor_char_boundary(MAX_STRING));
            text
        });
        Self {
            name: known.map_or("UNKNOWN", |(_, name)| name),
            message: message.filter(|message| !message.is_empty()),
        }
    }

    /// What it makes of a call: the outcome, and the type of the error.
    pub fn outcome(&self) -> (&'static str, Option<&'static str>) {
        match self.name {
            "OK" => ("DEPARTED", None),
            "CANCELLED" => ("client_disconnect", None),
            "INVALID_ARGUMENT" | "OUT_OF_RANGE" | "FAILED_PRECONDITION" => {
                ("validation_error", None)
            }
            "UNKNOWN" | "DEADLINE_EXCEEDED" | "UNIMPLEMENTED" | "INTERNAL" | "UNAVAILABLE"
            | "DATA_LOSS" => ("exception", Some(self.name)),
            _ => ("client_error", None),
        }
    }
}

/// Whether the caller's deadline passes while an input is played.
#[derive(Debug, PartialEq)]
pub enum Deadline {
    Passed,
    /// Perhaps.
    Soon,
    Never,
}

impl Deadline {
    pub fn of(headers: &HeaderMap) -> Self {
        let value = headers.get("grpc-timeout").map(HeaderValue::as_bytes);
        let Some((unit, digits @ [_, ..])) = value.and_then(<[u8]>::split_last) else {
            return Self::Never;
        };
        let nanoseconds: u128 = match unit {
            b'n' => 1,
            b'u' => 1_000,
            b'm' => 1_000_000,
            b'S' => 1_000_000_000,
            b'M' => 60_000_000_000,
            b'H' => 3_600_000_000_000,
            _ => return Self::Never,
        };
        if digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
            return Self::Never;
        }
        let count = digits
            .iter()
            .fold(0, |count, digit| 10 * count + u128::from(digit - b'0'));
        match count * nanoseconds {
            0 => Self::Passed,
            1..=60_000_000_000 => Self::Soon,
            _ => Self::Never,
        }
    }
}
