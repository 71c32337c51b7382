//! Records the frames of the response body, and finds the one that ends it.

use bytes::Buf;
use http::HeaderMap;
use http_body::{Body, Frame};

use crate::exchange::state::{Exchange, Phase};
use crate::recording::clock::Elapsed;

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
        let mut now = None;
        if (delivery.is_first || delivery.is_whole) && self.span.is_observed() {
            let now = *now.insert(Elapsed::since_start(self.span.clock()));
            if delivery.is_first {
                streaming.time_to_first_byte = Some(now);
            }
            // After a disconnect the client no longer receives the rest.
            if delivery.is_whole && !self.span.is_request_cut_off() {
                streaming.body.mark_whole(now);
            }
        }
        let is_read = streaming.reading.is_some();
        let has_cold = self.cold.is_some();
        (is_read && self.read_answer(data, bytes, now))
            || (has_cold && self.read_web_trailers(data, bytes))
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
}

/// Returns the bytes of a data frame, if they are contiguous. Others would have to be copied. A caller that
/// gets `None` stops reading the body, because a reader must not miss bytes.
pub(super) fn contiguous(data: &impl Buf, bytes: usize) -> Option<&[u8]> {
    let piece = data.chunk();
    (piece.len() == bytes).then_some(piece)
}
