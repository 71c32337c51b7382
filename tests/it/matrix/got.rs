//! What a client really got.

use std::fmt;

/// What has become of one request, as its client saw it.
#[derive(Clone, Debug, PartialEq)]
pub enum Got {
    /// A message that was complete by the rules of its protocol.
    Whole { status: u16, bytes: usize },
    /// A head, and then not what it promised.
    Cut {
        status: u16,
        bytes: usize,
        how: String,
    },
    /// No head at all.
    Nothing { how: String },
    /// A gRPC call that is over: its messages and its code.
    Grpc { messages: usize, code: tonic::Code },
    /// The client did not wait for the end.
    Left { status: Option<u16> },
}

impl Got {
    pub fn nothing(how: impl fmt::Display) -> Self {
        Self::Nothing {
            how: how.to_string(),
        }
    }

    pub fn cut(status: u16, bytes: usize, how: impl fmt::Display) -> Self {
        Self::Cut {
            status,
            bytes,
            how: how.to_string(),
        }
    }

    /// Whether both ends tell the same story: `DEPARTED` is said of a whole response that is no
    /// error, and of nothing else.
    pub fn agrees_with(&self, outcome: &str) -> bool {
        match self {
            Self::Whole { status, .. } if *status < 400 => outcome == "DEPARTED",
            Self::Grpc { code, .. } => (*code == tonic::Code::Ok) == (outcome == "DEPARTED"),
            Self::Whole { .. } | Self::Cut { .. } | Self::Nothing { .. } | Self::Left { .. } => {
                outcome != "DEPARTED"
            }
        }
    }
}

impl fmt::Display for Got {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole { status, bytes } => write!(f, "{status}, whole, {bytes} bytes"),
            Self::Cut { status, how, .. } => write!(f, "{status}, broken: {how}"),
            Self::Nothing { how } => write!(f, "no answer: {how}"),
            Self::Grpc { messages, code } => write!(f, "{messages} messages, {code:?}"),
            Self::Left { status: None } => f.write_str("left before the head"),
            Self::Left {
                status: Some(status),
            } => write!(f, "{status}, left midway"),
        }
    }
}
