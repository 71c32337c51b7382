//! The scenarios: the client's request and behaviour, and the expected results.

mod grpc;
mod http;

use std::fmt;
use std::time::Duration;

use ::http::Method;

use crate::client::{Behaviour, Call, End, Head, Protocol, Seen};
use crate::engine::{PAUSE, TOKENS};

/// Returns all scenarios, over HTTP/1.1 and HTTP/2 and over gRPC.
pub(crate) fn all() -> Vec<Scenario> {
    let mut all = http::scenarios();
    all.extend(grpc::scenarios());
    all
}

/// One way in which a request ends.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) target: Target,
    pub(crate) client: Behaviour,
    pub(crate) expected: Expected,
    /// Whether it is drawn without `--all` and `--only`.
    pub(crate) is_drawn: bool,
}

/// The requested resource.
pub(crate) enum Target {
    Http { method: Method, path: &'static str },
    Grpc(Call),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http { method, path } => write!(f, "{method} {path}"),
            Self::Grpc(call) => write!(f, "{:?}({:?})", call.method, call.service),
        }
    }
}

/// The expected client's view and span.
pub(crate) struct Expected {
    pub(crate) seen: Seen,
    pub(crate) outcome: &'static str,
    pub(crate) status: &'static str,
    /// The status code on the span.
    pub(crate) code: Option<String>,
    /// The number of engine pauses that the span must last: ending with the head is too early. Zero: the
    /// engine does not run, and the span has no child.
    pub(crate) pauses: u32,
}

impl Expected {
    /// Returns the minimal duration of the span.
    pub(crate) fn min_duration(&self) -> Duration {
        PAUSE * self.pauses
    }

    /// Returns the number of child spans.
    pub(crate) fn children(&self) -> usize {
        usize::from(self.pauses > 0)
    }
}

const UNSET: &str = "Unset";
const ERROR: &str = "Error";
const DEPARTED: &str = "DEPARTED";
const CLIENT_DISCONNECT: &str = "ABORTED(client_disconnect)";
const CLIENT_ERROR: &str = "ABORTED(client_error)";
const EXCEPTION: &str = "ABORTED(exception)";
const GENERATION_ERROR: &str = "ABORTED(generation_error)";
const PANIC: &str = "ABORTED(panic)";
const VALIDATION_ERROR: &str = "ABORTED(validation_error)";
/// The tracing code panicked; the span is still ended.
const NO_TERMINAL_EVENT: &str = "no terminal event";

/// The engine's pauses up to the last token, and up to the end of the stream.
const TO_THE_TOKENS: u32 = TOKENS;
const TO_THE_END: u32 = TOKENS + 1;

impl Scenario {
    /// Returns the protocols in which the scenario runs.
    pub(crate) fn protocols(&self) -> &'static [Protocol] {
        match self.target {
            Target::Http { .. } => &[Protocol::Http1, Protocol::Http2],
            Target::Grpc(_) => &[Protocol::Grpc],
        }
    }

    /// Whether its name or target has this text.
    pub(crate) fn matches(&self, text: &str) -> bool {
        format!("{} {}", self.name, self.target).contains(text)
    }

    fn new(name: &'static str, target: Target) -> Self {
        Self {
            name,
            target,
            client: Behaviour::ReadsAll,
            expected: Expected {
                seen: Seen::no_response(End::CutOff),
                outcome: DEPARTED,
                status: UNSET,
                code: None,
                pauses: 0,
            },
            is_drawn: false,
        }
    }

    fn client(mut self, client: Behaviour) -> Self {
        self.client = client;
        self
    }

    /// Sets the client's view, whose status code is also expected on the span.
    fn client_sees(mut self, seen: Seen) -> Self {
        self.expected.seen = seen;
        self.expected.code = match seen {
            Seen::Http { head, .. } => head.map(|Head { status, .. }| status.to_string()),
            Seen::Grpc { status, .. } => status.map(|status| status.to_string()),
        };
        self
    }

    /// Sets the span's status code where it differs from the client's.
    fn span_code(mut self, code: Option<&str>) -> Self {
        self.expected.code = code.map(str::to_owned);
        self
    }

    fn span_has(mut self, outcome: &'static str, status: &'static str) -> Self {
        self.expected.outcome = outcome;
        self.expected.status = status;
        self
    }

    fn span_lasts(mut self, pauses: u32) -> Self {
        self.expected.pauses = pauses;
        self
    }

    fn drawn(mut self) -> Self {
        self.is_drawn = true;
        self
    }
}
