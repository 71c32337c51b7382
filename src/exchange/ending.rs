//! How an exchange ends: by its head, by its body, by an error, or by a drop.

use std::borrow::Cow;
use std::fmt::Display;
use std::thread;

use http::HeaderMap;

use crate::exchange::frame::BodyEnd;
use crate::exchange::head::HeadEnd;
use crate::exchange::state::{Ending, Exchange, Phase};
use crate::outcome::error_kind::{ErrorDescription, describe_error};
use crate::outcome::{End, Stage};
use crate::protocol::grpc::{GrpcStatus, Protocol};
use crate::telemetry::span::response::capture_trailers;

impl Exchange {
    pub(super) fn ending_by_head(&mut self, end: HeadEnd) -> Ending {
        match end {
            HeadEnd::Empty => Ending::now(End::Complete {
                grpc_status: self.take_grpc_status(),
            }),
            HeadEnd::AtEnd => self.ending_of_body(None),
        }
    }

    /// Returns how the exchange ends by what has ended its body.
    pub(super) fn ending_by<E: Display + 'static>(&mut self, body_end: &BodyEnd<'_, E>) -> Ending {
        match body_end {
            BodyEnd::Over => self.ending_of_body(None),
            BodyEnd::Trailers(trailers) => self.ending_in_trailers(trailers),
            BodyEnd::Terminator => Ending::now(End::Complete {
                grpc_status: self.take_grpc_status(),
            }),
            BodyEnd::Error(error) => {
                let (message, error_type) = self.record_error(*error);
                Ending::now(End::BodyError {
                    message,
                    error_type,
                })
            }
        }
    }

    /// Returns the ending that trailers cause. They are the last frame, so the time of the end is now.
    fn ending_in_trailers(&mut self, trailers: &HeaderMap) -> Ending {
        let answered = self.head_protocol();
        let grpc_status = match answered {
            Protocol::Http => None,
            Protocol::Grpc | Protocol::GrpcWeb => GrpcStatus::from_headers(trailers),
        };
        if self.span.is_recording() {
            let settings = &self.shared.settings;
            let captured = capture_trailers(trailers, self.request.conventions, settings);
            self.add_captured(captured);
        }
        let ending = self.ending_of_body(grpc_status);
        Ending::now(ending.end)
    }

    /// Returns the ending of a body that is over. `in_trailers` is the gRPC status in the trailers. Without it
    /// the status that was read before counts: in the head, or in a gRPC-Web body.
    pub(super) fn ending_of_body(&mut self, in_trailers: Option<GrpcStatus>) -> Ending {
        let answer = self.finish_answer();
        let grpc_status = in_trailers.or_else(|| self.take_grpc_status());
        match &self.phase {
            Phase::Streaming(streaming) => streaming.body.ending(answer, grpc_status),
            Phase::AwaitingHead { .. } => Ending::now(End::Complete { grpc_status }),
        }
    }

    /// Returns the ending of an exchange that is dropped.
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
        self.finish_dropped_answer();
        self.ending_at(stage)
    }

    /// Returns the ending of a client that disconnected at this stage, now.
    pub(super) fn ending_at(&self, stage: Stage) -> Ending {
        let past_deadline = self
            .timeout()
            .is_some_and(|timeout| self.elapsed().duration() >= timeout);
        Ending::now(End::Dropped {
            stage,
            past_deadline,
        })
    }

    /// Returns the ending with the client's disconnect as its cause, if the unfinished request was cut off. What the
    /// service made of the broken request is then an effect. A panic stays a panic.
    pub(super) fn with_unfinished_request(&mut self, ending: Ending) -> Ending {
        let is_cut_off = match &ending.end {
            End::Panicked => false,
            // All declared bytes were returned before the disconnect.
            End::Complete { .. } | End::Truncated if self.was_marked_whole() => false,
            // A body that is over before its end proves nothing alone: some never say that they are at their end. But
            // the response was not read either.
            End::Dropped {
                stage: Stage::Unread,
                ..
            } => true,
            End::Complete { .. }
            | End::LengthMismatch { .. }
            | End::Truncated
            | End::ServiceError { .. }
            | End::BodyError { .. }
            | End::Dropped { .. } => self.span.is_request_cut_off(),
        };
        if !is_cut_off {
            return ending;
        }
        if let Some(cold) = &mut self.cold {
            cold.error_type_name = None;
        }
        self.ending_at(Stage::ReadingRequest)
    }

    /// Records the type of the service's or the body's error. Returns its message and its kind, if they are
    /// read.
    pub(super) fn record_error<E: Display + 'static>(
        &mut self,
        error: &E,
    ) -> (Option<String>, Option<Cow<'static, str>>) {
        if !self.span.is_observed() {
            return (None, None);
        }
        let settings = &self.shared.settings;
        let ErrorDescription {
            message,
            error_type,
            type_name,
        } = describe_error(error, &settings.error_panics, |error| {
            settings.error_type(error)
        });
        self.cold().error_type_name = type_name;
        (message, error_type)
    }
}
