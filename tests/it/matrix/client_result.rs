//! The result of a request as its client saw it.

use std::fmt;

/// The result of one request, seen by its client.
#[derive(Clone, Debug, PartialEq)]
pub enum ClientResult {
    /// A message that was complete by the rules of its protocol.
    Complete { status: u16, bytes: usize },
    /// A head, and less than the message it declared.
    Truncated {
        status: u16,
        bytes: usize,
        error: String,
    },
    /// No head at all.
    NoResponse { error: String },
    /// A finished gRPC call: the number of its messages and its code.
    Grpc { messages: usize, code: tonic::Code },
    /// The client disconnected before the end.
    Disconnected { status: Option<u16> },
}

impl ClientResult {
    pub fn no_response(error: impl fmt::Display) -> Self {
        Self::NoResponse {
            error: error.to_string(),
        }
    }

    pub fn truncated(status: u16, bytes: usize, error: impl fmt::Display) -> Self {
        Self::Truncated {
            status,
            bytes,
            error: error.to_string(),
        }
    }

    /// Whether the span's outcome matches: `DEPARTED` if and only if the response is complete and no
    /// error.
    pub fn agrees_with(&self, outcome: &str) -> bool {
        match self {
            Self::Complete { status, .. } if *status < 400 => outcome == "DEPARTED",
            Self::Grpc { code, .. } => (*code == tonic::Code::Ok) == (outcome == "DEPARTED"),
            Self::Complete { .. }
            | Self::Truncated { .. }
            | Self::NoResponse { .. }
            | Self::Disconnected { .. } => outcome != "DEPARTED",
        }
    }
}

impl fmt::Display for ClientResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Complete { status, bytes } => write!(f, "{status}, complete, {bytes} bytes"),
            Self::Truncated { status, error, .. } => write!(f, "{status}, truncated: {error}"),
            Self::NoResponse { error } => write!(f, "no response: {error}"),
            Self::Grpc { messages, code } => write!(f, "{messages} messages, {code:?}"),
            Self::Disconnected { status: None } => f.write_str("disconnected before the head"),
            Self::Disconnected {
                status: Some(status),
            } => write!(f, "{status}, disconnected midway"),
        }
    }
}
