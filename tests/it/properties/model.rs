//! The state machine a second time, as small as it can be: what must come of a script.

use super::script::{Answer, Call, Script};

/// What the reader sees of one poll.
#[derive(Clone, Debug, PartialEq)]
pub enum Saw {
    Pending,
    Head,
    ServiceError,
    Data(usize),
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
}

enum Cause {
    Complete,
    Mismatch(String),
    Error,
    Dropped(&'static str),
    Panic,
}

#[expect(clippy::struct_excessive_bools, reason = "as flat as a model can be")]
pub struct Model<'a> {
    script: &'a Script,
    answer: Option<&'a Answer>,
    ended: Option<Ended>,
    declared: Option<u64>,
    delivered: u64,
    read: bool,
    is_grpc: bool,
    grpc_status: Option<(String, String)>,
    verdict: Option<(&'static str, &'static str)>,
    error_status: bool,
    tolerant: bool,
    attributes: Vec<&'static str>,
    events: usize,
    route: bool,
}

impl<'a> Model<'a> {
    pub fn new(script: &'a Script) -> Self {
        Self {
            script,
            answer: None,
            ended: None,
            declared: None,
            delivered: 0,
            read: false,
            is_grpc: script.is_grpc(),
            grpc_status: None,
            verdict: None,
            error_status: false,
            tolerant: false,
            attributes: Vec::new(),
            events: 0,
            route: false,
        }
    }

    pub fn ended(&self) -> Option<&Ended> {
        self.ended.as_ref()
    }

    /// The handler says something.
    pub fn say(&mut self, call: Call) {
        match call {
            _ if self.ended.is_some() => {}
            Call::SetAttribute(key) | Call::SetAttributeOfContext(key) => self.attributes.push(key),
            Call::SetRoute => self.route = true,
            Call::AddEvent | Call::AddEventOfContext => self.events += 1,
            Call::Abort(reason, message) => {
                self.verdict.get_or_insert((reason, message));
            }
            Call::SetStatusOfContext(true) => self.error_status = true,
            Call::AllowDisconnect => self.tolerant = true,
            Call::SetStatusOfContext(false) | Call::EndSpanOfContext | Call::Inject => {}
        }
    }

    /// The future was polled; `at_end` is what the body said then.
    pub fn polled_future(&mut self, saw: &Saw, answer: Option<&'a Answer>, at_end: bool) {
        match saw {
            Saw::Pending => {}
            Saw::Panic => self.end(&Cause::Panic),
            Saw::ServiceError => self.end(&Cause::Error),
            _ => {
                let answer = answer.expect("a head has an answer");
                self.answer = Some(answer);
                self.grpc_status = answer
                    .grpc_status
                    .map(|code| (code.to_owned(), String::new()));
                let no_body = self.script.method == "HEAD"
                    || [101, 204, 304].contains(&answer.status)
                    || (self.script.method == "CONNECT" && (200..300).contains(&answer.status));
                self.is_grpc =
                    self.script.is_grpc() && (answer.is_grpc || answer.grpc_status.is_some());
                self.declared = match (answer.content_length, answer.transfer_encoding) {
                    // A gRPC message owes its trailers, whatever its length.
                    _ if self.is_grpc && self.script.protocol == "application/grpc" => None,
                    (_, true) | (Some("junk" | "+5"), _) => None,
                    (Some(length), _) => Some(length.parse().expect("digits")),
                    (None, _) => answer.size,
                };
                if no_body {
                    self.end(&Cause::Complete);
                } else if at_end {
                    self.over();
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
            Saw::Data(bytes) => {
                self.delivered += *bytes as u64;
                if at_end {
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
        let whole = self.answer.is_some() && self.declared.is_some_and(|all| self.delivered >= all);
        match self.answer {
            _ if unwinding => self.end(&Cause::Panic),
            None => self.end(&Cause::Dropped("client_disconnect")),
            Some(_) if whole => self.over(),
            Some(_) if self.read => self.end(&Cause::Dropped("client_disconnect")),
            Some(_) => self.end(&Cause::Dropped("generator_exit")),
        }
    }

    fn over(&mut self) {
        match self.declared {
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
            self.verdict.get_or_insert(("exception", "by its context"));
        }
        let late = self.script.timeout == Some("1n");
        let (reason, error_type, error) = self.judge(cause);
        let reason = reason.map(str::to_owned);
        let tolerated = self.tolerant
            && self.verdict.is_none()
            && matches!(
                reason.as_deref(),
                Some("client_disconnect" | "generator_exit")
            );
        self.ended = Some(Ended {
            outcome: match &reason {
                None => "DEPARTED".to_owned(),
                Some(reason) => format!("ABORTED({reason})"),
            },
            error_type: error_type.filter(|_| !tolerated),
            error: error.filter(|error| !error.is_empty()),
            is_grpc,
            grpc_code: match cause {
                _ if !is_grpc => None,
                Cause::Complete => self.grpc_status.as_ref().map(|(code, _)| name(code)),
                Cause::Dropped(_) if late => Some("DEADLINE_EXCEEDED"),
                Cause::Dropped(_) => Some("CANCELLED"),
                _ => None,
            },
            status: self.answer.map(|answer| answer.status),
            attributes: self.attributes.clone(),
            events: self.events,
            route: self.route,
        });
    }

    /// Reason, `error.type` and message, by the table of reasons.
    fn judge(&self, cause: &Cause) -> (Option<&'static str>, Option<String>, Option<String>) {
        let is_grpc = self.is_grpc;
        let same = |reason: &'static str| (Some(reason), Some(reason.to_owned()), None);
        match (cause, self.verdict) {
            (Cause::Panic, _) => same("panic"),
            (_, Some((reason, message))) => {
                let reason = if reason.is_empty() {
                    "exception"
                } else {
                    reason
                };
                let is_error = reason != "validation_error";
                let error_type = is_error.then(|| reason.to_owned());
                (Some(reason), error_type, Some(message.to_owned()))
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
        let status = self.answer.expect("a complete message has a head").status;
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
        match status {
            ..400 if self.is_grpc && self.script.protocol == "application/grpc" => (
                Some("exception"),
                Some("missing_grpc_status".to_owned()),
                None,
            ),
            400 | 422 => (Some("validation_error"), None, None),
            404 => (Some("client_error"), None, None),
            500.. => (Some("exception"), Some(status.to_string()), None),
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
