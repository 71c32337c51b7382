//! What an end means: outcome, attributes, measurement and log event.

use super::{Cause, Ended, Exception, Model};

impl Model {
    pub(super) fn end(&mut self, cause: &Cause) {
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
            is_complete: matches!(cause, Cause::Complete),
            is_grpc,
            grpc_code,
            status: self.answer().map(|answer| answer.status),
            attributes: self.attributes.clone(),
            events: self.events,
            route: self.route,
            first_response: self.first_response,
            is_known_method: match (cause, grpc_code) {
                (Cause::Complete, Some(code)) => {
                    code == "OK" || has_message && code != "UNIMPLEMENTED"
                }
                (Cause::Complete, None) | (Cause::Mismatch(_), _) => false,
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
                "1" => (Some("client_disconnect"), None, message),
                "3" | "9" | "11" => (Some("validation_error"), None, message),
                "5" | "6" | "7" | "8" | "10" | "16" => (Some("client_error"), None, message),
                code => (Some("exception"), Some(name(code).to_owned()), message),
            };
        }
        match answer.status {
            ..400 if self.is_grpc && self.script.protocol == "application/grpc" => (
                Some("exception"),
                Some("missing_grpc_status".to_owned()),
                None,
            ),
            400 | 413 | 414 | 415 | 422 | 431 => (Some("validation_error"), None, None),
            401..500 => (Some("client_error"), None, None),
            status @ 500.. => (Some("exception"), Some(status.to_string()), None),
            _ => (None, None, None),
        }
    }
}

fn name(code: &str) -> &'static str {
    match code {
        "0" => "OK",
        "1" => "CANCELLED",
        "3" => "INVALID_ARGUMENT",
        "4" => "DEADLINE_EXCEEDED",
        "5" => "NOT_FOUND",
        "6" => "ALREADY_EXISTS",
        "7" => "PERMISSION_DENIED",
        "8" => "RESOURCE_EXHAUSTED",
        "9" => "FAILED_PRECONDITION",
        "10" => "ABORTED",
        "11" => "OUT_OF_RANGE",
        "12" => "UNIMPLEMENTED",
        "13" => "INTERNAL",
        "14" => "UNAVAILABLE",
        "15" => "DATA_LOSS",
        "16" => "UNAUTHENTICATED",
        _ => "UNKNOWN",
    }
}
