//! What an end means: reason, error, status code and log event.

use std::collections::BTreeSet;

use http::Version;

use super::grpc::Status;
use super::{Framing, Oracle, Summary, Verdict};

/// What ended an exchange.
#[derive(Debug)]
pub(super) enum Cause {
    /// The message is complete.
    Complete,
    /// The message is complete, but the stream in it is not.
    Truncated,
    /// The body has ended with another length than declared: the message for that.
    Mismatch(String),
    /// The service or the body returned an error.
    Error,
    /// The future or the body was dropped, with this reason.
    Dropped(&'static str),
    Panic,
}

/// How an exchange ended.
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
#[derive(Clone, Debug, PartialEq)]
pub struct Ended {
    /// The reason of `ABORTED`; `DEPARTED` has none.
    pub reason: Option<&'static str>,
    pub error_type: Option<String>,
    pub error: Option<String>,
    /// `api.error.code`.
    pub error_code: Option<String>,
    /// The message was delivered completely.
    pub is_complete: bool,
    /// The exchange is recorded as an RPC and not as HTTP.
    pub is_grpc: bool,
    pub grpc_code: Option<&'static str>,
    /// `http.response.status_code`, if it is recorded.
    pub status: Option<u16>,
    /// The status of the head.
    pub head_status: Option<u16>,
    /// The size of the request's body, if the request is HTTP.
    pub request_bytes: Option<u64>,
    /// The bytes of the response's body, if the request is HTTP and there was a head.
    pub response_bytes: Option<u64>,
    /// The response is a stream.
    pub is_stream: bool,
    /// The names of all events, in order.
    pub events: Vec<&'static str>,
    /// How many events of the handler were not kept.
    pub dropped_events: usize,
    /// How many attributes of the handler were not kept.
    pub dropped_attributes: usize,
    /// The attributes that the handler set, in order.
    pub attributes: Vec<(&'static str, &'static str)>,
    /// The attributes that the handler set for metrics, in order.
    pub metric_attributes: Vec<(&'static str, &'static str)>,
    pub route: Option<&'static str>,
    pub has_head: bool,
    pub has_first_byte: bool,
    pub has_first_chunk: bool,
    /// gRPC: this response or an earlier one shows that the server has the method.
    pub is_known_method: bool,
    pub exception: Option<Exception>,
    /// What the body says of itself, where that is recorded.
    pub summary: Summary,
    /// `summary` is not to be compared: see `llm::Reading::is_mixed`.
    pub is_summary_open: bool,
    /// Nothing is to be compared: see `llm::Reading`.
    pub is_unknown: bool,
}

impl Ended {
    /// Returns the outcome as `DEPARTED` or `ABORTED(reason)`.
    pub fn outcome(&self) -> String {
        match self.reason {
            None => "DEPARTED".to_owned(),
            Some(reason) => format!("ABORTED({reason})"),
        }
    }
}

/// The log event of an end that is not described by a status alone.
#[derive(Clone, Debug, PartialEq)]
pub struct Exception {
    /// Its severity is Error, and else Debug.
    pub is_error: bool,
    /// `exception.type`; `None` is the Rust type of the error.
    pub kind: Option<&'static str>,
}

/// A row of the table of reasons: reason, `error.type` and message.
type Row = (Option<&'static str>, Option<String>, Option<String>);

impl Oracle {
    pub(super) fn end(&mut self, cause: &Cause) {
        if self.ended.is_some() {
            return;
        }
        let disconnect = Cause::Dropped("client_disconnect");
        let is_complete = |cause: &_| matches!(cause, Cause::Complete | Cause::Truncated);
        let is_whole = is_complete(cause) && self.was_whole_before;
        let is_panic = matches!(cause, Cause::Panic);
        let cause = if self.is_request_cut_off && !is_panic && !is_whole {
            &disconnect
        } else {
            cause
        };
        if let Some(description) = self.error_status {
            self.set_verdict("exception", Some(description.to_owned()));
        }
        let (reason, error_type, error) = self.judge(cause);
        let is_disconnect = matches!(reason, Some("client_disconnect" | "generator_exit"));
        let is_allowed = is_disconnect && self.allows_disconnect && self.verdict.is_none();
        let error_type = error_type.filter(|_| !is_allowed);
        let grpc_code = self.grpc_code(cause);
        let error_code = match (cause, &self.verdict) {
            (Cause::Panic, _) | (_, None) => None,
            (_, Some(verdict)) => verdict.code.clone(),
        };
        let has_first_response = self.add_first_response();
        let mut events = self.events.clone();
        events.push(match reason {
            None => "api.DEPARTED",
            Some(_) => "api.ABORTED",
        });
        let status = self.head.as_ref().map(|head| head.status);
        self.ended = Some(Ended {
            exception: self.exception(cause, reason, error_type.is_some()),
            reason,
            error_type,
            error,
            error_code,
            is_complete: is_complete(cause),
            is_grpc: self.is_grpc,
            grpc_code,
            status: status.filter(|status| !self.is_grpc || *status != 200),
            head_status: status,
            request_bytes: self.request.size().filter(|_| !self.is_grpc_request()),
            response_bytes: status
                .filter(|_| !self.is_grpc_request())
                .map(|_| self.delivered),
            is_stream: self.is_stream,
            metric_attributes: self.metric_attributes.clone(),
            events,
            dropped_events: self.dropped_events,
            dropped_attributes: self.dropped_attributes(),
            attributes: self.attributes.clone(),
            route: self.route,
            has_head: self.head.is_some(),
            has_first_byte: self.delivered > 0,
            has_first_chunk: has_first_response && self.has_chunks(),
            summary: self.summary(),
            is_summary_open: self.reading.is_mixed,
            is_unknown: self.reading.is_unknown,
            is_known_method: self.is_method_learnt || self.is_known_method(cause, grpc_code),
        });
    }

    /// Whether the body is a stream of which the first chunk is known: not lines of no known format.
    fn has_chunks(&self) -> bool {
        match self.stream() {
            Some(Framing::Events) => true,
            Some(_) => self.reading.format.is_some(),
            None => false,
        }
    }

    /// Returns what is recorded of what the body says of itself.
    fn summary(&self) -> Summary {
        let is_error = self.head.as_ref().is_none_or(|head| head.status >= 400);
        if is_error || !self.settings.reads_attributes {
            return Summary::default();
        }
        self.reading.summary.clone()
    }

    /// Counts the handler's keys that are the layer's, and the attributes without a key.
    fn dropped_attributes(&self) -> usize {
        let is_refused = |key: &&str| match *key {
            "api.outcome" | "error.type" | "http.response.status_code" => true,
            "url.path" => !self.is_grpc,
            "http.route" => !self.is_grpc && self.route.is_some(),
            _ => false,
        };
        let keys: BTreeSet<_> = self.attributes.iter().map(|(key, _)| *key).collect();
        keys.into_iter().filter(is_refused).count() + self.unnamed_attributes
    }

    fn grpc_code(&self, cause: &Cause) -> Option<&'static str> {
        match cause {
            _ if !self.is_grpc => None,
            Cause::Complete => self.grpc_status.as_ref().map(|status| status.name),
            Cause::Dropped(_) if self.is_late => Some("DEADLINE_EXCEEDED"),
            Cause::Dropped(_) => Some("CANCELLED"),
            Cause::Truncated | Cause::Mismatch(_) | Cause::Error | Cause::Panic => None,
        }
    }

    /// A message proves that the method exists; without one, only the status OK does.
    fn is_known_method(&self, cause: &Cause, code: Option<&str>) -> bool {
        if self.head.as_ref().is_none_or(|head| head.status != 200) {
            return false;
        }
        let has_message = self.is_native_grpc() && self.delivered > 0;
        match (cause, code) {
            (Cause::Complete | Cause::Truncated, Some(code)) => code == "OK" || has_message,
            (Cause::Complete | Cause::Truncated, None) | (Cause::Mismatch(_), _) => false,
            (Cause::Error | Cause::Dropped(_) | Cause::Panic, _) => has_message,
        }
    }

    fn exception(
        &self,
        cause: &Cause,
        reason: Option<&'static str>,
        is_error: bool,
    ) -> Option<Exception> {
        let is_disconnect = matches!(cause, Cause::Dropped(_))
            && matches!(reason, Some("client_disconnect" | "generator_exit"));
        let is_by_verdict = self.verdict.is_some() && !matches!(cause, Cause::Panic);
        let is_by_status = matches!(cause, Cause::Complete) && !is_by_verdict;
        let is_by_error = matches!(cause, Cause::Error) && !is_by_verdict;
        (is_disconnect || is_error && !is_by_status).then(|| Exception {
            is_error: !is_disconnect,
            kind: reason.filter(|_| !is_by_error),
        })
    }

    /// Returns the row of the table of reasons that applies.
    fn judge(&self, cause: &Cause) -> Row {
        let same = |reason: &'static str, message| (Some(reason), Some(reason.to_owned()), message);
        match (cause, &self.verdict) {
            (Cause::Panic, _) => same("panic", None),
            (
                _,
                Some(Verdict {
                    reason, message, ..
                }),
            ) => match *reason {
                "" => same("exception", message.clone()),
                "validation_error" => (Some(reason), None, message.clone()),
                reason => same(reason, message.clone()),
            },
            (Cause::Error, _) => same("exception", Some("boom".to_owned())),
            (Cause::Mismatch(message), _) => same("length_mismatch", Some(message.clone())),
            (Cause::Dropped(_), _) if self.is_grpc && self.is_late => (
                Some("deadline_exceeded"),
                Some("DEADLINE_EXCEEDED".to_owned()),
                None,
            ),
            (Cause::Dropped(_), _) if self.is_grpc => (Some("client_disconnect"), None, None),
            (Cause::Dropped(reason), _) => same(reason, None),
            (Cause::Truncated, _) => same("truncated_stream", None),
            (Cause::Complete, _) => match &self.grpc_status {
                Some(status) if self.is_grpc => judge_grpc_status(status),
                _ => self.judge_http_status(),
            },
        }
    }

    fn judge_http_status(&self) -> Row {
        let head = self.head.as_ref().expect("a complete message has a head");
        let (reason, error_type) = match head.status {
            ..400 if self.is_native_grpc() => {
                (Some("exception"), Some("missing_grpc_status".to_owned()))
            }
            101 if self.version == Version::HTTP_11 => (None, None),
            400 | 413 | 414 | 415 | 422 | 431 => (Some("validation_error"), None),
            401..500 => (Some("client_error"), None),
            status @ (..200 | 500..) => (Some("exception"), Some(status.to_string())),
            _ => (None, None),
        };
        (reason, error_type, None)
    }
}

fn judge_grpc_status(status: &Status) -> Row {
    let message = status.message.clone();
    match status.name {
        "OK" => (None, None, None),
        "CANCELLED" => (Some("client_disconnect"), None, message),
        "INVALID_ARGUMENT" | "OUT_OF_RANGE" | "FAILED_PRECONDITION" => {
            (Some("validation_error"), None, message)
        }
        "UNKNOWN" | "DEADLINE_EXCEEDED" | "UNIMPLEMENTED" | "INTERNAL" | "UNAVAILABLE"
        | "DATA_LOSS" => (Some("exception"), Some(status.name.to_owned()), message),
        _ => (Some("client_error"), None, message),
    }
}
