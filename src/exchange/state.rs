//! The states of an exchange.
//!
//! ```text
//! start ──> AwaitingHead ──head──> Streaming ──frame──> Streaming
//!               │                     │
//!               └────────end──────────┴──> settled: the exchange is gone
//! ```
//!
//! An exchange ends in one of the ways of [`End`], and each of them from either state where it can
//! happen. There is no ended state: what has ended was taken out of its guard.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use http::StatusCode;
use opentelemetry::KeyValue;

use crate::exchange::cold::ColdState;
use crate::exchange::shared::Shared;
use crate::outcome::{End, Head, Stage};
use crate::protocol::grpc::{GrpcStatus, Protocol};
use crate::protocol::http::progress::Progress;
use crate::protocol::sse::EventStreamReader;
use crate::recording::clock::Elapsed;
use crate::recording::request_info::RequestInfo;
use crate::recording::shared_span::SharedSpan;
use crate::telemetry::metrics::Measurement;
use crate::telemetry::span::end::AtStart;

/// A request that has not ended.
pub(super) struct Exchange {
    pub(super) span: Arc<SharedSpan>,
    pub(super) shared: Arc<Shared>,
    pub(super) request: RequestInfo,
    /// What the span's start decided. `None` if the request has no span, and only metrics or logs observe
    /// it.
    pub(super) at_start: Option<AtStart>,
    pub(super) measurement: Option<Measurement>,
    pub(super) phase: Phase,
    pub(super) cold: Option<Box<ColdState>>,
}

/// How far the response has come.
pub(super) enum Phase {
    /// The inner service has returned no response. The request's content type claims this protocol.
    AwaitingHead { claimed: Protocol },
    /// The head was returned to the server, and the body was not.
    Streaming(Streaming),
}

impl Phase {
    pub(super) fn streaming(&self) -> Option<&Streaming> {
        match self {
            Self::AwaitingHead { .. } => None,
            Self::Streaming(streaming) => Some(streaming),
        }
    }
}

/// A response whose head was returned.
pub(super) struct Streaming {
    pub(super) status: StatusCode,
    /// The protocol of the answer: the claimed one, or HTTP if the answer is not gRPC's.
    pub(super) answered: Protocol,
    /// The response is an event stream by its content type.
    pub(super) is_event_stream: bool,
    /// The response is a stream by its content type.
    pub(super) is_stream: bool,
    pub(super) time_to_head: Option<Elapsed>,
    pub(super) time_to_first_byte: Option<Elapsed>,
    pub(super) body: BodyState,
    /// The reader of an event stream in which something is looked for.
    pub(super) events: Option<Box<EventStreamReader>>,
}

/// How far the body has come, and when the message was whole.
#[derive(Debug)]
pub(super) struct BodyState {
    progress: Progress,
    /// When the last frame was returned to the server, if it delivered all that was declared.
    whole_at: Option<Elapsed>,
}

/// What a data frame has delivered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Delivery {
    /// The first byte.
    pub(super) is_first: bool,
    /// All bytes that the message declared.
    pub(super) is_whole: bool,
}

/// How and when an exchange ends.
#[derive(Debug)]
pub(super) struct Ending {
    pub(super) end: End,
    /// `None`: now.
    pub(super) at: Option<Elapsed>,
}

impl Ending {
    /// Ends now.
    pub(super) fn now(end: End) -> Self {
        Self { end, at: None }
    }
}

impl BodyState {
    /// Makes the state of a body whose head is returned. A message that declares no bytes is whole with that.
    pub(super) fn new(declared: Option<u64>, whole_at: Option<Elapsed>) -> Self {
        Self {
            progress: Progress::new(declared),
            whole_at,
        }
    }

    pub(super) fn mark_polled(&mut self) {
        self.progress.mark_polled();
    }

    /// Records a data frame.
    pub(super) fn record_data(&mut self, bytes: u64) -> Delivery {
        Delivery {
            is_first: self.progress.record_data(bytes),
            is_whole: self.progress.has_delivered_all(),
        }
    }

    /// Records that the message was whole at `now`, with the last frame.
    pub(super) fn mark_whole(&mut self, now: Elapsed) {
        self.whole_at = Some(now);
    }

    pub(super) fn delivered(&self) -> u64 {
        self.progress.delivered()
    }

    /// Returns how a body that is over has ended: complete, at the time when it was whole, or with another
    /// number of bytes than declared, now. After a terminator the number does not matter.
    pub(super) fn ending(&self, is_terminated: bool, grpc_status: Option<GrpcStatus>) -> Ending {
        match self.progress.mismatch() {
            Some((declared, delivered)) if !is_terminated => Ending::now(End::LengthMismatch {
                declared,
                delivered,
            }),
            _ => Ending {
                end: End::Complete { grpc_status },
                at: self.whole_at,
            },
        }
    }

    /// Returns how far a body has come that is dropped, or `None` if all that it declared was delivered.
    fn stage_if_dropped(&self) -> Option<Stage> {
        if self.progress.has_delivered_all() {
            None
        } else if self.progress.was_polled() {
            Some(Stage::Midway)
        } else {
            Some(Stage::Unread)
        }
    }
}

impl Exchange {
    /// Returns how an exchange has ended that was dropped.
    pub(super) fn ending_on_drop(&mut self) -> Ending {
        if thread::panicking() {
            return Ending::now(End::Panicked);
        }
        let stage = match &self.phase {
            Phase::AwaitingHead { .. } => Stage::BeforeHead,
            Phase::Streaming(streaming) => match streaming.body.stage_if_dropped() {
                Some(stage) => stage,
                None => return self.ending_of_body(None),
            },
        };
        let past_deadline = self
            .timeout()
            .is_some_and(|timeout| self.elapsed().duration() >= timeout);
        Ending::now(End::Dropped {
            stage,
            past_deadline,
        })
    }

    /// Returns what a classification decides by, apart from the end.
    pub(super) fn head(&self) -> Head {
        let status = self.phase.streaming().map(|streaming| streaming.status);
        Head::new(self.request.method.clone(), status).with_protocol(self.head_protocol())
    }

    /// Returns the protocol of the answer or, before there is one, the claimed one.
    pub(super) fn head_protocol(&self) -> Protocol {
        match &self.phase {
            Phase::AwaitingHead { claimed } => *claimed,
            Phase::Streaming(streaming) => streaming.answered,
        }
    }

    /// Returns the time since the start.
    pub(super) fn elapsed(&self) -> Elapsed {
        Elapsed::since_start(self.span.clock())
    }

    /// Returns the cold state, made if it is not there.
    pub(super) fn cold(&mut self) -> &mut ColdState {
        self.cold.get_or_insert_default()
    }

    fn timeout(&self) -> Option<Duration> {
        self.cold.as_ref()?.timeout
    }

    pub(super) fn take_grpc_status(&mut self) -> Option<GrpcStatus> {
        self.cold.as_mut()?.grpc_status.take()
    }

    pub(super) fn add_captured(&mut self, captured: Vec<KeyValue>) {
        if !captured.is_empty() {
            self.cold().captured.extend(captured);
        }
    }
}
