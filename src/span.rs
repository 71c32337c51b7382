//! The open span of one request: its start, what it learns of the response, and its one end.

use std::fmt::{self, Display};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use bytes::Buf;
use http::{HeaderMap, request, response};
use opentelemetry::global::ObjectSafeSpan;
use opentelemetry::trace::{Event, SpanBuilder, SpanKind, Status};
use opentelemetry::{Context, KeyValue};

use crate::attributes::{self, AtStart, Written};
use crate::config::Config;
use crate::contain::contain;
use crate::delivery::{Delivery, declared_length, has_no_body};
use crate::grpc::{self, GrpcStatus, Protocol};
use crate::handle::SpanHandle;
use crate::outcome::{self, Aborted, End, Head, Outcome, Stage, Verdict};
use crate::propagation::Extracted;
use crate::sampling::Rate;
use crate::semconv as key;
use crate::slot::{Slot, Told, has_key};
use crate::sse::{self, ErrorEvent, EventStream, Found};
use crate::text::{cut, text};
use crate::timeline::{self, Timeline};
use crate::tracer::FoundTracer;

/// What opening a request's span has come to.
pub(crate) struct Opened {
    /// To be current inside, if anything but what is current already: the span's, or without a span
    /// the caller's.
    pub(crate) context: Option<Context>,
    pub(crate) span: Option<RequestSpan>,
}

/// An open span.
///
/// It is settled by its `Drop` and nowhere else: [`finish`](Self::finish) only says how it ended,
/// and without that the request has been given up.
pub(crate) struct RequestSpan {
    slot: Arc<dyn Slot>,
    config: Arc<Config>,
    timeline: Timeline,
    written: Written,
    /// The request is named and described as HTTP, whatever it is answered with.
    is_http: bool,
    head: Head,
    /// How long a gRPC caller waits.
    timeout: Option<Duration>,
    /// gRPC: the status in the head, until trailers know better.
    grpc_status: Option<GrpcStatus>,
    /// `None` until the head is there.
    delivery: Option<Delivery>,
    time_to_head: Option<Duration>,
    time_to_first_byte: Option<Duration>,
    /// When the last frame was handed on, if nothing was owed any more after it.
    whole_at: Option<Instant>,
    is_event_stream: bool,
    /// The reader of an event stream in which something is looked for.
    stream: Option<EventStream>,
    end: Option<End>,
}

impl RequestSpan {
    /// Starts the span of a request and puts its handle into the request's extensions. Whatever
    /// fails in here, the request goes on.
    pub(crate) fn open(config: &Arc<Config>, parts: &mut request::Parts) -> Opened {
        let current = contain(Context::current).unwrap_or_default();
        let is_traced = !current.is_telemetry_suppressed() && config.lets_through(parts);
        let tracer = is_traced.then(|| config.tracer.tracer()).flatten();
        let tracer = tracer.filter(|tracer| config.rate.keeps_all() || tracer.is_real());
        // Without a tracer there is nothing to sample, and the caller's word stands.
        let rate = tracer.as_ref().map_or(Rate::ALL, |_| config.rate);
        let caller = config.propagation.extract(&parts.headers, &current, rate);
        let (mut caller, is_sampled_out) = match caller {
            Some(Extracted {
                context,
                is_sampled_out,
            }) => (Some(context), is_sampled_out),
            None => (None, false),
        };
        let Some(tracer) = tracer else {
            return Opened {
                context: caller,
                span: None,
            };
        };
        let parent = caller.as_ref().unwrap_or(&current);
        if is_sampled_out || !rate.keeps_all() {
            // The parent may be of another format than W3C's, or there may be none.
            let without_flag = rate.sampled_out(parent);
            if is_sampled_out || without_flag.is_some() {
                caller = without_flag.or(caller);
                if let Some(context) = caller.as_ref().filter(|_| config.propagate_to_inner) {
                    config.propagation.replace(context, &mut parts.headers);
                }
                return Opened {
                    context: caller,
                    span: None,
                };
            }
        }
        match contain(|| Self::start(config, parts, parent, &tracer)).flatten() {
            Some((span, context)) => {
                if config.propagate_to_inner {
                    config.propagation.replace(&context, &mut parts.headers);
                }
                Opened {
                    context: Some(context),
                    span: Some(span),
                }
            }
            None => Opened {
                context: caller,
                span: None,
            },
        }
    }

    fn start(
        config: &Arc<Config>,
        parts: &mut request::Parts,
        parent: &Context,
        tracer: &FoundTracer<'_>,
    ) -> Option<(Self, Context)> {
        let timeline = Timeline::start();
        let protocol = grpc::protocol_of_request(&parts.method, &parts.headers);
        let AtStart {
            name,
            attributes,
            written,
        } = attributes::at_start(parts, protocol, config.request_id_header.as_ref());
        let name = config.span_name.clone().unwrap_or(name);
        let mut builder = SpanBuilder::from_name(name)
            .with_kind(SpanKind::Server)
            .with_start_time(timeline.started());
        // Not `with_attributes`, which would collect them anew and without the spare room.
        builder.attributes = Some(attributes);
        let mut events = Vec::with_capacity(2);
        events.push(Event::new(
            key::EVENT_ARRIVED,
            timeline.started(),
            Vec::new(),
            0,
        ));
        builder.events = Some(events);
        let started = tracer.start(builder, parent, timeline)?;
        let span = Self {
            slot: Arc::clone(&started.slot),
            config: Arc::clone(config),
            timeline,
            written,
            is_http: protocol == Protocol::Http,
            head: Head::new(parts.method.clone(), None).with_protocol(protocol),
            timeout: match protocol {
                Protocol::Http => None,
                Protocol::Grpc | Protocol::GrpcWeb => grpc::timeout(&parts.headers),
            },
            grpc_status: None,
            delivery: None,
            time_to_head: None,
            time_to_first_byte: None,
            whole_at: None,
            is_event_stream: false,
            stream: None,
            end: None,
        };
        parts.extensions.insert(SpanHandle::new(
            started.slot,
            started.context.clone(),
            config.propagation.clone(),
        ));
        Some((span, started.context))
    }

    /// Calls `f`, in which the inner service's code runs. If it unwinds, the span ends here and
    /// now, with nothing of the request's current any more, and the panic goes on.
    pub(crate) fn watch<R>(span: &mut Option<Self>, f: impl FnOnce() -> R) -> R {
        struct Unwinding<'a>(&'a mut Option<RequestSpan>);
        impl Drop for Unwinding<'_> {
            fn drop(&mut self) {
                if let Some(span) = self.0.take() {
                    span.finish(End::Panicked);
                }
            }
        }
        let unwinding = Unwinding(span);
        let returned = f();
        std::mem::forget(unwinding);
        returned
    }

    /// Ends the span.
    pub(crate) fn finish(mut self, end: End) {
        self.end = Some(end);
    }

    /// The inner service gave an error instead of a response.
    pub(crate) fn service_error(self, error: &dyn Display) {
        let message = self.message(error);
        self.finish(End::ServiceError { message });
    }

    /// The body gave an error instead of a frame.
    pub(crate) fn body_error(self, error: &dyn Display) {
        let message = self.message(error);
        self.finish(End::BodyError { message });
    }

    /// The head is about to be handed on. The span goes on with the body, unless the message is
    /// complete: it can have no body, or its body is at its end (`ended`) already.
    pub(crate) fn head(
        mut self,
        parts: &response::Parts,
        ended: bool,
        exact_size_hint: Option<u64>,
    ) -> Option<Self> {
        self.head.status = Some(parts.status);
        if self.head.protocol != Protocol::Http {
            self.grpc_status = GrpcStatus::from_headers(&parts.headers);
            // Whoever answers in another language knows nothing of gRPC.
            if self.grpc_status.is_none() && !grpc::is_answer(&parts.headers) {
                self.head.protocol = Protocol::Http;
                self.timeout = None;
            }
        }
        if self.slot.records() {
            self.time_to_head = Some(self.timeline.since_start(timeline::now()));
        }
        if has_no_body(&self.head.method, parts.status) {
            let grpc_status = self.grpc_status.take();
            self.finish(End::Complete { grpc_status });
            return None;
        }
        // A gRPC message owes its trailers, whatever its length.
        let declared = match self.head.protocol {
            Protocol::Grpc => None,
            Protocol::Http | Protocol::GrpcWeb => declared_length(&parts.headers, exact_size_hint),
        };
        let delivery = self.delivery.insert(Delivery::new(declared));
        if ended {
            self.over(None);
            return None;
        }
        if delivery.owes_nothing() {
            self.whole_at = Some(timeline::now());
        }
        if self.slot.records() && sse::is_event_stream(&parts.headers) {
            self.is_event_stream = true;
            if self.config.reads_streams() {
                self.stream = Some(EventStream::new(self.config.stream_errors));
            }
        }
        Some(self)
    }

    /// The body is about to be polled.
    pub(crate) fn polled(&mut self) {
        if let Some(delivery) = &mut self.delivery {
            delivery.polled();
        }
    }

    /// A data frame is about to be handed on. True if it completes the stream's terminator: then the
    /// message is complete, whatever it has declared and whatever follows.
    pub(crate) fn data(&mut self, data: &impl Buf) -> bool {
        let Some(delivery) = &mut self.delivery else {
            return false;
        };
        let first = delivery.data(u64::try_from(data.remaining()).unwrap_or(u64::MAX));
        let owes_nothing = delivery.owes_nothing();
        if self.slot.records() && (first || owes_nothing) {
            let now = timeline::now();
            if first {
                self.time_to_first_byte = Some(self.timeline.since_start(now));
                if self.config.journey_events {
                    self.slot.add_own_event(key::EVENT_FIRST_RESPONSE_FROM_CORE);
                }
            }
            if owes_nothing {
                self.whole_at = Some(now);
            }
        }
        self.read_events(data)
    }

    /// Reads what passes of an event stream. True if its terminator is in there.
    fn read_events(&mut self, data: &impl Buf) -> bool {
        let Some(stream) = &mut self.stream else {
            return false;
        };
        let piece = data.chunk();
        if piece.len() != data.remaining() {
            // The rest could only be had by copying, and without it no line can be trusted.
            self.stream = None;
            return false;
        }
        let found = stream.read(piece, self.config.stream_terminator.as_deref());
        self.take_errors(&found);
        found.terminator
    }

    /// An error event is a verdict, if the handler has given none.
    fn take_errors(&self, found: &Found) {
        if let Some(ErrorEvent { message }) = &found.error {
            let message = message.as_deref().map(|message| cut(message).to_owned());
            self.slot.tell(|told| {
                told.verdict
                    .get_or_insert(Verdict::new(outcome::GENERATION_ERROR, message));
            });
        }
    }

    /// The stream's terminator is about to be handed on.
    pub(crate) fn terminated(mut self) {
        self.whole_at = None;
        self.finish(End::Complete { grpc_status: None });
    }

    /// The body is over, with these trailers if it had any.
    pub(crate) fn over(mut self, trailers: Option<&HeaderMap>) {
        if let Some(trailers) = trailers {
            // Trailers are the last thing handed on, whatever was owed before.
            self.whole_at = None;
            if self.head.protocol != Protocol::Http {
                self.grpc_status = GrpcStatus::from_headers(trailers).or(self.grpc_status.take());
            }
        }
        let end = self.end_of_body();
        self.finish(end);
    }

    /// How a body that is over has ended. What an event stream ends in counts as its last line.
    fn end_of_body(&mut self) -> End {
        let found = self.stream.take().map(|mut stream| {
            let found = stream.finish(self.config.stream_terminator.as_deref());
            self.take_errors(&found);
            found
        });
        let is_terminated = found.is_some_and(|found| found.terminator);
        match self.delivery.as_ref().and_then(Delivery::mismatch) {
            Some((declared, delivered)) if !is_terminated => {
                self.whole_at = None;
                End::LengthMismatch {
                    declared,
                    delivered,
                }
            }
            _ => End::Complete {
                grpc_status: self.grpc_status.take(),
            },
        }
    }

    /// How a request has ended of which nobody said so: it was dropped.
    fn given_up(&mut self) -> End {
        if thread::panicking() {
            return End::Panicked;
        }
        let stage = match &self.delivery {
            Some(delivery) if delivery.owes_nothing() => return self.end_of_body(),
            Some(delivery) if delivery.was_polled() => Stage::Midway,
            Some(_) => Stage::Unread,
            None => Stage::BeforeHead,
        };
        End::Dropped {
            stage,
            past_deadline: self
                .timeout
                .is_some_and(|timeout| self.timeline.since_start(timeline::now()) >= timeout),
        }
    }

    fn message(&self, error: &dyn Display) -> Option<String> {
        if self.slot.records() {
            text(error)
        } else {
            None
        }
    }

    /// Writes what was told and what is known at the end. A panic on the way leaves the rest
    /// unwritten, the terminal event in any case.
    fn write(&self, span: &mut dyn ObjectSafeSpan, told: Told, at: SystemTime, end: &End) {
        for event in told.events {
            span.add_event_with_timestamp(event.name, event.at, event.attributes);
        }
        for (span_context, attributes) in told.links {
            contain(|| span.add_link(span_context, attributes));
        }

        let verdict = told.verdict.or(told.error);
        let tolerated = told.disconnect_allowed || !self.config.disconnect_is_error;
        let outcome =
            self.config
                .classify(&self.head, end, verdict.as_ref())
                .map(|outcome| match (outcome, end, &verdict) {
                    (outcome, End::Dropped { .. }, None) if tolerated => outcome.tolerated(),
                    (outcome, ..) => outcome,
                });

        let mut attributes = Vec::with_capacity(8 + told.attributes.len());
        attributes::of_response(&self.head, end, &mut attributes);
        for (key, time) in [
            (key::API_TIME_TO_HEAD, self.time_to_head),
            (key::API_TIME_TO_FIRST_BYTE, self.time_to_first_byte),
            (
                key::GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK,
                self.time_to_first_byte
                    .filter(|_| self.is_event_stream && self.config.journey_events),
            ),
        ] {
            attributes.extend(time.map(|time| KeyValue::new(key, time.as_secs_f64())));
        }
        for (key, dropped) in [
            (key::API_DROPPED_ATTRIBUTES, told.dropped.attributes),
            (key::API_DROPPED_EVENTS, told.dropped.events),
        ] {
            attributes.extend((dropped > 0).then(|| KeyValue::new(key, dropped)));
        }
        if let Some(outcome) = &outcome {
            attributes::of_outcome(outcome, &mut attributes);
        }
        let mut name = told.name;
        if let Some(route) = told.route
            && self.is_http
            && !self.written.has(key::HTTP_ROUTE)
        {
            let (of_route, attribute) = attributes::late_route(&self.head, route);
            attributes.push(attribute);
            if self.config.span_name.is_none() {
                name.get_or_insert(of_route.into());
            }
        }
        for attribute in told.attributes {
            let key = attribute.key.as_str();
            let is_layers = self.written.has(key) || attributes::is_of_end(key);
            if !is_layers && !has_key(&attributes, &attribute.key) {
                attributes.push(attribute);
            }
        }
        for attribute in attributes {
            span.set_attribute(attribute);
        }
        if let Some(name) = name {
            span.update_name(name);
        }
        if let Some(outcome) = outcome {
            write_outcome(span, outcome, at);
        }
    }
}

impl Drop for RequestSpan {
    fn drop(&mut self) {
        let end = match self.end.take() {
            Some(end) => end,
            None => self.given_up(),
        };
        let at = if let End::Complete { .. } = end {
            self.whole_at
        } else {
            None
        };
        self.slot.settle(at, &mut |span, told, at| {
            self.write(span, told, at, &end);
        });
    }
}

/// The status, once, and the terminal event, last.
fn write_outcome(span: &mut dyn ObjectSafeSpan, outcome: Outcome, at: SystemTime) {
    let Outcome::Aborted(aborted) = outcome else {
        span.add_event_with_timestamp(key::EVENT_DEPARTED.into(), at, Vec::new());
        return;
    };
    let Aborted {
        reason,
        error_type,
        message,
    } = aborted;
    if error_type.is_some() {
        span.set_status(Status::error(message.clone().unwrap_or_default()));
    }
    let mut attributes = vec![KeyValue::new(key::EVENT_REASON, reason)];
    attributes.extend(message.map(|message| KeyValue::new(key::EVENT_ERROR, message)));
    span.add_event_with_timestamp(key::EVENT_ABORTED.into(), at, attributes);
}

impl fmt::Debug for RequestSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RequestSpan")
            .field(self.slot.span_context())
            .finish()
    }
}
