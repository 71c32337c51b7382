//! The state machine a second time, as small as it can be: what must come of a script.

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
#[derive(Clone, Debug, PartialEq)]
pub struct Ended {
    pub outcome: String,
    pub error_type: Option<String>,
    pub error: Option<String>,
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
                self.declared = match (length, answer.transfer_encoding) {
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

    fn end(&mut self, cause: &Cause) {
        if self.ended.is_some() {
            return;
        }
        let is_grpc = self.is_grpc;
        if self.error_status {
            self.verdict
                .get_or_insert(("exception", "by its context".to_owned()));
        }
        let late = self.script.timeout == Some("1n");
        let (reason, error_type, error) = self.judge(cause);
        let has_left = [Some("client_disconnect"), Some("generator_exit")].contains(&reason);
        let tolerated = self.tolerant && self.verdict.is_none() && has_left;
        let error_type = error_type.filter(|_| !tolerated);
        let error = error.filter(|error| !error.is_empty());
        let grpc_code = match cause {
            _ if !is_grpc => None,
            Cause::Complete => self.grpc_status.as_ref().map(|(code, _)| name(code)),
            Cause::Dropped(_) if late => Some("DEADLINE_EXCEEDED"),
            Cause::Dropped(_) => Some("CANCELLED"),
            _ => None,
        };
        let has_message = self.script.protocol == "application/grpc" && self.delivered > 0;
        let is_by_verdict = self.verdict.is_some() && !matches!(cause, Cause::Panic);
        let is_of_leaving = matches!(cause, Cause::Dropped(_)) && has_left;
        let tells_itself = matches!(cause, Cause::Complete) && !is_by_verdict;
        let exception = (is_of_leaving || error_type.is_some() && !tells_itself).then(|| {
            let is_error_itself = matches!(cause, Cause::Error) && !is_by_verdict;
            Exception {
                is_error: !is_of_leaving,
                kind: reason.filter(|_| !is_error_itself).map(str::to_owned),
                message: error.clone(),
            }
        });
        self.ended = Some(Ended {
            outcome: match reason {
                None => "DEPARTED".to_owned(),
                Some(reason) => format!("ABORTED({reason})"),
            },
            error_type,
            error,
            is_grpc,
            grpc_code,
            status: self.answer().map(|answer| answer.status),
            attributes: self.attributes.clone(),
            events: self.events,
            route: self.route,
            first_response: self.first_response,
            is_known_method: match (cause, grpc_code) {
                (Cause::Complete, code) => code == Some("OK") || has_message && code.is_some(),
                (Cause::Mismatch(_), _) => false,
                (Cause::Error | Cause::Dropped(_) | Cause::Panic, _) => has_message,
            },
            exception,
        });
    }

    /// Reason, `error.type` and message, by the table of reasons.
    fn judge(&self, cause: &Cause) -> (Option<&'static str>, Option<String>, Option<String>) {
        let is_grpc = self.is_grpc;
        let same = |reason: &'static str| (Some(reason), Some(reason.to_owned()), None);
        match (cause, &self.verdict) {
            (Cause::Panic, _) => same("panic"),
            (_, Some((reason, message))) => {
                let reason = match *reason {
                    "" => "exception",
                    reason => reason,
                };
                let is_error = reason != "validation_error";
                let error_type = is_error.then(|| reason.to_owned());
                (Some(reason), error_type, Some(message.clone()))
            }
            (Cause::Error, _) => (
                Some("exception"),
                Some("exception".to_owned()),
                Some("boom".to_owned()),
            ),
            (Cause::Mismatch(message), _) => (
                Some("length_mismatch"),
                Some("length_mismatch".to_owned()),
                Some(message.clone()),
            ),
            (Cause::Dropped(_), _) if is_grpc && self.script.timeout == Some("1n") => (
                Some("deadline_exceeded"),
                Some("DEADLINE_EXCEEDED".to_owned()),
                None,
            ),
            (Cause::Dropped(_), _) if is_grpc => (Some("client_disconnect"), None, None),
            (Cause::Dropped(reason), _) => same(reason),
            (Cause::Complete, _) => self.by_status(),
        }
    }

    fn by_status(&self) -> (Option<&'static str>, Option<String>, Option<String>) {
        let answer = self.answer().expect("a complete message has a head");
        if self.is_grpc
            && let Some((code, message)) = &self.grpc_status
        {
            let message = Some(message.clone());
            return match code.as_str() {
                "0" => (None, None, None),
                "3" => (Some("validation_error"), None, message),
                "5" => (Some("client_error"), None, message),
                code => (Some("exception"), Some(name(code).to_owned()), message),
            };
        }
        match answer.status {
            ..400 if self.is_grpc && self.script.protocol == "application/grpc" => (
                Some("exception"),
                Some("missing_grpc_status".to_owned()),
                None,
            ),
            400 | 422 => (Some("validation_error"), None, None),
            404 => (Some("client_error"), None, None),
            status @ 500.. => (Some("exception"), Some(status.to_string()), None),
            _ => (None, None, None),
        }
    }
}

fn name(code: &str) -> &'static str {
    match code {
        "0" => "OK",
        "3" => "INVALID_ARGUMENT",
        "5" => "NOT_FOUND",
        "13" => "INTERNAL",
        "14" => "UNAVAILABLE",
        _ => "UNKNOWN",
    }
}
