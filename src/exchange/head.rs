//! The head of the response: read once, when it is about to be returned to the server.

use http::response;

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

impl BodyKind {
    fn declared(self) -> Option<u64> {
        match self {
            Self::Empty => None,
            Self::Declared(length) => length,
        }
    }
}

impl ResponseHead {
    fn read(
        parts: &response::Parts,
        content_type: Option<ContentType<'_>>,
        answered: Protocol,
        request: &RequestInfo,
        exact_size: Option<u64>,
        streams: &ContentTypes,
    ) -> Self {
        let headers = &parts.headers;
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
            body,
            is_event_stream: content_type.is_some_and(|it| is_event_stream(it, headers)),
            is_stream: content_type.is_some_and(|it| streams.contain(it)),
        }
    }
}

/// How a head completes the message.
#[derive(Clone, Copy)]
pub(super) enum HeadEnd {
    /// The message can have no body.
    Empty,
    /// The body is at its end already.
    AtEnd,
}

impl Exchange {
    /// Records the head. Returns whether, and how, it completes the message.
    pub(super) fn receive_head(
        &mut self,
        parts: &response::Parts,
        hints: BodyHints,
    ) -> Option<HeadEnd> {
        let Phase::AwaitingHead { claimed } = self.phase else {
            return None;
        };
        let is_observed = self.span.is_observed();
        // What is not observed needs it only to find the end of a gRPC message.
        let needs_content_type = is_observed || claimed != Protocol::Http;
        let content_type = needs_content_type
            .then(|| ContentType::from_headers(&parts.headers))
            .flatten();
        let answered = if claimed == Protocol::Http {
            claimed
        } else {
            self.receive_grpc_head(parts, claimed, content_type)
        };
        let time_to_head = is_observed.then(|| self.elapsed());
        if is_observed {
            self.record_head(parts);
        }
        let settings = &self.shared.settings;
        let head = ResponseHead::read(
            parts,
            content_type,
            answered,
            &self.request,
            hints.exact_size,
            &settings.stream_content_types,
        );
        let reads_events = is_observed && head.is_event_stream && settings.reads_event_streams();
        // Not the time to the head: the operator's callback was called in between.
        let whole_at = (is_observed && head.body.declared() == Some(0)).then(|| self.elapsed());
        self.phase = Phase::Streaming(Streaming {
            status: parts.status,
            answered: head.answered,
            is_event_stream: head.is_event_stream,
            is_stream: head.is_stream,
            time_to_head,
            time_to_first_byte: None,
            body: BodyState::new(head.body.declared(), whole_at),
            events: reads_events.then(|| Box::new(EventStreamReader::new(settings.stream_errors))),
        });
        match head.body {
            BodyKind::Empty => Some(HeadEnd::Empty),
            BodyKind::Declared(_) => hints.is_end_stream.then_some(HeadEnd::AtEnd),
        }
    }

    pub(super) fn ending_by_head(&mut self, end: HeadEnd) -> Ending {
        match end {
            HeadEnd::Empty => Ending::now(End::Complete {
                grpc_status: self.take_grpc_status(),
            }),
            HeadEnd::AtEnd => self.ending_of_body(None),
        }
    }

    /// Records the head of an answer to a request that claimed gRPC. Returns the protocol of the answer: a
    /// content type that is not gRPC's means plain HTTP.
    fn receive_grpc_head(
        &mut self,
        parts: &response::Parts,
        claimed: Protocol,
        content_type: Option<ContentType<'_>>,
    ) -> Protocol {
        let grpc_status = GrpcStatus::from_headers(&parts.headers);
        if grpc_status.is_none() && !content_type.is_some_and(is_grpc) {
            if let Some(cold) = &mut self.cold {
                cold.timeout = None;
            }
            return Protocol::Http;
        }
        if !self.span.is_observed() {
            return claimed;
        }
        if grpc_status.is_some() {
            self.cold().grpc_status = grpc_status;
        } else if let Some(reader) = web::reader_for(&parts.headers) {
            // An answer with its status in the head adds none in its body.
            self.cold().web_trailers = Some(reader);
        }
        claimed
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
