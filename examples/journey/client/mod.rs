//! The clients, one per protocol. They record what they receive and when.

mod grpc;
mod http1;
mod http2;

use std::any::Any;
use std::fmt;
use std::net::SocketAddr;
use std::time::SystemTime;

use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};
use tokio::sync::futures::Notified;
use tower_api_span::GrpcCode;

use crate::scenarios::{Scenario, Target};

pub(crate) use grpc::{Call, Method};

/// The protocol of a request.
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

/// When the client disconnects.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Behaviour {
    /// Never: it reads the whole response.
    ReadsAll,
    /// While the engine hangs, before the head arrives.
    DisconnectsBeforeHead,
    /// After this much of the body, in bytes or gRPC messages.
    DisconnectsAfter(usize),
}

impl Behaviour {
    /// Whether the client disconnects after it has received this much.
    fn disconnects_after(self, received: usize) -> bool {
        match self {
            Self::ReadsAll | Self::DisconnectsBeforeHead => false,
            Self::DisconnectsAfter(enough) => received >= enough,
        }
    }
}

/// The caller's trace and span ids, which identify the spans of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller {
    pub(crate) trace_id: TraceId,
    pub(crate) span_id: SpanId,
}

impl Caller {
    /// Returns a caller with ids of its own, also among the runs of this program: a collector may get several.
    pub(crate) fn random() -> Self {
        let ids = RandomIdGenerator::default();
        Self {
            trace_id: ids.new_trace_id(),
            span_id: ids.new_span_id(),
        }
    }

    fn traceparent(self) -> String {
        let Self { trace_id, span_id } = self;
        format!("00-{trace_id}-{span_id}-01")
    }
}

/// What the client has received of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Http {
        head: Option<Head>,
        /// Bytes of the body, without transfer coding.
        bytes: usize,
        end: End,
    },
    Grpc {
        messages: usize,
        /// `None` if the client disconnected before it.
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
    Complete,
    /// The server closed the connection or reset the stream before the end.
    CutOff,
    /// The client closed the connection or reset the stream before the end.
    Disconnected,
}

impl Seen {
    /// Returns a response without Content-Length.
    pub(crate) fn http(status: u16, bytes: usize, end: End) -> Self {
        let length = None;
        Self::Http {
            head: Some(Head { status, length }),
            bytes,
            end,
        }
    }

    /// Returns the view of a client that got no response.
    pub(crate) fn no_response(end: End) -> Self {
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

    /// Returns a summary of two or three words.
    pub(crate) fn summary(&self) -> String {
        match self {
            Self::Http {
                head: Some(Head { status, .. }),
                end,
                ..
            } => format!("{status} {end}"),
            Self::Http {
                end: End::Disconnected,
                ..
            } => "disconnected".to_owned(),
            Self::Http { .. } => "no response".to_owned(),
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
            Self::Http { .. } => f.write_str(&self.summary()),
            Self::Grpc { messages, status } => {
                let plural = if *messages == 1 { "" } else { "s" };
                write!(f, "{messages} message{plural}, ")?;
                match status {
                    Some(status) => write!(f, "{status}"),
                    None => f.write_str("disconnected"),
                }
            }
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Complete => "complete",
            Self::CutOff => "cut off",
            Self::Disconnected => "disconnected",
        })
    }
}

/// What the client has received, and when.
pub(crate) struct Observed {
    pub(crate) seen: Seen,
    pub(crate) sent: SystemTime,
    pub(crate) head: Option<SystemTime>,
    pub(crate) ended: SystemTime,
    /// The connection, if the client has not closed it. While it is open, only the response can end the span.
    pub(crate) connection: Option<Box<dyn Any + Send>>,
}

/// Makes a request on a new connection.
///
/// # Errors
///
/// One line, if the connection fails or the response does not follow the protocol.
pub(crate) async fn exchange(
    address: SocketAddr,
    scenario: &Scenario,
    protocol: Protocol,
    caller: Caller,
    engine_hangs: Notified<'_>,
) -> Result<Observed, String> {
    let behaviour = scenario.client;
    match &scenario.target {
        Target::Http { method, path } if protocol == Protocol::Http1 => {
            http1::exchange(address, method, path, behaviour, caller, engine_hangs)
                .await
                .map_err(|error| error.to_string())
        }
        Target::Http { method, path } => {
            http2::exchange(address, method, path, behaviour, caller, engine_hangs).await
        }
        Target::Grpc(call) => grpc::exchange(address, call, behaviour, caller, engine_hangs).await,
    }
}
