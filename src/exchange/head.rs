//! Reads the head of the response, once, just before it is returned to the server.

use http::{HeaderMap, response};

use crate::exchange::reading::Reading;
use crate::exchange::state::{BodyState, Exchange, Phase, Streaming};
use crate::protocol::grpc::web;
use crate::protocol::grpc::{GrpcStatus, Protocol, is_grpc};
use crate::protocol::http::content_type::ContentType;
use crate::protocol::http::progress::{declared_length, has_no_body, is_unencoded};
use crate::recording::request_info::RequestInfo;
use crate::settings::streams::ContentTypes;
use crate::telemetry::span::response::capture_headers;

/// The hints that a body gives before it is polled.
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

/// Whether the message can have a body.
#[derive(Clone, Copy)]
enum BodyKind {
    /// It cannot (RFC 9110, section 6.4.1). Frames of the inner body do not count.
    Empty,
    /// It can, with the declared length, if that is known.
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
            // A gRPC message ends with its trailers. Its length does not complete it.
            BodyKind::Declared(None)
        } else {
            BodyKind::Declared(declared_length(headers, request.version, exact_size))
        };
        Self {
            answered,
            body,
            is_event_stream: content_type.is_some_and(|it| it.is("text/event-stream"))
                && is_unencoded(headers),
            is_stream: content_type.is_some_and(|it| streams.contain(it)),
        }
    }
}

impl ResponseHead {
    /// Whether it can be that of a language model's answer.
    fn can_be_answer(&self) -> bool {
        !matches!(self.body, BodyKind::Empty)
    }
}

/// Why a head completes the message.
#[derive(Clone, Copy)]
pub(super) enum HeadEnd {
    /// The message cannot have a body.
    Empty,
    /// `is_end_stream` of the body is true.
    AtEnd,
}

impl Exchange {
    /// Records the head. Returns the reason if it completes the message.
    pub(super) fn receive_head(
        &mut self,
        parts: &response::Parts,
        hints: BodyHints,
    ) -> Option<HeadEnd> {
        let Phase::AwaitingHead { claimed } = self.phase else {
            return None;
        };
        let is_observed = self.span.is_observed();
        let content_type = is_observed.then(|| ContentType::from_headers(&parts.headers));
        let content_type = content_type.flatten();
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
        let reading = content_type
            .filter(|_| head.can_be_answer())
            .and_then(|it| Reading::start(it, parts, answered, settings));
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
            reading,
        });
        match head.body {
            BodyKind::Empty => Some(HeadEnd::Empty),
            BodyKind::Declared(_) => hints.is_end_stream.then_some(HeadEnd::AtEnd),
        }
    }

    /// Records the head of the response to a request that claims gRPC. Returns the protocol of the response. It
    /// is HTTP if the head has neither a gRPC status nor a gRPC content type.
    fn receive_grpc_head(
        &mut self,
        parts: &response::Parts,
        claimed: Protocol,
        content_type: Option<ContentType<'_>>,
    ) -> Protocol {
        // Without an observer only the end counts, and that of a gRPC message is its trailers.
        if !self.span.is_observed() {
            return claimed;
        }
        let grpc_status = GrpcStatus::from_headers(&parts.headers);
        if grpc_status.is_none() && !content_type.is_some_and(is_grpc) {
            if let Some(cold) = &mut self.cold {
                cold.timeout = None;
            }
            return Protocol::Http;
        }
        if grpc_status.is_some() {
            self.cold().grpc_status = grpc_status;
        } else if let Some(reader) = web::reader_for(&parts.headers) {
            // Only without a status in the head does the body have trailers.
            self.cold().web_trailers = Some(reader);
        }
        claimed
    }

    /// Adds the response's trace headers, if the settings ask for them and the request has a span.
    #[inline]
    pub(super) fn write_trace_headers(&self, headers: &mut HeaderMap) {
        let trace_headers = self.shared.settings.trace_headers;
        if trace_headers.is_enabled() && self.at_start.is_some() {
            trace_headers.write(self.span.span_context(), headers);
        }
    }

    /// Records the captured headers, and the attributes that the operator's callback returns.
    fn record_head(&mut self, parts: &response::Parts) {
        let settings = &self.shared.settings;
        if self.span.is_recording() && settings.captures_response() {
            let conventions = self.request.conventions;
            let captured = capture_headers(&parts.headers, conventions, settings);
            self.add_captured(captured);
        }
        let callback = &self.shared.settings.response_attributes;
        let attributes = callback.call(|attributes| attributes(parts));
        if let Some(Ok(attributes)) = attributes
            && !attributes.is_empty()
        {
            // They count as set by the handler: the last value of a key wins.
            self.span.record(|buffer| {
                for attribute in attributes {
                    buffer.set_attribute(attribute);
                }
            });
        }
    }
}
