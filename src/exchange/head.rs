//! The head of the response: read once, when it is about to be returned to the server.

use http::{HeaderMap, response};

use crate::exchange::state::{BodyState, Ending, Exchange, Phase, Streaming};
use crate::outcome::End;
use crate::protocol::grpc::web;
use crate::protocol::grpc::{GrpcStatus, Protocol, is_grpc};
use crate::protocol::http::content_type::ContentType;
use crate::protocol::http::progress::{declared_length, has_no_body};
use crate::protocol::sse::{EventStreamReader, is_event_stream};
use crate::recording::request_info::RequestInfo;
use crate::settings::streams::ContentTypes;
use crate::telemetry::span::response::capture_headers;

/// What a body answers before it is polled.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct BodyHints {
    pub(crate) is_end_stream: bool,
    pub(crate) exact_size: Option<u64>,
}

/// The head of a response, read once.
struct ResponseHead {
    answered: Protocol,
    grpc_status: Option<GrpcStatus>,
    body: BodyKind,
    is_event_stream: bool,
    is_stream: bool,
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
        streams: &ContentTypes,
    ) -> Self {
        let headers = &parts.headers;
        let content_type = ContentType::from_headers(headers);
        let (answered, grpc_status) = match claimed {
            Protocol::Http => (Protocol::Http, None),
            Protocol::Grpc | Protocol::GrpcWeb => read_grpc(headers, claimed, content_type),
        };
        let body = if has_no_body(&request.method, parts.status) {
            BodyKind::Empty
        } else if answered == Protocol::Grpc {
            // A gRPC message owes its trailers, whatever its length.
            BodyKind::Declared(None)
        } else {
            BodyKind::Declared(declared_length(headers, request.version, exact_size))
        };
        Self {
            answered,
            grpc_status,
            body,
            is_event_stream: content_type.is_some_and(|it| is_event_stream(it, headers)),
            is_stream: content_type.is_some_and(|it| streams.contain(it)),
        }
    }
}

/// Returns the protocol that answers a gRPC request, and gRPC's status. A content type that is not gRPC's means
/// plain HTTP.
#[inline(never)]
fn read_grpc(
    headers: &HeaderMap,
    claimed: Protocol,
    content_type: Option<ContentType<'_>>,
) -> (Protocol, Option<GrpcStatus>) {
    let grpc_status = GrpcStatus::from_headers(headers);
    if grpc_status.is_none() && !content_type.is_some_and(is_grpc) {
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
        let streams = &settings.stream_content_types;
        let head = ResponseHead::read(parts, claimed, &self.request, hints.exact_size, streams);
        let is_observed = self.span.is_observed();
        let time_to_head = is_observed.then(|| self.elapsed());
        let reads_events = is_observed && head.is_event_stream && settings.reads_event_streams();
        let stream_errors = settings.stream_errors;
        if is_observed {
            self.record_head(parts);
        }
        if claimed != Protocol::Http {
            self.receive_grpc_head(parts, head.answered, head.grpc_status);
        }
        let mut body = BodyState::new(match head.body {
            BodyKind::Empty => None,
            BodyKind::Declared(length) => length,
        });
        body.record_head(time_to_head);
        self.phase = Phase::Streaming(Streaming {
            status: parts.status,
            answered: head.answered,
            is_event_stream: head.is_event_stream,
            is_stream: head.is_stream,
            time_to_head,
            time_to_first_byte: None,
            body,
            events: reads_events.then(|| Box::new(EventStreamReader::new(stream_errors))),
        });
        match head.body {
            BodyKind::Empty => Some(Ending::now(End::Complete {
                grpc_status: self.take_grpc_status(),
            })),
            BodyKind::Declared(_) => hints.is_end_stream.then(|| self.ending_of_body(None)),
        }
    }

    /// Records the head of an answer to a request that claimed gRPC.
    fn receive_grpc_head(
        &mut self,
        parts: &response::Parts,
        answered: Protocol,
        grpc_status: Option<GrpcStatus>,
    ) {
        if answered == Protocol::Http {
            if let Some(cold) = &mut self.cold {
                cold.timeout = None;
            }
            return;
        }
        if !self.span.is_observed() {
            return;
        }
        if grpc_status.is_some() {
            self.cold().grpc_status = grpc_status;
        } else if let Some(reader) = web::reader_for(&parts.headers) {
            // An answer with its status in the head adds none in its body.
            self.cold().web_trailers = Some(reader);
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
