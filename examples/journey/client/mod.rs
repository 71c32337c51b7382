//! The clients: one for each protocol, which note what they see and when.

mod grpc;
mod http1;
mod http2;

use std::any::Any;
use std::fmt;
use std::net::SocketAddr;
use std::time::SystemTime;

use opentelemetry::trace::{SpanId, TraceId};
use tokio::sync::futures::Notified;
use tower_api_span::GrpcCode;

use crate::scenarios::{Asks, Scenario};

pub(crate) use grpc::{Call, Method};

/// What is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
    Grpc,
}

impl Protocol {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Http1 => "HTTP/1.1",
            Self::Http2 => "HTTP/2",
            Self::Grpc => "gRPC",
        }
    }
}

/// What the client does before it has the whole response.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Behaviour {
    /// Waits for it.
    Stays,
    /// Leaves while the engine hangs.
    LeavesBeforeTheHead,
    /// Leaves after this much of the body: bytes, or messages of gRPC.
    LeavesAfter(usize),
}

impl Behaviour {
    /// Whether the client leaves once it has got this much.
    fn leaves_with(self, received: usize) -> bool {
        match self {
            Self::Stays | Self::LeavesBeforeTheHead => false,
            Self::LeavesAfter(enough) => received >= enough,
        }
    }
}

/// The caller's side of a trace, by which the spans of a request are found again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller {
    pub(crate) trace_id: TraceId,
    pub(crate) span_id: SpanId,
}

impl Caller {
    /// The caller of the nth request.
    pub(crate) fn nth(nth: u32) -> Self {
        // An id of zeros is none.
        let id = nth + 1;
        Self {
            trace_id: TraceId::from(u128::from(id)),
            span_id: SpanId::from(u64::from(id)),
        }
    }

    fn traceparent(self) -> String {
        let Self { trace_id, span_id } = self;
        format!("00-{trace_id}-{span_id}-01")
    }
}

/// What the client has seen of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Http {
        head: Option<Head>,
        /// Bytes of the body, without those of any coding of the transfer.
        bytes: usize,
        end: End,
    },
    Grpc {
        messages: usize,
        /// `None` if the client left without waiting for it.
        status: Option<GrpcCode>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) status: u16,
    /// Content-Length.
    length: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The message is complete.
    Whole,
    /// The server closed the connection or reset the stream too early.
    CutOff,
    /// The client did.
    Left,
}

impl Seen {
    /// A response without Content-Length.
    pub(crate) fn http(status: u16, bytes: usize, end: End) -> Self {
        let length = None;
        Self::Http {
            head: Some(Head { status, length }),
            bytes,
            end,
        }
    }

    /// No response at all.
    pub(crate) fn nothing(end: End) -> Self {
        Self::Http {
            head: None,
            bytes: 0,
            end,
        }
    }

    pub(crate) fn grpc(messages: usize, status: Option<GrpcCode>) -> Self {
        Self::Grpc { messages, status }
    }

    pub(crate) fn with_length(mut self, declared: usize) -> Self {
        if let Self::Http {
            head: Some(Head { length, .. }),
            ..
        } = &mut self
        {
            *length = Some(declared);
        }
        self
    }

    /// The same in two or three words.
    pub(crate) fn in_short(&self) -> String {
        match self {
            Self::Http {
                head: Some(Head { status, .. }),
                end,
                ..
            } => format!("{status} {end}"),
            Self::Http { end: End::Left, .. } => "left".to_owned(),
            Self::Http { .. } => "no answer".to_owned(),
            Self::Grpc { .. } => self.to_string(),
        }
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http {
                head: Some(Head { status, length }),
                bytes,
                end,
            } => {
                write!(f, "{status}, {bytes} ")?;
                if let Some(length) = length {
                    write!(f, "of {length} ")?;
                }
                write!(f, "bytes, {end}")
            }
            Self::Http { .. } => f.write_str(&self.in_short()),
            Self::Grpc { messages, status } => {
                let plural = if *messages == 1 { "" } else { "s" };
                write!(f, "{messages} message{plural}, ")?;
                match status {
                    Some(status) => write!(f, "{status}"),
                    None => f.write_str("left"),
                }
            }
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Whole => "whole",
            Self::CutOff => "cut off",
            Self::Left => "left",
        })
    }
}

/// What the client has seen, and when.
pub(crate) struct Observed {
    pub(crate) seen: Seen,
    pub(crate) sent: SystemTime,
    pub(crate) head: Option<SystemTime>,
    pub(crate) ended: SystemTime,
    /// The connection, if the client has not closed it. While it is open, it must be the response
    /// that ends the span.
    pub(crate) connection: Option<Box<dyn Any + Send>>,
}

/// Makes a request on a connection of its own.
///
/// # Errors
///
/// A sentence, if there is no connection or what comes back is not of this protocol.
pub(crate) async fn exchange(
    address: SocketAddr,
    scenario: &Scenario,
    protocol: Protocol,
    caller: Caller,
    engine_hangs: Notified<'_>,
) -> Result<Observed, String> {
    let behaviour = scenario.client;
    match &scenario.asks {
        Asks::Http { method, path } if protocol == Protocol::Http1 => {
            http1::exchange(address, method, path, behaviour, caller, engine_hangs)
                .await
                .map_err(|error| error.to_string())
        }
        Asks::Http { method, path } => {
            http2::exchange(address, method, path, behaviour, caller, engine_hangs).await
        }
        Asks::Grpc(call) => grpc::exchange(address, call, behaviour, caller, engine_hangs).await,
    }
}
