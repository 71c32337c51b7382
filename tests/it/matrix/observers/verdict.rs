//! How a response ended, by the log of the outer observer alone. The rules are those of RFC 9110 and 9112, of gRPC, and
//! of `docs/guide/endings.md`. They share no code with `src/`.

use std::time::Duration;

use http::{HeaderMap, StatusCode};

use super::event::{Event, State};
use super::exchange::Entry;

/// How a response ended.
#[derive(Debug, PartialEq)]
pub struct Verdict {
    /// `DEPARTED`, or `ABORTED(reason)`.
    pub outcome: String,
    /// The `error.type`.
    pub error_type: Option<String>,
    /// The gRPC code's name.
    pub code: Option<&'static str>,
    /// The status of the head.
    pub status: Option<u16>,
    /// The number of the event that decided.
    pub decided_by: usize,
}

const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// A deadline may pass so much earlier at the server, whose timer starts before the layer is called.
const TOLERANCE: Duration = Duration::from_millis(2);

/// Returns the verdict. Panics if the log has no end: each request must be dropped at the latest.
pub fn reach_verdict(log: &[Entry]) -> Verdict {
    let mut response = Response::default();
    for (number, entry) in log.iter().enumerate() {
        if let Some((reason, error_type)) = response.observe(entry) {
            let outcome = reason.map_or("DEPARTED".to_owned(), |it| format!("ABORTED({it})"));
            return Verdict {
                outcome,
                error_type,
                code: response.code,
                status: response.head.map(|head| head.0.as_u16()),
                decided_by: number,
            };
        }
    }
    panic!("the response never ended: {log:?}");
}

/// The reason of an abort, and the `error.type`.
type Ending = (Option<&'static str>, Option<String>);

fn failed(reason: &'static str) -> Ending {
    (Some(reason), Some(reason.to_owned()))
}

/// What is known of a response.
#[derive(Default)]
struct Response {
    request: String,
    head: Option<(StatusCode, HeaderMap, State)>,
    code: Option<&'static str>,
    bytes: u64,
    was_polled: bool,
}

impl Response {
    fn observe(&mut self, Entry { event, after, .. }: &Entry) -> Option<Ending> {
        match event {
            Event::Called(request) => {
                request.clone_into(&mut self.request);
                return None;
            }
            Event::EndStream(_) => return None,
            Event::Panicked | Event::Dropped { is_unwinding: true } => {
                return Some(failed("panic"));
            }
            Event::ServiceError(_) | Event::BodyError(_) => return Some(failed("exception")),
            Event::Head(status, headers, state) => {
                self.head = Some((*status, headers.clone(), *state));
                let has_no_body = self.is_without_body(*status) && !self.is_grpc();
                return (has_no_body || state.is_end_stream).then(|| self.complete(headers));
            }
            _ => {}
        }
        self.was_polled |= self.head.is_some() && !matches!(event, Event::Dropped { .. });
        match event {
            Event::Data(data, state) => {
                self.bytes += data.len() as u64;
                state
                    .is_end_stream
                    .then(|| self.complete(&HeaderMap::new()))
            }
            Event::Trailers(trailers, _) => Some(self.complete(trailers)),
            Event::End => Some(self.complete(&HeaderMap::new())),
            Event::Dropped { .. } => Some(self.left(*after)),
            _ => None,
        }
    }

    /// RFC 9110, 6.4.1: which responses have no content.
    fn is_without_body(&self, status: StatusCode) -> bool {
        self.request.starts_with("HEAD ")
            || matches!(status.as_u16(), 101 | 204 | 304)
            || (self.request.starts_with("CONNECT ") && status.is_success())
    }

    fn is_grpc(&self) -> bool {
        let is_grpc = |headers: &HeaderMap| {
            let kind = headers.get("content-type");
            kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
        };
        self.is_grpc_request()
            && self
                .head
                .as_ref()
                .is_none_or(|(_, headers, _)| is_grpc(headers))
    }

    fn is_grpc_request(&self) -> bool {
        self.request.starts_with("POST ") && self.request.contains("\"application/grpc\"")
    }

    /// The length of the message: its Content-Length, else the size that the body reports with the head.
    fn declared(&self) -> Option<u64> {
        let (_, headers, state) = self.head.as_ref()?;
        let length = headers.get("content-length");
        let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
        length.or(state.exact_size)
    }

    /// The message is complete. `trailers` are those of the body, or the headers of a response without one.
    fn complete(&mut self, trailers: &HeaderMap) -> Ending {
        let (status, headers, _) = self.head.as_ref().expect("a head");
        let status = *status;
        if self.is_grpc() {
            let code = trailers.get("grpc-status").or(headers.get("grpc-status"));
            let code = code.and_then(|code| code.to_str().ok()?.parse::<usize>().ok());
            self.code = code.map(|code| CODES[code]);
            return self.grpc();
        }
        let declared = self.declared();
        let has_body = !self.is_without_body(status);
        if has_body && declared.is_some_and(|declared| declared != self.bytes) {
            return failed("length_mismatch");
        }
        match status.as_u16() {
            400 | 413 | 414 | 415 | 422 | 431 => (Some("validation_error"), None),
            400..500 => (Some("client_error"), None),
            101 | 200..400 => (None, None),
            other => (Some("exception"), Some(other.to_string())),
        }
    }

    fn grpc(&self) -> Ending {
        let Some(code) = self.code else {
            return (Some("exception"), Some("missing_grpc_status".to_owned()));
        };
        match code {
            "OK" => (None, None),
            "CANCELLED" => (Some("client_disconnect"), None),
            "INVALID_ARGUMENT" | "OUT_OF_RANGE" | "FAILED_PRECONDITION" => {
                (Some("validation_error"), None)
            }
            "UNKNOWN" | "DEADLINE_EXCEEDED" | "UNIMPLEMENTED" | "INTERNAL" | "UNAVAILABLE"
            | "DATA_LOSS" => (Some("exception"), Some(code.to_owned())),
            _ => (Some("client_error"), None),
        }
    }

    /// The server dropped the response after this time.
    fn left(&mut self, after: Duration) -> Ending {
        if self.is_grpc() {
            if grpc_timeout(&self.request).is_some_and(|timeout| after + TOLERANCE >= timeout) {
                self.code = Some("DEADLINE_EXCEEDED");
                return (Some("deadline_exceeded"), self.code.map(str::to_owned));
            }
            self.code = Some("CANCELLED");
            return (Some("client_disconnect"), None);
        }
        if self.head.is_some() {
            match self.declared() {
                Some(declared) if declared == self.bytes => {
                    return self.complete(&HeaderMap::new());
                }
                Some(declared) if declared < self.bytes => return failed("length_mismatch"),
                _ if !self.was_polled => return failed("generator_exit"),
                _ => {}
            }
        }
        failed("client_disconnect")
    }
}

/// Returns the caller's timeout. The tests send milliseconds.
fn grpc_timeout(request: &str) -> Option<Duration> {
    let (_, rest) = request.split_once("\"grpc-timeout\": \"")?;
    let (millis, _) = rest.split_once("m\"")?;
    Some(Duration::from_millis(millis.parse().expect("milliseconds")))
}
