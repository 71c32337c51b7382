//! The scenarios: what the client asks and does, and what it and the span must say then.

mod grpc;
mod http;

use std::time::Duration;

use ::http::Method;

use crate::client::{Behaviour, Call, End, Head, Protocol, Seen};
use crate::engine::{PAUSE, TOKENS};

/// All of them: over HTTP, which are told in HTTP/1.1 and in HTTP/2, and over gRPC.
pub(crate) fn all() -> Vec<Scenario> {
    let mut all = http::scenarios();
    all.extend(grpc::scenarios());
    all
}

/// One way in which a request ends.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) asks: Asks,
    pub(crate) client: Behaviour,
    pub(crate) expected: Expected,
    /// Whether its timeline is drawn where not all are.
    pub(crate) is_drawn: bool,
}

/// What the client asks for.
pub(crate) enum Asks {
    Http { method: Method, path: &'static str },
    Grpc(Call),
}

/// What the client must have seen and the span must say.
pub(crate) struct Expected {
    pub(crate) seen: Seen,
    pub(crate) outcome: &'static str,
    pub(crate) status: &'static str,
    /// The code of the response, if the span is to know one.
    pub(crate) code: Option<String>,
    /// How many pauses of the engine the span must cover: ending with the head is too early. With
    /// none, the engine is not asked and the span has no child.
    pub(crate) pauses: u32,
}

impl Expected {
    /// The span lasts at least as long.
    pub(crate) fn at_least(&self) -> Duration {
        PAUSE * self.pauses
    }

    /// How many children the span has.
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
/// Telemetry has failed; the span is ended all the same.
const NO_TERMINAL_EVENT: &str = "no terminal event";

/// The engine's pauses up to the last token, and up to what follows it.
const TO_THE_TOKENS: u32 = TOKENS;
const TO_THE_END: u32 = TOKENS + 1;
impl Scenario {
    /// The protocols it is told in.
    pub(crate) fn protocols(&self) -> &'static [Protocol] {
        match self.asks {
            Asks::Http { .. } => &[Protocol::Http1, Protocol::Http2],
            Asks::Grpc(_) => &[Protocol::Grpc],
        }
    }

    fn new(name: &'static str, asks: Asks) -> Self {
        Self {
            name,
            asks,
            client: Behaviour::Stays,
            expected: Expected {
                seen: Seen::nothing(End::CutOff),
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

    /// What the client sees, with the code that the span knows as well.
    fn sees(mut self, seen: Seen) -> Self {
        self.expected.seen = seen;
        self.expected.code = match seen {
            Seen::Http { head, .. } => head.map(|Head { status, .. }| status.to_string()),
            Seen::Grpc { status, .. } => status.map(|status| status.to_string()),
        };
        self
    }

    /// The span knows another code than the client, or none.
    fn knows(mut self, code: Option<&str>) -> Self {
        self.expected.code = code.map(str::to_owned);
        self
    }

    fn says(mut self, outcome: &'static str, status: &'static str) -> Self {
        self.expected.outcome = outcome;
        self.expected.status = status;
        self
    }

    fn covers(mut self, pauses: u32) -> Self {
        self.expected.pauses = pauses;
        self
    }

    fn drawn(mut self) -> Self {
        self.is_drawn = true;
        self
    }
}
