//! The state machine a second time, as small as it can be: what must come of a script.

use super::parts::BY_HANDLER;
use super::script::{ABORTS, Answer, Call, ContentType, KEYS, Preset, Script};
use super::streams::{Said, Streams};
use crate::grpc::status::Status;
use crate::sse::json::Message;

/// How many events of a handler's are kept.
const MAX_EVENTS: usize = 120;

/// What the reader sees of one poll.
#[derive(Debug, PartialEq)]
pub enum Saw {
    Pending,
    Head,
    ServiceError,
    /// Data, and whether it lies in one piece.
    Data(Vec<u8>, bool),
    Trailers(Vec<(String, String)>),
    Error,
    None,
    Panic,
}

/// How the span must have ended.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
#[derive(Debug)]
pub struct Ended {
    pub outcome: String,
    pub error_type: Option<String>,
    pub error: Message,
    pub rpc_code: Option<&'static str>,
    /// `http.response.status_code`, if it is told.
    pub status: Option<u16>,
    pub has_head: bool,
    pub has_first_byte: bool,
    pub has_first_chunk: bool,
    /// The names of the events, in order.
    pub events: Vec<&'static str>,
    pub dropped_events: usize,
    pub attributes: Vec<&'static str>,
    pub route: bool,
}

enum Cause {
    Complete,
    Mismatch(String),
    Error,
    Dropped(&'static str),
    Panic,
}

/// What was said about the response: a reason and a message.
type Verdict = (&'static str, Message);

#[expect(clippy::struct_excessive_bools, reason = "as flat as a model can be")]
#[derive(Default)]
pub struct Model<'a> {
    script: Option<&'a Script>,
    answer: Option<&'a Answer>,
    ended: Option<Ended>,
    declared: Option<u64>,
    delivered: u64,
    is_read: bool,
    is_grpc: bool,
    grpc_status: Option<Status>,
    streams: Option<Streams>,
    verdict: Option<Verdict>,
    has_error_status: bool,
    is_tolerant: bool,
    has_first_chunk: bool,
    events: Vec<&'static str>,
    dropped_events: usize,
    attributes: Vec<&'static str>,
    route: bool,
}

impl<'a> Model<'a> {
    pub fn new(script: &'a Script) -> Self {
        Self {
            script: Some(script),
            is_grpc: script.is_grpc(),
            is_tolerant: script.preset == Preset::Tolerant,
            events: vec!["api.ARRIVED"],
            ..Self::default()
        }
    }

    fn script(&self) -> &'a Script {
        self.script.expect("there is always one")
    }

    pub fn ended(&self) -> Option<&Ended> {
        self.ended.as_ref()
    }

    /// The handler says something.
    pub fn say(&mut self, call: Call) {
        if self.ended.is_some() {
            return;
        }
        match call {
            Call::SetAttribute(chosen) | Call::SetAttributeOfContext(chosen) => {
                self.attributes.push(KEYS[usize::from(chosen) % KEYS.len()]);
            }
            Call::SetRoute(is_one) => self.route |= is_one,
            Call::AddEvents(more) => (0..more).for_each(|_| self.add_event()),
            Call::AddEventOfContext => self.add_event(),
            Call::Abort(chosen) => {
                let (reason, message) = ABORTS[usize::from(chosen) % ABORTS.len()];
                let message = Some(message.to_owned()).filter(|message| !message.is_empty());
                self.judge_once((reason, Message::Is(message)));
            }
            Call::SetStatusOfContext(true) => self.has_error_status = true,
            Call::AllowDisconnect => self.is_tolerant = true,
            Call::Handoff => self.add_once("api.HANDOFF_TO_CORE"),
            Call::SetStatusOfContext(false)
            | Call::SetEmptyAttribute(_)
            | Call::EndSpanOfContext => {}
        }
    }

    fn add_event(&mut self) {
        let of_handler = self.events.iter().filter(|name| **name == BY_HANDLER);
        if of_handler.count() < MAX_EVENTS {
            self.events.push(BY_HANDLER);
        } else {
            self.dropped_events += 1;
        }
    }

    fn add_once(&mut self, name: &'static str) {
        if !self.events.contains(&name) {
            self.events.push(name);
        }
    }

    fn judge_once(&mut self, verdict: Verdict) {
        self.verdict.get_or_insert(verdict);
    }

    /// The future was polled; `says_end` is what the body said then.
    pub fn polled_future(&mut self, saw: &Saw, says_end: Option<bool>) {
        match saw {
            Saw::Pending => {}
            Saw::Panic => self.end(&Cause::Panic),
            Saw::ServiceError => self.end(&Cause::Error),
            Saw::Head | Saw::Data(..) | Saw::Trailers(_) | Saw::Error | Saw::None => {
                self.head(says_end);
            }
        }
    }

    /// The head; a body that panics when it is asked is asked for nothing.
    fn head(&mut self, says_end: Option<bool>) {
        let script = self.script();
        let answer = script.answer().expect("a head has an answer");
        self.answer = Some(answer);
        let (lengths, declared) = answer.lengths();
        let of_head = answer.grpc_status();
        let is_of_grpc = matches!(
            answer.content_type,
            ContentType::Grpc | ContentType::GrpcWeb | ContentType::GrpcWebText
        );
        self.is_grpc &= is_of_grpc || of_head.is_some();
        if self.is_grpc {
            self.grpc_status = of_head.map(|code| Status::told(code.as_bytes(), None));
        }
        self.declared = if answer.transfer_encoding || self.is_grpc_alone() {
            None
        } else if lengths.is_empty() {
            answer.size().filter(|_| says_end.is_some())
        } else {
            declared
        };
        let status = answer.status();
        let has_no_body = script.method() == "HEAD"
            || [101, 204, 304].contains(&status)
            || (script.method() == "CONNECT" && (200..300).contains(&status));
        self.streams = Some(Streams::of(
            answer,
            script.preset,
            self.is_grpc && of_head.is_none(),
        ));
        if has_no_body {
            self.end(&Cause::Complete);
        } else if says_end == Some(true) {
            self.over();
        }
    }

    /// gRPC and not gRPC-Web: a message owes its trailers, whatever its length.
    fn is_grpc_alone(&self) -> bool {
        self.is_grpc && self.script().protocol() == "application/grpc"
    }

    /// The body was polled; `says_end` is what it said then.
    pub fn polled_body(&mut self, saw: &Saw, says_end: Option<bool>) {
        self.is_read = true;
        if self.ended.is_some() {
            return;
        }
        match saw {
            Saw::Pending | Saw::Head | Saw::ServiceError => {}
            Saw::Panic => self.end(&Cause::Panic),
            Saw::Error => self.end(&Cause::Error),
            Saw::None => self.over(),
            Saw::Data(data, is_contiguous) => {
                self.data(data, *is_contiguous);
                if says_end == Some(true) {
                    self.over();
                }
            }
            Saw::Trailers(trailers) => {
                let get = |name: &str| {
                    let found = trailers.iter().find(|(key, _)| key == name);
                    found.map(|(_, value)| value.as_bytes())
                };
                if let Some(code) = get("grpc-status").filter(|_| self.is_grpc) {
                    self.grpc_status = Some(Status::told(code, get("grpc-message")));
                }
                self.over();
            }
        }
    }

    fn data(&mut self, data: &[u8], is_contiguous: bool) {
        let answer = self.answer.expect("data has a head");
        if self.delivered == 0
            && !data.is_empty()
            && self.script().preset == Preset::Llm
            && answer.status() < 400
        {
            self.add_once("api.FIRST_RESPONSE_FROM_CORE");
            self.has_first_chunk = answer.content_type == ContentType::Events && !answer.is_encoded;
        }
        self.delivered += data.len() as u64;
        let streams = self.streams.as_mut().expect("data has a head");
        match streams.read(data, is_contiguous) {
            Said::Nothing => {}
            Said::Error(message) => self.judge_once(("generation_error", message)),
            Said::Terminator => self.end(&Cause::Complete),
            Said::ErrorAndTerminator(message) => {
                self.judge_once(("generation_error", message));
                self.end(&Cause::Complete);
            }
            Said::Status(status) => {
                self.grpc_status = Some(status);
                self.end(&Cause::Complete);
            }
        }
    }

    /// What the reader has was dropped.
    pub fn dropped(&mut self, is_unwinding: bool) {
        let is_whole = self.declared.is_some_and(|all| self.delivered >= all);
        match self.answer {
            _ if is_unwinding => self.end(&Cause::Panic),
            None => self.end(&Cause::Dropped("client_disconnect")),
            Some(_) if is_whole => self.over(),
            Some(_) if self.is_read => self.end(&Cause::Dropped("client_disconnect")),
            Some(_) => self.end(&Cause::Dropped("generator_exit")),
        }
    }

    /// The body is over; what an event stream ends in is its last line.
    fn over(&mut self) {
        if self.ended.is_some() {
            return;
        }
        let streams = self.streams.as_mut().expect("a body has a head");
        let last = streams.finish();
        if let Said::Error(message) | Said::ErrorAndTerminator(message) = &last {
            self.judge_once(("generation_error", message.clone()));
        }
        let is_terminated = matches!(last, Said::Terminator | Said::ErrorAndTerminator(_));
        match self.declared {
            Some(declared) if declared != self.delivered && !is_terminated => {
                let message = format!("{} of {declared} declared bytes", self.delivered);
                self.end(&Cause::Mismatch(message));
            }
            _ => self.end(&Cause::Complete),
        }
    }

    fn end(&mut self, cause: &Cause) {
        if self.ended.is_some() {
            return;
        }
        if self.has_error_status {
            let message = Message::Is(Some("by its context".to_owned()));
            self.judge_once(("exception", message));
        }
        let is_dropped = matches!(cause, Cause::Dropped(_));
        let is_late = self.script().is_late == Some(true);
        let (reason, error_type, error) = self.judge(cause);
        let is_tolerated = is_dropped
            && self.is_tolerant
            && self.verdict.is_none()
            && matches!(reason, Some("client_disconnect" | "generator_exit"));
        let status = self.answer.map(Answer::status);
        let mut events = self.events.clone();
        events.push(if reason.is_none() {
            "api.DEPARTED"
        } else {
            "api.ABORTED"
        });
        self.ended = Some(Ended {
            outcome: reason.unwrap_or("DEPARTED").to_owned(),
            error_type: error_type.filter(|_| !is_tolerated),
            error,
            rpc_code: match cause {
                _ if !self.is_grpc => None,
                Cause::Complete => self.grpc_status.as_ref().map(|status| status.name),
                Cause::Dropped(_) if is_late => Some("DEADLINE_EXCEEDED"),
                Cause::Dropped(_) => Some("CANCELLED"),
                Cause::Mismatch(_) | Cause::Error | Cause::Panic => None,
            },
            status: status.filter(|status| !self.is_grpc || *status != 200),
            has_head: self.answer.is_some(),
            has_first_byte: self.delivered > 0,
            has_first_chunk: self.has_first_chunk,
            events,
            dropped_events: self.dropped_events,
            attributes: self.attributes.clone(),
            route: self.route,
        });
    }

    /// Reason, `error.type` and message, by the table of reasons.
    fn judge(&self, cause: &Cause) -> (Option<&'static str>, Option<String>, Message) {
        let is_late = self.script().is_late == Some(true);
        let silent = || Message::Is(None);
        let same = |reason: &'static str| (Some(reason), Some(reason.to_owned()), silent());
        match (cause, &self.verdict) {
            (Cause::Panic, _) => same("panic"),
            (_, Some((reason, message))) => {
                let reason = if reason.is_empty() {
                    "exception"
                } else {
                    reason
                };
                let is_error = reason != "validation_error";
                (
                    Some(reason),
                    is_error.then(|| reason.to_owned()),
                    message.clone(),
                )
            }
            (Cause::Error, _) => {
                let (reason, error_type, _) = same("exception");
                (reason, error_type, Message::Is(Some("boom".to_owned())))
            }
            (Cause::Mismatch(message), _) => {
                let (reason, error_type, _) = same("length_mismatch");
                (reason, error_type, Message::Is(Some(message.clone())))
            }
            (Cause::Dropped(_), _) if self.is_grpc && is_late => (
                Some("deadline_exceeded"),
                Some("DEADLINE_EXCEEDED".to_owned()),
                silent(),
            ),
            (Cause::Dropped(_), _) if self.is_grpc => (Some("client_disconnect"), None, silent()),
            (Cause::Dropped(reason), _) => same(reason),
            (Cause::Complete, _) => {
                let (reason, error_type, message) = self.by_status();
                (reason, error_type, Message::Is(message))
            }
        }
    }

    fn by_status(&self) -> (Option<&'static str>, Option<String>, Option<String>) {
        let owned = |error_type: Option<&str>| error_type.map(str::to_owned);
        if let Some(status) = self.grpc_status.as_ref().filter(|_| self.is_grpc) {
            let (outcome, error_type) = status.outcome();
            return match outcome {
                "DEPARTED" => (None, None, None),
                reason => (Some(reason), owned(error_type), status.message.clone()),
            };
        }
        let answer = self.answer.expect("a complete message has a head");
        match answer.status() {
            ..400 if self.is_grpc_alone() => {
                (Some("exception"), owned(Some("missing_grpc_status")), None)
            }
            400 | 422 | 431 => (Some("validation_error"), None, None),
            404 => (Some("client_error"), None, None),
            status @ 500.. => (Some("exception"), Some(status.to_string()), None),
            _ => (None, None, None),
        }
    }
}
