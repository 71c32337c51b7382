//! The state machine a second time, as small as it can be: what must come of a script.

mod ends;

use std::sync::Arc;

use bytes::Bytes;

use super::events::found;
use super::script::{Answer, Call, Inner, Script};

/// What the reader sees of one poll.
#[derive(Clone, Debug, PartialEq)]
pub enum Saw {
    Pending,
    Head,
    ServiceError,
    Data(Bytes),
    Trailers(Vec<(String, String)>),
    Error,
    None,
    Panic,
}

/// How the span must have ended.
#[expect(clippy::struct_excessive_bools, reason = "as flat as a model can be")]
#[derive(Clone, Debug, PartialEq)]
pub struct Ended {
    pub outcome: String,
    pub error_type: Option<String>,
    pub error: Option<String>,
    /// All was handed on that there was.
    pub is_complete: bool,
    /// Whether the end is one of gRPC: it says what the status is, and HTTP only what is odd.
    pub is_grpc: bool,
    pub grpc_code: Option<&'static str>,
    pub status: Option<u16>,
    pub attributes: Vec<&'static str>,
    pub events: usize,
    pub route: bool,
    /// The first data of an answer that is none of an error was an event of the preset's.
    pub first_response: bool,
    /// gRPC: the server has shown that it has the method.
    pub is_known_method: bool,
    pub exception: Option<Exception>,
}

/// The log event of an end that is more than a status.
#[derive(Clone, Debug, PartialEq)]
pub struct Exception {
    /// Else it is no more than noted.
    pub is_error: bool,
    /// `None` is the type of the error itself.
    pub kind: Option<String>,
    pub message: Option<String>,
}

enum Cause {
    Complete,
    Mismatch(String),
    Error,
    Dropped(&'static str),
    Panic,
}

#[expect(clippy::struct_excessive_bools, reason = "as flat as a model can be")]
#[derive(Clone, Debug)]
pub struct Model {
    pub script: Arc<Script>,
    /// There is a span in the handler's context, which hears what is said to that.
    has_span: bool,
    /// There is no Transfer-Encoding, and the server takes it out.
    is_http2: bool,
    has_head: bool,
    ended: Option<Ended>,
    declared: Option<u64>,
    delivered: u64,
    read: bool,
    is_grpc: bool,
    grpc_status: Option<(String, String)>,
    /// What has come of an event stream, if it is read.
    stream: Option<Vec<u8>>,
    verdict: Option<(&'static str, String)>,
    error_status: bool,
    tolerant: bool,
    attributes: Vec<&'static str>,
    events: usize,
    route: bool,
    first_response: bool,
}

impl Model {
    pub fn new(script: &Arc<Script>) -> Self {
        Self {
            has_span: true,
            is_http2: false,
            has_head: false,
            ended: None,
            declared: None,
            delivered: 0,
            read: false,
            is_grpc: script.is_grpc(),
            script: Arc::clone(script),
            grpc_status: None,
            stream: None,
            verdict: None,
            error_status: false,
            tolerant: false,
            attributes: Vec::new(),
            events: 0,
            route: false,
            first_response: false,
        }
    }

    /// The same of a request that has no span, and is known to metrics and logs alone.
    pub fn without_span(mut self) -> Self {
        self.has_span = false;
        self
    }

    /// The same of a request over HTTP/2.
    pub fn over_http2(mut self) -> Self {
        self.is_http2 = true;
        self
    }

    fn answer(&self) -> Option<&Answer> {
        match &self.script.service {
            Inner::Answers(answer) if self.has_head => Some(answer),
            _ => None,
        }
    }

    pub fn ended(&self) -> Option<&Ended> {
        self.ended.as_ref()
    }

    /// The handler says something.
    pub fn say(&mut self, call: Call) {
        match call {
            _ if self.ended.is_some() => {}
            _ if call.is_of_context() && !self.has_span => {}
            Call::SetAttribute(key) | Call::SetAttributeOfContext(key) => self.attributes.push(key),
            Call::SetRoute => self.route = true,
            Call::AddEvent | Call::AddEventOfContext => self.events += 1,
            Call::Abort(reason, message) => {
                self.verdict.get_or_insert((reason, message.to_owned()));
            }
            Call::SetStatusOfContext(true) => self.error_status = true,
            Call::AllowDisconnect => self.tolerant = true,
            Call::SetStatusOfContext(false) | Call::EndSpanOfContext | Call::Inject => {}
        }
    }

    /// The future was polled; `at_end` is what the body said then.
    pub fn polled_future(&mut self, saw: &Saw, at_end: bool) {
        match saw {
            Saw::Pending => {}
            Saw::Panic => self.end(&Cause::Panic),
            Saw::ServiceError => self.end(&Cause::Error),
            _ => {
                self.has_head = true;
                let script = Arc::clone(&self.script);
                let answer = self.answer().expect("a head has an answer").clone();
                self.grpc_status = answer
                    .grpc_status
                    .map(|code| (code.to_owned(), String::new()));
                let no_body = script.method == "HEAD"
                    || [101, 204, 304].contains(&answer.status)
                    || (script.method == "CONNECT" && (200..300).contains(&answer.status));
                self.is_grpc =
                    script.is_grpc() && (answer.is_grpc() || answer.grpc_status.is_some());
                let length = answer.content_length.as_deref();
                self.declared = match (length, answer.transfer_encoding && !self.is_http2) {
                    // A gRPC message owes its trailers, whatever its length.
                    _ if self.is_grpc && script.protocol == "application/grpc" => None,
                    (_, true) | (Some("junk" | "+5"), _) => None,
                    (Some(length), _) => Some(length.parse().expect("digits")),
                    (None, _) => answer.size,
                };
                if no_body {
                    self.end(&Cause::Complete);
                } else if at_end {
                    self.over();
                } else if script.is_llm && answer.is_readable_stream() {
                    self.stream = Some(Vec::new());
                }
            }
        }
    }

    /// The body was polled; `at_end` is what it said then.
    pub fn polled_body(&mut self, saw: &Saw, at_end: bool) {
        self.read = true;
        match saw {
            Saw::Pending | Saw::Head | Saw::ServiceError => {}
            Saw::Panic => self.end(&Cause::Panic),
            Saw::Error => self.end(&Cause::Error),
            Saw::None => self.over(),
            Saw::Data(data) => {
                let is_first = self.delivered == 0 && !data.is_empty();
                self.delivered += data.len() as u64;
                let is_refused = self.answer().is_some_and(|answer| answer.status >= 400);
                if is_first && self.script.is_llm && !is_refused && self.ended.is_none() {
                    self.first_response = true;
                }
                if let Some(stream) = &mut self.stream {
                    stream.extend_from_slice(data);
                }
                if self.is_terminated(false) {
                    self.end(&Cause::Complete);
                } else if at_end {
                    self.over();
                }
            }
            Saw::Trailers(trailers) => {
                let get = |name: &str| {
                    let found = trailers.iter().find(|(key, _)| key == name);
                    found.map(|(_, value)| value.clone())
                };
                if let Some(code) = get("grpc-status") {
                    self.grpc_status = Some((code, get("grpc-message").unwrap_or_default()));
                }
                self.over();
            }
        }
    }

    /// What the reader has was dropped.
    pub fn dropped(&mut self, unwinding: bool) {
        let whole = self.has_head && self.declared.is_some_and(|all| self.delivered >= all);
        match self.has_head {
            _ if unwinding => self.end(&Cause::Panic),
            false => self.end(&Cause::Dropped("client_disconnect")),
            true if whole => self.over(),
            true if self.read => self.end(&Cause::Dropped("client_disconnect")),
            true => self.end(&Cause::Dropped("generator_exit")),
        }
    }

    /// Whether the event stream, if it is one, says that it is over. Its first error is a verdict.
    fn is_terminated(&mut self, is_all: bool) -> bool {
        if self.ended.is_some() {
            return false;
        }
        let Some(stream) = &self.stream else {
            return false;
        };
        let found = found(stream, is_all);
        if let Some(message) = found.error {
            self.verdict.get_or_insert(("generation_error", message));
        }
        found.is_terminated
    }

    fn over(&mut self) {
        let is_terminated = self.is_terminated(true);
        match self.declared {
            _ if is_terminated => self.end(&Cause::Complete),
            Some(declared) if declared != self.delivered => self.end(&Cause::Mismatch(format!(
                "{} of {declared} declared bytes",
                self.delivered
            ))),
            _ => self.end(&Cause::Complete),
        }
    }
}
