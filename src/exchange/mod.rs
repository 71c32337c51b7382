//! The open span of one request: what it learns of the response, and its one end.

mod cold;
mod end;
mod start;

use std::fmt::{self, Display};
use std::sync::Arc;
use std::thread;

use bytes::Buf;
use http::{HeaderMap, response};

use crate::catch_panic::catch_panic;
use crate::outcome::{self, End, Head, Stage, Verdict};
use crate::protocol::grpc::web;
use crate::protocol::grpc::{self, GrpcStatus, Protocol};
use crate::protocol::http::progress::{Progress, declared_length, has_no_body};
use crate::protocol::sse::{self, ErrorEvent, EventStreamReader, Findings};
use crate::recording::clock::{self, Elapsed};
use crate::recording::shared_span::Slot;
use crate::settings::Settings;
use crate::telemetry::metrics::Metered;
use crate::telemetry::span::{self, RequestInfo, StartKeys};
use crate::text::{format_bounded, truncate};

use cold::ColdState;
pub(crate) use start::Opened;

/// An open span.
///
/// It is in a box from its start to its end: on its way from the service to the body it is moved a
/// dozen times. It is settled by [`finish`](Self::finish), which takes it, or else by its `Drop`: then the
/// request has been given up. Should settling unwind, in spite of all, `Drop` settles once more, and whatever
/// was done is not done again: a slot is ended once.
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts that have nothing to do with each other"
)]
pub(crate) struct RequestSpan {
    slot: Arc<dyn Slot>,
    config: Arc<Settings>,
    written: StartKeys,
    /// The slot's answers, which do not change.
    listens: bool,
    records: bool,
    /// There is a span, and not only who wants to know without.
    is_span: bool,
    /// The settings have named it.
    is_named: bool,
    facts: RequestInfo,
    /// Where this request is counted.
    metered: Option<Metered>,
    head: Head,
    /// `None` until the head is there.
    delivery: Option<Progress>,
    time_to_head: Option<Elapsed>,
    time_to_first_byte: Option<Elapsed>,
    /// When the last frame was handed on, if nothing was owed any more after it.
    whole_at: Option<Elapsed>,
    is_event_stream: bool,
    is_stream: bool,
    /// The reader of an event stream in which something is looked for.
    stream: Option<Box<EventStreamReader>>,
    rare: Option<Box<ColdState>>,
    is_settled: bool,
}

impl RequestSpan {
    /// Calls `f`, in which the inner service's code runs. If it unwinds, the span ends here and
    /// now, with nothing of the request's current any more, and the panic goes on.
    pub(crate) fn watch<R>(span: &mut Option<Box<Self>>, f: impl FnOnce() -> R) -> R {
        struct Unwinding<'a>(&'a mut Option<Box<RequestSpan>>);
        impl Drop for Unwinding<'_> {
            fn drop(&mut self) {
                if let Some(span) = self.0.take() {
                    span.finish(&End::Panicked);
                }
            }
        }
        let unwinding = Unwinding(span);
        let returned = f();
        std::mem::forget(unwinding);
        returned
    }

    /// Ends the span.
    pub(crate) fn finish(mut self: Box<Self>, end: &End) {
        self.settle(end);
        self.is_settled = true;
    }

    /// The inner service gave an error instead of a response.
    pub(crate) fn service_error<E: Display>(mut self: Box<Self>, error: &E) {
        if self.listens {
            self.rare().error_type_name = Some(std::any::type_name::<E>());
        }
        let message = self.message(error);
        self.finish(&End::ServiceError { message });
    }

    /// The body gave an error instead of a frame.
    pub(crate) fn body_error<E: Display>(mut self: Box<Self>, error: &E) {
        if self.listens {
            self.rare().error_type_name = Some(std::any::type_name::<E>());
        }
        let message = self.message(error);
        self.finish(&End::BodyError { message });
    }

    /// The head is about to be handed on. The span goes on with the body, unless the message is
    /// complete: it can have no body, or its body is at its end (`ended`) already.
    pub(crate) fn head(
        mut self: Box<Self>,
        parts: &response::Parts,
        ended: bool,
        exact_size_hint: Option<u64>,
    ) -> Option<Box<Self>> {
        self.head.status = Some(parts.status);
        if self.head.protocol != Protocol::Http {
            let grpc_status = GrpcStatus::from_headers(&parts.headers);
            // Whoever answers in another language knows nothing of gRPC.
            if grpc_status.is_none() && !grpc::is_grpc_response(&parts.headers) {
                self.head.protocol = Protocol::Http;
                if let Some(rare) = &mut self.rare {
                    rare.timeout = None;
                }
            }
            if grpc_status.is_some() && self.listens {
                self.rare().grpc_status = grpc_status;
            }
        }
        self.is_stream = self.config.meters.is_stream(&parts.headers);
        if self.listens {
            self.time_to_head = Some(self.elapsed());
        }
        if self.records {
            let (headers, protocol) = (&parts.headers, self.facts.protocol);
            // By what the request is described as: one span is not described in two languages.
            let captured = span::of_response_headers(headers, protocol, &self.config);
            self.capture(captured);
        }
        if self.listens {
            self.ask_operator(parts);
        }
        if has_no_body(&self.head.method, parts.status) {
            let grpc_status = self.take_grpc_status();
            self.finish(&End::Complete { grpc_status });
            return None;
        }
        // A gRPC message owes its trailers, whatever its length.
        let declared = match self.head.protocol {
            Protocol::Grpc => None,
            Protocol::Http | Protocol::GrpcWeb => {
                declared_length(&parts.headers, self.facts.version, exact_size_hint)
            }
        };
        let delivery = self.delivery.insert(Progress::new(declared));
        if ended {
            self.over(None);
            return None;
        }
        if delivery.has_delivered_all() && self.listens {
            self.whole_at = Some(self.elapsed());
        }
        if self.listens && sse::is_event_stream(&parts.headers) {
            self.is_event_stream = true;
            if self.config.reads_streams() {
                self.stream = Some(Box::new(EventStreamReader::new(self.config.stream_errors)));
            }
        }
        // Whoever speaks gRPC and has said the status in the head has nothing to add.
        if self.head.protocol != Protocol::Http && self.listens && !self.has_grpc_status() {
            let web_trailers = web::reader_for(&parts.headers);
            if web_trailers.is_some() {
                self.rare().web_trailers = web_trailers;
            }
        }
        Some(self)
    }

    /// Tells the caller of the trace, in the head that is about to be handed on, if the settings say so.
    pub(crate) fn tell_caller(&self, headers: &mut HeaderMap) {
        if self.is_span && self.config.trace_headers.is_enabled() {
            let span_context = self.slot.span_context();
            self.config.trace_headers.write(span_context, headers);
        }
    }

    /// What the operator's function says of a head is told, as the handler's words are.
    fn ask_operator(&self, parts: &response::Parts) {
        if let Some(given) = self.config.response_attributes.get() {
            let given = catch_panic(|| given(parts)).unwrap_or_default();
            if given.is_empty() {
                return;
            }
            self.slot.tell(|told| {
                for attribute in given {
                    told.attribute(attribute);
                }
            });
        }
    }

    /// The body is about to be polled.
    pub(crate) fn polled(&mut self) {
        if let Some(delivery) = &mut self.delivery {
            delivery.mark_polled();
        }
    }

    /// A data frame is about to be handed on. True if it completes the stream's terminator, or the
    /// trailers of gRPC-Web: then the message is complete, whatever it has declared and whatever
    /// follows.
    pub(crate) fn data(&mut self, data: &impl Buf) -> bool {
        let Some(delivery) = &mut self.delivery else {
            return false;
        };
        let bytes = data.remaining();
        let first = delivery.record_data(u64::try_from(bytes).unwrap_or(u64::MAX));
        let owes_nothing = delivery.has_delivered_all();
        if self.listens && (first || owes_nothing) {
            let now = self.elapsed();
            if first {
                self.time_to_first_byte = Some(now);
            }
            if owes_nothing {
                self.whole_at = Some(now);
            }
        }
        self.read_events(data, bytes) || self.read_web_trailers(data, bytes)
    }

    /// Reads what passes of an event stream. True if its terminator is in there.
    fn read_events(&mut self, data: &impl Buf, bytes: usize) -> bool {
        let Some(stream) = &mut self.stream else {
            return false;
        };
        let Some(piece) = contiguous(data, bytes) else {
            self.stream = None;
            return false;
        };
        let found = stream.read(piece, self.config.stream_terminator.as_deref());
        self.take_errors(&found);
        found.terminator
    }

    /// Reads what passes of a gRPC-Web body. True if its trailers are complete and tell a status.
    fn read_web_trailers(&mut self, data: &impl Buf, bytes: usize) -> bool {
        let Some(rare) = &mut self.rare else {
            return false;
        };
        let Some(trailers) = &mut rare.web_trailers else {
            return false;
        };
        let Some(piece) = contiguous(data, bytes) else {
            rare.web_trailers = None;
            return false;
        };
        rare.grpc_status = trailers.read(piece);
        rare.grpc_status.is_some()
    }

    /// An error event is a verdict, if the handler has given none.
    fn take_errors(&self, found: &Findings) {
        if let Some(ErrorEvent { message }) = &found.error {
            let message = message
                .as_deref()
                .map(|message| truncate(message).to_owned());
            self.slot.note(|told| {
                told.verdict
                    .get_or_insert(Verdict::new(outcome::GENERATION_ERROR, message));
            });
        }
    }

    /// The stream's terminator, or the end of gRPC-Web's trailers, is about to be handed on.
    pub(crate) fn terminated(mut self: Box<Self>) {
        self.whole_at = None;
        let grpc_status = self.take_grpc_status();
        self.finish(&End::Complete { grpc_status });
    }

    /// The body is over, with these trailers if it had any.
    pub(crate) fn over(mut self: Box<Self>, trailers: Option<&HeaderMap>) {
        let mut in_trailers = None;
        if let Some(trailers) = trailers {
            // Trailers are the last thing handed on, whatever was owed before.
            self.whole_at = None;
            if self.head.protocol != Protocol::Http {
                in_trailers = GrpcStatus::from_headers(trailers);
            }
            if self.facts.protocol != Protocol::Http && self.records {
                let captured = span::of_trailers(trailers, &self.config);
                self.capture(captured);
            }
        }
        let end = self.end_of_body(in_trailers);
        self.finish(&end);
    }

    /// How a body that is over has ended. What an event stream ends in counts as its last line; what
    /// trailers say counts more than the head.
    fn end_of_body(&mut self, in_trailers: Option<GrpcStatus>) -> End {
        let found = self.stream.take().map(|mut stream| {
            let found = stream.finish(self.config.stream_terminator.as_deref());
            self.take_errors(&found);
            found
        });
        let is_terminated = found.is_some_and(|found| found.terminator);
        match self.delivery.as_ref().and_then(Progress::mismatch) {
            Some((declared, delivered)) if !is_terminated => {
                self.whole_at = None;
                End::LengthMismatch {
                    declared,
                    delivered,
                }
            }
            _ => End::Complete {
                grpc_status: in_trailers.or_else(|| self.take_grpc_status()),
            },
        }
    }

    /// How a request has ended of which nobody said so: it was dropped.
    fn given_up(&mut self) -> End {
        if thread::panicking() {
            return End::Panicked;
        }
        let stage = match &self.delivery {
            Some(delivery) if delivery.has_delivered_all() => return self.end_of_body(None),
            Some(delivery) if delivery.was_polled() => Stage::Midway,
            Some(_) => Stage::Unread,
            None => Stage::BeforeHead,
        };
        End::Dropped {
            stage,
            past_deadline: self
                .timeout()
                .is_some_and(|timeout| self.elapsed().duration() >= timeout),
        }
    }

    /// The time since the start.
    fn elapsed(&self) -> Elapsed {
        Elapsed::of(self.slot.timeline().since_start(clock::now()))
    }

    fn message(&self, error: &dyn Display) -> Option<String> {
        if self.listens {
            format_bounded(error)
        } else {
            None
        }
    }
}

/// All bytes of a data frame, if they lie in one piece. Of others the rest could only be had by
/// copying, and without it nothing that follows can be trusted.
fn contiguous(data: &impl Buf, bytes: usize) -> Option<&[u8]> {
    let piece = data.chunk();
    (piece.len() == bytes).then_some(piece)
}

impl Drop for RequestSpan {
    fn drop(&mut self) {
        if !self.is_settled {
            let end = self.given_up();
            self.settle(&end);
        }
    }
}

impl fmt::Debug for RequestSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RequestSpan")
            .field(self.slot.span_context())
            .finish()
    }
}
