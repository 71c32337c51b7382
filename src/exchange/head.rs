//! The head of the response: read once, when it is about to be returned to the server.

use http::{StatusCode, response};

use crate::exchange::state::{BodyState, Ending, Exchange, Phase, Streaming};
use crate::outcome::End;
use crate::protocol::grpc::web::{self, TrailersReader};
use crate::protocol::grpc::{GrpcStatus, Protocol, is_grpc_response};
use crate::protocol::http::progress::{declared_length, has_no_body};
use crate::protocol::sse::{EventStreamReader, is_event_stream};
use crate::recording::request_info::RequestInfo;
use crate::settings::Settings;
use crate::telemetry::span::response::capture_headers;

/// What a body answers before it is polled.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct BodyHints {
    pub(crate) is_end_stream: bool,
    pub(crate) exact_size: Option<u64>,
}

/// The head of a response, read once.
struct ResponseHead {
    status: StatusCode,
    answered: Protocol,
    grpc_status: Option<GrpcStatus>,
    body: BodyKind,
    is_event_stream: bool,
    is_stream: bool,
    web_trailers: Option<TrailersReader>,
}

/// Which body the message has.
#[derive(Clone, Copy)]
enum BodyKind {
    /// None, whatever the inner body yields (RFC 9110, section 6.4.1).
    Empty,
    /// One of this length, if the message declares it.
    Declared(Option<u64>),
}

impl ResponseHead {
    fn read(
        parts: &response::Parts,
        claimed: Protocol,
        request: &RequestInfo,
        exact_size: Option<u64>,
        settings: &Settings,
    ) -> Self {
        let headers = &parts.headers;
        let (answered, grpc_status) = read_protocol(parts, claimed);
        let body = if has_no_body(&request.method, parts.status) {
            BodyKind::Empty
        } else if answered == Protocol::Grpc {
            // A gRPC message owes its trailers, whatever its length.
            BodyKind::Declared(None)
        } else {
            BodyKind::Declared(declared_length(headers, request.version, exact_size))
        };
        // A gRPC answer with its status in the head adds none in its body.
        let may_have_web_trailers = answered != Protocol::Http && grpc_status.is_none();
        Self {
            status: parts.status,
            answered,
            body,
            is_event_stream: is_event_stream(headers),
            is_stream: settings.stream_content_types.has(headers),
            web_trailers: may_have_web_trailers
                .then(|| web::reader_for(headers))
                .flatten(),
            grpc_status,
        }
    }
}

/// Returns the protocol that the answer has, and its gRPC status. A content type that is not gRPC's means
/// plain HTTP.
fn read_protocol(parts: &response::Parts, claimed: Protocol) -> (Protocol, Option<GrpcStatus>) {
    if claimed == Protocol::Http {
        return (Protocol::Http, None);
    }
    let grpc_status = GrpcStatus::from_headers(&parts.headers);
    if grpc_status.is_none() && !is_grpc_response(&parts.headers) {
        return (Protocol::Http, None);
    }
    (claimed, grpc_status)
}

impl Exchange {
    /// Records the head. Returns how the exchange ends, if the head completes the message: it can have no
    /// body, or its body is at its end already.
    pub(super) fn receive_head(
        &mut self,
        parts: &response::Parts,
        hints: BodyHints,
    ) -> Option<Ending> {
        let Phase::AwaitingHead { claimed } = self.phase else {
            return None;
        };
        let settings = &self.shared.settings;
        let head = ResponseHead::read(parts, claimed, &self.request, hints.exact_size, settings);
        let is_observed = self.span.is_observed();
        let time_to_head = is_observed.then(|| self.elapsed());
        if is_observed {
            self.record_head(parts);
        }
        let reads_events = head.is_event_stream && self.shared.settings.reads_event_streams();
        let stream_errors = self.shared.settings.stream_errors;
        let mut body = BodyState::new(match head.body {
            BodyKind::Empty => None,
            BodyKind::Declared(length) => length,
        });
        body.record_head(time_to_head);
        if head.answered != claimed
            && let Some(cold) = &mut self.cold
        {
            cold.timeout = None;
        }
        if is_observed && (head.grpc_status.is_some() || head.web_trailers.is_some()) {
            let cold = self.cold();
            cold.grpc_status = head.grpc_status;
            cold.web_trailers = head.web_trailers;
        }
        self.phase = Phase::Streaming(Streaming {
            status: head.status,
            answered: head.answered,
            is_event_stream: head.is_event_stream,
            is_stream: head.is_stream,
            time_to_head,
            time_to_first_byte: None,
            body,
            events: (is_observed && reads_events)
                .then(|| Box::new(EventStreamReader::new(stream_errors))),
        });
        match head.body {
            BodyKind::Empty => Some(Ending::now(End::Complete {
                grpc_status: self.take_grpc_status(),
            })),
            BodyKind::Declared(_) => hints.is_end_stream.then(|| self.ending_of_body(None)),
        }
    }

    /// Records the headers that the settings capture, and the attributes of the operator's callback.
    fn record_head(&mut self, parts: &response::Parts) {
        let settings = &self.shared.settings;
        if self.span.is_recording() {
            let conventions = self.request.conventions;
            let captured = capture_headers(&parts.headers, conventions, settings);
            self.add_captured(captured);
        }
        let callback = &self.shared.settings.response_attributes;
        let attributes = callback.call(|attributes| attributes(parts));
        let attributes = attributes.and_then(Result::ok).unwrap_or_default();
        if !attributes.is_empty() {
            // As if the handler had set them: the last value of a key wins.
            self.span.record(|buffer| {
                for attribute in attributes {
                    buffer.set_attribute(attribute);
                }
            });
        }
    }
}
