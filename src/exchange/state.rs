//! The states of an exchange.
//!
//! ```text
//! start ──> AwaitingHead ──head──> Streaming ──frame──> Streaming
//!               │                     │
//!               └────────end──────────┴──> settled: the exchange is gone
//! ```
//!
//! [`End`] lists the ways in which an exchange ends. There is no ended state, because an exchange that ends
//! is taken out of its guard.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use opentelemetry::{Context, KeyValue};

use crate::exchange::cold::ColdState;
use crate::exchange::reading::{AnswerEnd, Reading};
use crate::exchange::shared::Shared;
use crate::outcome::{End, Stage};
use crate::protocol::grpc::{GrpcStatus, Protocol};
use crate::protocol::http::progress::Progress;
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
    /// The data from the span's start. `None` if the request has no span, and only metrics or logs observe it.
    pub(super) at_start: Option<AtStart>,
    pub(super) measurement: Option<Measurement>,
    /// Whether log events are emitted: not for a request that is filtered out.
    pub(super) emits_events: bool,
    /// The context of the request, if metrics, logs or the operator's callback observe it.
    pub(super) context: Option<Context>,
    pub(super) phase: Phase,
    pub(super) cold: Option<Box<ColdState>>,
}

/// The state of an exchange.
pub(super) enum Phase {
    /// The inner service has not returned a response. The request's content type claims this protocol.
    AwaitingHead { claimed: Protocol },
    /// The head was returned to the server, and the body has not ended.
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
    /// The protocol of the response: the claimed one, or HTTP if the response is not gRPC.
    pub(super) answered: Protocol,
    /// Whether the content type is that of an event stream.
    pub(super) is_event_stream: bool,
    /// Whether the settings list the content type as a stream.
    pub(super) is_stream: bool,
    pub(super) time_to_head: Option<Elapsed>,
    pub(super) time_to_first_byte: Option<Elapsed>,
    pub(super) body: BodyState,
    /// The answer of a language model, if the settings have it read.
    pub(super) reading: Option<Box<Reading>>,
}

/// The progress of the body.
#[derive(Debug)]
pub(super) struct BodyState {
    progress: Progress,
    /// The time of the last data frame that was not empty, or of the head, once all declared bytes were returned.
    whole_at: Option<Elapsed>,
}

/// The effect of a data frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Delivery {
    /// Whether the frame has the first byte of the body.
    pub(super) is_first: bool,
    /// Whether all declared bytes were returned, the last of them with the frame.
    pub(super) is_whole: bool,
}

/// How and when an exchange ends.
#[derive(Debug)]
pub(super) struct Ending {
    pub(super) end: End,
    /// The time of the end. `None` means now.
    pub(super) at: Option<Elapsed>,
}

impl Ending {
    /// Creates an ending with the current time.
    pub(super) fn now(end: End) -> Self {
        Self { end, at: None }
    }
}

impl BodyState {
    /// Creates the state of a body whose head is returned. A message with the declared length 0 is whole then.
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
            is_whole: bytes > 0 && self.progress.has_delivered_all(),
        }
    }

    /// Records that the last data frame was returned at `now`, and that the message is whole.
    pub(super) fn mark_whole(&mut self, now: Elapsed) {
        self.whole_at = Some(now);
    }

    /// Whether all declared bytes were returned.
    pub(super) fn has_delivered_all(&self) -> bool {
        self.progress.has_delivered_all()
    }

    pub(super) fn delivered(&self) -> u64 {
        self.progress.delivered()
    }

    /// Returns the ending of a body that is over. It is complete or truncated, at the time when it was whole. If it
    /// has fewer or more bytes than declared, it is a mismatch, now. After a terminator the bytes are not compared.
    pub(super) fn ending(&self, answer: AnswerEnd, grpc_status: Option<GrpcStatus>) -> Ending {
        match self.progress.mismatch() {
            Some((declared, delivered)) if answer != AnswerEnd::Terminated => {
                Ending::now(End::LengthMismatch {
                    declared,
                    delivered,
                })
            }
            _ => Ending {
                end: match answer {
                    AnswerEnd::Truncated => End::Truncated,
                    AnswerEnd::Open | AnswerEnd::Terminated => End::Complete { grpc_status },
                },
                at: self.whole_at,
            },
        }
    }

    /// Returns the stage of a body that is dropped, or `None` if all declared bytes were returned.
    pub(super) fn stage_if_dropped(&self) -> Option<Stage> {
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
    /// Returns the protocol of the answer or, before there is one, the claimed one.
    pub(super) fn head_protocol(&self) -> Protocol {
        match &self.phase {
            Phase::AwaitingHead { claimed } => *claimed,
            Phase::Streaming(streaming) => streaming.answered,
        }
    }

    /// Whether all declared bytes were returned, before any disconnect inside the request.
    pub(super) fn was_marked_whole(&self) -> bool {
        let streaming = self.phase.streaming();
        streaming.is_some_and(|streaming| streaming.body.whole_at.is_some())
    }

    /// Returns the time since the start.
    pub(super) fn elapsed(&self) -> Elapsed {
        Elapsed::since_start(self.span.clock())
    }

    /// Returns the cold state. Creates it if it does not exist.
    pub(super) fn cold(&mut self) -> &mut ColdState {
        self.cold.get_or_insert_default()
    }

    pub(super) fn timeout(&self) -> Option<Duration> {
        self.cold.as_ref()?.timeout
    }

    pub(super) fn take_grpc_status(&mut self) -> Option<GrpcStatus> {
        self.cold.as_mut()?.grpc_status.take()
    }

    #[inline]
    pub(super) fn add_captured(&mut self, captured: Vec<KeyValue>) {
        if !captured.is_empty() {
            self.cold().captured.extend(captured);
        }
    }
}
