//! Records the frames of the response body, and finds the one that ends it.

use std::borrow::Cow;
use std::fmt::Display;

use bytes::Buf;
use http::HeaderMap;
use http_body::{Body, Frame};

use crate::exchange::state::{Ending, Exchange, Phase, Streaming};
use crate::outcome::error_kind::{ErrorDescription, describe_error};
use crate::outcome::reason::GENERATION_ERROR;
use crate::outcome::{End, Verdict};
use crate::protocol::grpc::{GrpcStatus, Protocol};
use crate::protocol::sse::{ErrorEvent, Findings};
use crate::recording::clock::Elapsed;
use crate::telemetry::span::response::capture_trailers;
use crate::text::truncate;

/// The event that ended a body.
pub(super) enum BodyEnd<'a, E> {
    /// The body returned `None`, or `is_end_stream` is true after a frame.
    Over,
    /// Trailers, after which servers do not poll again.
    Trailers(&'a HeaderMap),
    /// The stream's terminator, or the trailers in a gRPC-Web body. Later frames are ignored.
    Terminator,
    Error(&'a E),
}

/// Returns the event that ended the body, if this frame or its absence does. `is_terminator` is whether the
/// frame's data completes the message.
pub(super) fn body_end<'a, B: Body>(
    frame: Option<&'a Result<Frame<B::Data>, B::Error>>,
    body: &B,
    is_terminator: bool,
) -> Option<BodyEnd<'a, B::Error>> {
    match frame {
        None => Some(BodyEnd::Over),
        Some(Err(error)) => Some(BodyEnd::Error(error)),
        Some(Ok(_)) if is_terminator => Some(BodyEnd::Terminator),
        Some(Ok(frame)) => match frame.trailers_ref() {
            Some(trailers) => Some(BodyEnd::Trailers(trailers)),
            None => body.is_end_stream().then_some(BodyEnd::Over),
        },
    }
}

impl Exchange {
    pub(super) fn mark_body_polled(&mut self) {
        if let Phase::Streaming(streaming) = &mut self.phase {
            streaming.body.mark_polled();
        }
    }

    /// Records a data frame that is about to be returned to the server. Returns whether it completes the
    /// stream's terminator, or the trailers in a gRPC-Web body.
    pub(super) fn record_data(&mut self, data: &impl Buf) -> bool {
        let Phase::Streaming(streaming) = &mut self.phase else {
            return false;
        };
        let bytes = data.remaining();
        let delivered = u64::try_from(bytes).unwrap_or(u64::MAX);
        let delivery = streaming.body.record_data(delivered);
        if (delivery.is_first || delivery.is_whole) && self.span.is_observed() {
            let now = Elapsed::since_start(self.span.clock());
            if delivery.is_first {
                streaming.time_to_first_byte = Some(now);
            }
            if delivery.is_whole {
                streaming.body.mark_whole(now);
            }
        }
        let reads_events = streaming.events.is_some();
        let has_cold = self.cold.is_some();
        (reads_events && self.read_events(data, bytes))
            || (has_cold && self.read_web_trailers(data, bytes))
    }

    /// Reads a frame of an event stream. Returns whether it completes the terminator.
    fn read_events(&mut self, data: &impl Buf, bytes: usize) -> bool {
        let Phase::Streaming(Streaming { events, .. }) = &mut self.phase else {
            return false;
        };
        let Some(reader) = events else {
            return false;
        };
        let Some(piece) = contiguous(data, bytes) else {
            *events = None;
            return false;
        };
        let terminator = self.shared.settings.stream_terminator.as_deref();
        let findings = reader.read(piece, terminator);
        self.record_findings(&findings);
        findings.terminator
    }

    /// Reads a frame of a gRPC-Web body. Returns whether it completes the trailers and they have a status.
    fn read_web_trailers(&mut self, data: &impl Buf, bytes: usize) -> bool {
        let Some(cold) = &mut self.cold else {
            return false;
        };
        let Some(reader) = &mut cold.web_trailers else {
            return false;
        };
        let Some(piece) = contiguous(data, bytes) else {
            cold.web_trailers = None;
            return false;
        };
        cold.grpc_status = reader.read(piece);
        cold.grpc_status.is_some()
    }

    /// Records an error event as a verdict. It shares a field with the handler's, because the first one counts.
    fn record_findings(&self, findings: &Findings) {
        if let Some(ErrorEvent { message }) = &findings.error {
            let message = message.as_deref().map(|text| truncate(text).to_owned());
            self.span.record_internal(|buffer| {
                buffer
                    .verdict
                    .get_or_insert(Verdict::new(GENERATION_ERROR, message));
            });
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
        let is_terminated = self.finish_events();
        let grpc_status = in_trailers.or_else(|| self.take_grpc_status());
        match &self.phase {
            Phase::Streaming(streaming) => streaming.body.ending(is_terminated, grpc_status),
            Phase::AwaitingHead { .. } => Ending::now(End::Complete { grpc_status }),
        }
    }

    /// Reads the last line of an event stream, which may lack its line end. Returns whether it is the terminator.
    fn finish_events(&mut self) -> bool {
        let Phase::Streaming(Streaming { events, .. }) = &mut self.phase else {
            return false;
        };
        let Some(mut reader) = events.take() else {
            return false;
        };
        let findings = reader.finish(self.shared.settings.stream_terminator.as_deref());
        self.record_findings(&findings);
        findings.terminator
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

/// Returns the bytes of a data frame, if they are contiguous. Others would have to be copied. A caller that
/// gets `None` stops reading the body, because a reader must not miss bytes.
fn contiguous(data: &impl Buf, bytes: usize) -> Option<&[u8]> {
    let piece = data.chunk();
    (piece.len() == bytes).then_some(piece)
}
