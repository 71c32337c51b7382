//! The rules for how an exchange ends, implemented a second time and independently of `src/`.
//!
//! The property tests and the fuzz targets report what a server observes of an exchange: the request,
//! each poll of the response future and of the body, the drop, and the calls of the handler. The oracle
//! knows when the span must end and what it must show.

mod body_reader;
mod end;
pub mod grpc;
pub mod llm;
mod request_body;
mod span;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, TRANSFER_ENCODING};
use http::{HeaderName, Method, Request, Version};
use http_body::Body;

use body_reader::BodyReader;
use end::Cause;
pub use end::Ended;
use grpc::Status;
use llm::{Failure, Framing, Reading, Summary};
use request_body::RequestBody;
pub use request_body::RequestFrame;
pub use span::{check_request, summary_values};

/// The longest string on a span, in bytes.
pub const MAX_STRING: usize = 1_024;

/// How many events of the handler a span keeps.
const MAX_HANDLER_EVENTS: usize = 120;

/// The events that only the layer adds.
const LAYER_EVENTS: [&str; 5] = [
    "api.ABORTED",
    "api.ARRIVED",
    "api.DEPARTED",
    "api.FIRST_RESPONSE_FROM_CORE",
    "api.HANDOFF_TO_CORE",
];

/// The content types of streams.
const STREAMS: [&str; 5] = [
    "application/jsonl",
    "application/stream+json",
    "application/x-ndjson",
    "multipart/x-mixed-replace",
    "text/event-stream",
];

/// The settings of the layer that decide how an exchange ends.
#[expect(clippy::struct_excessive_bools, reason = "independent settings")]
#[derive(Clone, Copy, Debug, Default)]
pub struct Settings {
    /// The name of the span is that of `ApiSpanLayer::llm`.
    pub is_llm: bool,
    /// `journey_events`.
    pub has_journey_events: bool,
    /// What is read of answers of LLM APIs.
    pub llm: llm::Settings,
    /// `gen_ai_attributes`.
    pub reads_attributes: bool,
    /// `disconnect_is_error(false)`.
    pub allows_disconnect: bool,
}

impl Settings {
    /// Returns the settings of `ApiSpanLayer::llm()`.
    pub fn llm() -> Self {
        Self {
            is_llm: true,
            has_journey_events: true,
            llm: llm::Settings::llm(),
            reads_attributes: true,
            allows_disconnect: false,
        }
    }
}

/// What a poll of the response future or of the body returned.
#[derive(Clone, Debug, PartialEq)]
pub enum Polled {
    Pending,
    /// The response: its status and headers.
    Head(u16, HeaderMap),
    ServiceError,
    /// A data frame, and whether its buffer is contiguous.
    Data(Bytes, bool),
    Trailers(HeaderMap),
    BodyError,
    /// `None`.
    EndOfBody,
    /// The poll panicked.
    Panic,
}

/// What a body returns from `is_end_stream` and `size_hint`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BodyHints {
    pub is_end_stream: bool,
    lower: u64,
    upper: Option<u64>,
}

impl BodyHints {
    /// Asks a body.
    pub fn from_body(body: &impl Body) -> Self {
        let size = body.size_hint();
        Self {
            is_end_stream: body.is_end_stream(),
            lower: size.lower(),
            upper: size.upper(),
        }
    }

    fn exact_size(self) -> Option<u64> {
        self.upper.filter(|upper| *upper == self.lower)
    }
}

/// A call of the handler on its `SpanHandle`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum HandlerCall {
    /// Key and value.
    SetAttribute(&'static str, &'static str),
    /// Key and value, of an attribute of the request's metrics.
    SetMetricAttribute(&'static str, &'static str),
    SetRoute(&'static str),
    /// The name of the event.
    AddEvent(&'static str),
    /// The response is a stream, whatever its content type.
    DeclareStream,
    /// Reason and message.
    Abort(&'static str, &'static str),
    AllowDisconnect,
    HandOff,
    Inject,
    /// The handler polls the body of its request.
    ReadRequest(RequestFrame),
    /// The handler drops the body of its request.
    DropRequest,
    /// A call on the span in the handle's context.
    OnContext(ContextCall),
}

/// A call of the handler on the span in its context.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ContextCall {
    /// Key and value.
    SetAttribute(&'static str, &'static str),
    /// The name of the event.
    AddEvent(&'static str),
    /// The description of the status.
    SetErrorStatus(&'static str),
    SetOkStatus,
    End,
}

/// The head of the response, as far as the rules need it.
#[derive(Clone, Debug)]
struct Head {
    status: u16,
}

/// The outcome that the handler or the stream itself reported: a reason and a message.
#[derive(Clone, Debug)]
struct Verdict {
    reason: &'static str,
    message: Option<String>,
    code: Option<String>,
}

/// The rules for one exchange.
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
#[derive(Clone, Debug)]
pub struct Oracle {
    settings: Settings,
    method: Method,
    path: String,
    version: Version,
    /// The content type of the request.
    protocol: String,
    /// The caller's `grpc-timeout` has passed.
    is_late: bool,
    /// The handler's context holds a span of this layer.
    has_span: bool,
    /// gRPC: an earlier response has shown that the server has the method.
    is_method_learnt: bool,
    head: Option<Head>,
    /// How many bytes the body must have, if that is known.
    declared: Option<u64>,
    delivered: u64,
    was_body_polled: bool,
    request: RequestBody,
    /// The client has disconnected inside its request.
    is_request_cut_off: bool,
    /// All declared bytes were delivered before that.
    was_whole_before: bool,
    /// The request's body was over, perhaps before its end.
    is_request_over: bool,
    /// Request and response are gRPC; before the head, the request is.
    is_grpc: bool,
    grpc_status: Option<Status>,
    body: BodyReader,
    verdict: Option<Verdict>,
    error_status: Option<&'static str>,
    allows_disconnect: bool,
    /// The bytes that were delivered, and how many events there were then, after each data frame.
    frames: Vec<(u64, usize)>,
    /// What was read of the body so far.
    reading: Reading,
    events: Vec<&'static str>,
    dropped_events: usize,
    /// How many attributes had an empty key.
    unnamed_attributes: usize,
    attributes: Vec<(&'static str, &'static str)>,
    metric_attributes: Vec<(&'static str, &'static str)>,
    /// The response is a stream, by its content type or because the handler declared it.
    is_stream: bool,
    route: Option<&'static str>,
    ended: Option<Ended>,
}

impl Oracle {
    /// Starts an exchange. The caller's `grpc-timeout`, if there is one, has passed if it `is_late`.
    pub fn new<B>(settings: Settings, request: &Request<B>, is_late: bool) -> Self {
        let protocol = text(request.headers(), &CONTENT_TYPE).unwrap_or_default();
        let mut oracle = Self {
            settings,
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            version: request.version(),
            protocol,
            is_late,
            has_span: true,
            is_method_learnt: false,
            head: None,
            declared: None,
            delivered: 0,
            was_body_polled: false,
            request: RequestBody::new(request.headers()),
            is_request_cut_off: false,
            was_whole_before: false,
            is_request_over: false,
            is_grpc: false,
            grpc_status: None,
            body: BodyReader::default(),
            verdict: None,
            error_status: None,
            allows_disconnect: settings.allows_disconnect,
            frames: Vec::new(),
            reading: Reading::default(),
            events: vec!["api.ARRIVED"],
            dropped_events: 0,
            unnamed_attributes: 0,
            attributes: Vec::new(),
            metric_attributes: Vec::new(),
            is_stream: false,
            route: None,
            ended: None,
        };
        oracle.is_grpc = oracle.is_grpc_request();
        oracle
    }

    /// The request has no span; only metrics and log events describe it.
    #[must_use]
    pub fn without_span(self) -> Self {
        Self {
            has_span: false,
            ..self
        }
    }

    /// The layer has learnt the method from the exchanges that ended before this one began.
    pub fn learn_method<'a>(&mut self, mut earlier: impl Iterator<Item = &'a Self>) {
        let has_shown = |earlier: &Self| earlier.ended().is_some_and(|ended| ended.is_known_method);
        self.is_method_learnt = earlier.any(has_shown);
    }

    /// Returns how the exchange has ended, if it has.
    pub fn ended(&self) -> Option<&Ended> {
        self.ended.as_ref()
    }

    pub fn method(&self) -> &Method {
        &self.method
    }

    pub fn path(&self) -> &str {
        &self.path
    }

    pub fn version(&self) -> Version {
        self.version
    }

    /// Returns `network.protocol.version`.
    pub fn protocol_version(&self) -> &'static str {
        if self.version == Version::HTTP_2 {
            "2"
        } else {
            "1.1"
        }
    }

    /// Whether the request claims to be gRPC, which only a POST can be.
    fn is_grpc_request(&self) -> bool {
        self.method == Method::POST && self.protocol.starts_with("application/grpc")
    }

    /// Whether the exchange is gRPC and not gRPC-Web: its message ends with trailers.
    fn is_native_grpc(&self) -> bool {
        self.is_grpc && !self.protocol.starts_with("application/grpc-web")
    }

    /// The handler makes a call.
    pub fn call(&mut self, call: HandlerCall) {
        if self.ended.is_some() {
            return;
        }
        match call {
            HandlerCall::SetAttribute(key, value) => self.set_attribute(key, value),
            HandlerCall::DeclareStream => self.is_stream = true,
            HandlerCall::SetRoute("")
            | HandlerCall::SetMetricAttribute(_, "")
            | HandlerCall::Inject => {}
            HandlerCall::SetMetricAttribute(key, value) => {
                self.metric_attributes.push((key, value));
            }
            HandlerCall::SetRoute(route) => self.route = Some(route),
            HandlerCall::AddEvent(name) => self.add_event(name),
            HandlerCall::Abort(reason, message) => {
                let message = Some(message.to_owned()).filter(|message| !message.is_empty());
                self.set_verdict(reason, message);
            }
            HandlerCall::AllowDisconnect => self.allows_disconnect = true,
            HandlerCall::HandOff => self.add_event_once("api.HANDOFF_TO_CORE"),
            HandlerCall::ReadRequest(frame) => self.read_request(frame),
            HandlerCall::DropRequest => self.drop_request(),
            HandlerCall::OnContext(_) if !self.has_span => {}
            HandlerCall::OnContext(call) => match call {
                ContextCall::SetAttribute(key, value) => self.set_attribute(key, value),
                ContextCall::AddEvent(name) => self.add_event(name),
                ContextCall::SetErrorStatus(description) => self.error_status = Some(description),
                ContextCall::SetOkStatus | ContextCall::End => {}
            },
        }
    }

    fn set_attribute(&mut self, key: &'static str, value: &'static str) {
        match (key, value) {
            (_, "") => {}
            ("", _) => self.unnamed_attributes += 1,
            _ => self.attributes.push((key, value)),
        }
    }

    /// Adds an event of the handler.
    fn add_event(&mut self, name: &'static str) {
        let is_own = |name: &str| LAYER_EVENTS.contains(&name);
        let kept = self.events.iter().filter(|name| !is_own(name)).count();
        if kept < MAX_HANDLER_EVENTS && !name.is_empty() && !is_own(name) {
            self.events.push(name);
        } else {
            self.dropped_events += 1;
        }
    }

    fn add_event_once(&mut self, name: &'static str) {
        if !self.events.contains(&name) {
            self.events.push(name);
        }
    }

    /// The first verdict counts.
    fn set_verdict(&mut self, reason: &'static str, message: Option<String>) {
        let message = message.map(|message| truncate(message, MAX_STRING));
        self.verdict.get_or_insert(Verdict {
            reason,
            message,
            code: None,
        });
    }

    /// Sets what was found in the body so far. The first failure in it is a verdict.
    fn set_reading(&mut self, reading: Reading) {
        if let Some(Failure { message, code }) = reading.failure.clone() {
            self.verdict.get_or_insert(Verdict {
                reason: "generation_error",
                message,
                code,
            });
        }
        self.reading = reading;
    }

    /// The server polled the response future or the body; `hints` are the body's after that.
    pub fn polled(&mut self, polled: &Polled, hints: Option<BodyHints>) {
        if self.ended.is_some() {
            return;
        }
        self.was_body_polled = self.head.is_some();
        match polled {
            Polled::Pending => {}
            Polled::Head(status, headers) => self.receive_head(*status, headers, hints),
            Polled::ServiceError | Polled::BodyError => self.end(&Cause::Error),
            Polled::Data(data, is_contiguous) => {
                self.receive_data(data, *is_contiguous);
                if hints.is_some_and(|hints| hints.is_end_stream) {
                    self.end_of_body();
                }
            }
            Polled::Trailers(trailers) => {
                if let Some(status) = Status::from_headers(trailers) {
                    self.grpc_status = Some(status);
                }
                self.end_of_body();
            }
            Polled::EndOfBody => self.end_of_body(),
            Polled::Panic => self.end(&Cause::Panic),
        }
    }

    /// The head of the response. Without `hints`, the body panicked when it was asked for them.
    fn receive_head(&mut self, status: u16, headers: &HeaderMap, hints: Option<BodyHints>) {
        if self.is_request_cut_off {
            // The client does not receive it.
            self.end(&Cause::Dropped("client_disconnect"));
            return;
        }
        self.grpc_status = Status::from_headers(headers);
        let content_type = text(headers, &CONTENT_TYPE).unwrap_or_default();
        self.is_grpc = self.is_grpc_request()
            && (content_type.starts_with("application/grpc") || self.grpc_status.is_some());
        self.declared = self.declared_length(headers, hints);
        // The bytes of an encoded body are not those of its content type.
        let is_encoded = text(headers, &CONTENT_ENCODING).is_some_and(|text| text != "identity");
        let content_type = content_type.to_lowercase();
        let media_type = content_type.split(';').next();
        self.is_stream |= media_type.is_some_and(|name| STREAMS.contains(&name.trim()));
        let media_type = media_type.filter(|_| !is_encoded);
        let seeks_status = self.is_grpc && self.grpc_status.is_none();
        let media_type = media_type.unwrap_or_default();
        self.body = BodyReader::new(media_type, status, self.settings.llm, seeks_status);
        self.head = Some(Head { status });
        let has_no_body = self.method == Method::HEAD
            || (100..200).contains(&status)
            || [204, 304].contains(&status)
            || (self.method == Method::CONNECT && (200..300).contains(&status));
        if has_no_body {
            self.end(&Cause::Complete);
        } else if hints.is_some_and(|hints| hints.is_end_stream) {
            self.end_of_body();
        }
    }

    /// Returns the length that the message declares (RFC 9110, section 8.6; RFC 9112, section 6.3).
    fn declared_length(&self, headers: &HeaderMap, hints: Option<BodyHints>) -> Option<u64> {
        let is_chunked =
            self.version == Version::HTTP_11 && headers.contains_key(TRANSFER_ENCODING);
        if is_chunked || self.is_native_grpc() {
            return None;
        }
        let mut lengths: Vec<_> = headers.get_all(CONTENT_LENGTH).iter().collect();
        lengths.dedup();
        match lengths[..] {
            [] => hints.and_then(BodyHints::exact_size),
            [length] if length.as_bytes().iter().all(u8::is_ascii_digit) => {
                length.to_str().ok()?.parse().ok()
            }
            _ => None,
        }
    }

    fn receive_data(&mut self, data: &Bytes, is_contiguous: bool) {
        self.delivered += data.len() as u64;
        self.frames.push((self.delivered, self.events.len()));
        self.body.read(data, is_contiguous);
        let found = self.body.find(false);
        // The body of a whole answer can be a stream all the same.
        if !self.body.is_whole_answer() || found.reading.stream.is_some() {
            self.set_reading(found.reading);
        }
        if let Some(status) = found.grpc_status {
            self.grpc_status = Some(status);
            self.end(&Cause::Complete);
        } else if self.reading.end.is_some() {
            self.end(&Cause::Complete);
        }
    }

    /// Returns the framing of a stream that is read.
    fn stream(&self) -> Option<Framing> {
        self.body.stream().or(self.reading.stream)
    }

    /// Returns the number of bytes with which the first response is there.
    fn first_response(&self) -> Option<usize> {
        match self.stream() {
            Some(_) if self.reading.format.is_some() => self.reading.first_token,
            // Behind a buffer that cannot be read, any data count.
            Some(Framing::Events) => self
                .reading
                .first_event
                .or(self.body.given_up_after().map(|bytes| bytes + 1)),
            Some(_) | None => Some(1),
        }
    }

    /// Adds the event of the first response, at its place. Returns whether there is one.
    fn add_first_response(&mut self) -> bool {
        let is_error = self.head.as_ref().is_none_or(|head| head.status >= 400);
        if is_error || !self.settings.has_journey_events {
            return false;
        }
        let mut frames = self.frames.iter();
        let Some(bytes) = self.first_response() else {
            return false;
        };
        let is_delivered = self.declared.is_some_and(|all| self.delivered >= all);
        let is_by_line = self.stream() == Some(Framing::Events) || self.reading.format.is_some();
        if is_by_line && !is_delivered && self.body.is_open_line(self.stream(), bytes) {
            // The end of the body ended it. A declared length is over with its last frame.
            self.events.push("api.FIRST_RESPONSE_FROM_CORE");
            return true;
        }
        let frame = frames.find(|(delivered, _)| *delivered >= bytes as u64);
        if let Some((_, events)) = frame {
            self.events.insert(*events, "api.FIRST_RESPONSE_FROM_CORE");
        }
        frame.is_some()
    }

    /// The body has ended. The end of an event stream ends its last line.
    fn end_of_body(&mut self) {
        if self.ended.is_some() {
            return;
        }
        self.set_reading(self.body.find(true).reading);
        let delivered = self.delivered;
        let is_error = self.head.as_ref().is_none_or(|head| head.status >= 400);
        match self.declared {
            Some(declared) if declared != delivered && self.reading.end.is_none() => {
                let message = format!("{delivered} of {declared} declared bytes");
                self.end(&Cause::Mismatch(message));
            }
            // A gRPC status says what happened.
            _ if self.reading.is_truncated && !is_error && !self.is_grpc => {
                self.end(&Cause::Truncated);
            }
            _ => self.end(&Cause::Complete),
        }
    }

    /// The server dropped the response future or the body, perhaps while a panic unwinds.
    pub fn dropped(&mut self, is_unwinding: bool) {
        if self.body.is_whole_answer() && self.ended.is_none() && !is_unwinding {
            // Its JSON can be over before its body is.
            self.set_reading(self.body.find(false).reading);
        }
        let is_delivered = self.declared.is_some_and(|all| self.delivered >= all);
        match self.head {
            _ if is_unwinding => self.end(&Cause::Panic),
            None => self.end(&Cause::Dropped("client_disconnect")),
            Some(_) if is_delivered => self.end_of_body(),
            Some(_) if self.was_body_polled => self.end(&Cause::Dropped("client_disconnect")),
            // HTTP/2 can reset a stream without an error of the request's body.
            Some(_) if self.is_request_over && self.version == Version::HTTP_2 => {
                self.end(&Cause::Dropped("client_disconnect"));
            }
            Some(_) => self.end(&Cause::Dropped("generator_exit")),
        }
    }
}

/// The first value of a header, if it is text.
fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let value = headers.get(name)?.to_str().ok()?;
    Some(value.to_owned())
}

/// Removes characters from the end until the text has at most so many bytes.
fn truncate(mut text: String, bytes: usize) -> String {
    while text.len() > bytes {
        text.pop();
    }
    text
}
