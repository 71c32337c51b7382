//! The table of scenarios: what the client asks and does, what the server does, what is expected.

use std::time::Duration;

use axum::routing::get;
use http::Method;

use crate::client::{Behaviour, Framing, Seen};
use crate::server::{self, GREETING, PAUSE, Route, STREAM_BYTES, TOKENS};

/// One request.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) method: Method,
    /// Its own, by which the span is found again.
    pub(crate) path: &'static str,
    /// What answers there; `None` leaves it to the router's fallback.
    pub(crate) route: Option<fn() -> Route>,
    pub(crate) client: Behaviour,
    pub(crate) expected: Expected,
}

/// What the client must have seen and the span must say. The status code in the span is the one
/// that the client saw.
pub(crate) struct Expected {
    pub(crate) seen: Seen,
    pub(crate) outcome: &'static str,
    pub(crate) status: &'static str,
    /// The span covers at least the pauses of the stream: ending with the head is too early.
    pub(crate) at_least: Duration,
}

const UNSET: &str = "Unset";
const ERROR: &str = "Error";
const AT_ONCE: Duration = Duration::ZERO;
const ALL_TOKENS: Duration = PAUSE.saturating_mul(TOKENS);
/// The tokens and what follows them.
const ALL_OF_THE_STREAM: Duration = PAUSE.saturating_mul(TOKENS + 1);

pub(crate) static SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "success, whole",
        method: Method::GET,
        path: "/whole",
        route: Some(|| get(server::whole)),
        client: Behaviour::Stays,
        expected: Expected {
            seen: Seen::whole(200, Framing::Length(GREETING.len()), GREETING.len()),
            outcome: "DEPARTED",
            status: UNSET,
            at_least: AT_ONCE,
        },
    },
    Scenario {
        name: "success, streamed",
        method: Method::GET,
        path: "/streamed",
        route: Some(|| get(server::streamed)),
        client: Behaviour::Stays,
        expected: Expected {
            seen: Seen::whole(200, Framing::Chunked, STREAM_BYTES),
            outcome: "DEPARTED",
            status: UNSET,
            at_least: ALL_OF_THE_STREAM,
        },
    },
    Scenario {
        name: "HEAD",
        method: Method::HEAD,
        path: "/head",
        route: Some(|| get(server::whole)),
        client: Behaviour::Stays,
        expected: Expected {
            seen: Seen::whole(200, Framing::NoBody, 0),
            outcome: "DEPARTED",
            status: UNSET,
            at_least: AT_ONCE,
        },
    },
    Scenario {
        name: "Content-Length",
        method: Method::GET,
        path: "/content-length",
        route: Some(|| get(server::content_length)),
        client: Behaviour::Stays,
        expected: Expected {
            seen: Seen::whole(200, Framing::Length(STREAM_BYTES), STREAM_BYTES),
            outcome: "DEPARTED",
            status: UNSET,
            at_least: ALL_TOKENS,
        },
    },
    Scenario {
        name: "404",
        method: Method::GET,
        path: "/nowhere",
        route: None,
        client: Behaviour::Stays,
        expected: Expected {
            seen: Seen::whole(404, Framing::Length(0), 0),
            outcome: "ABORTED(client_error)",
            status: UNSET,
            at_least: AT_ONCE,
        },
    },
    Scenario {
        name: "400",
        method: Method::GET,
        path: "/invalid",
        route: Some(|| get(server::invalid)),
        client: Behaviour::Stays,
        expected: Expected {
            seen: Seen::whole(400, Framing::Length(0), 0),
            outcome: "ABORTED(validation_error)",
            status: UNSET,
            at_least: AT_ONCE,
        },
    },
    Scenario {
        name: "500",
        method: Method::GET,
        path: "/broken",
        route: Some(|| get(server::broken)),
        client: Behaviour::Stays,
        expected: Expected {
            seen: Seen::whole(500, Framing::Length(0), 0),
            outcome: "ABORTED(exception)",
            status: ERROR,
            at_least: AT_ONCE,
        },
    },
    Scenario {
        name: "body error midway",
        method: Method::GET,
        path: "/body-error",
        route: Some(|| get(server::body_error)),
        client: Behaviour::Stays,
        expected: Expected {
            seen: Seen::cut_off(200, Framing::Chunked, STREAM_BYTES),
            outcome: "ABORTED(exception)",
            status: ERROR,
            at_least: ALL_OF_THE_STREAM,
        },
    },
    Scenario {
        name: "handler's verdict",
        method: Method::GET,
        path: "/verdict",
        route: Some(|| get(server::verdict)),
        client: Behaviour::Stays,
        expected: Expected {
            seen: Seen::whole(200, Framing::Chunked, STREAM_BYTES),
            outcome: "ABORTED(generation_error)",
            status: ERROR,
            at_least: ALL_OF_THE_STREAM,
        },
    },
    Scenario {
        name: "client gone before the head",
        method: Method::GET,
        path: "/sleeps",
        route: Some(|| get(server::sleeps)),
        client: Behaviour::LeavesBeforeTheHead,
        expected: Expected {
            seen: Seen::left_before_the_head(),
            outcome: "ABORTED(client_disconnect)",
            status: ERROR,
            at_least: AT_ONCE,
        },
    },
    Scenario {
        name: "client gone midway",
        method: Method::GET,
        path: "/falls-silent",
        route: Some(|| get(server::falls_silent)),
        client: Behaviour::LeavesAfter(STREAM_BYTES),
        expected: Expected {
            seen: Seen::left(200, Framing::Chunked, STREAM_BYTES),
            outcome: "ABORTED(client_disconnect)",
            status: ERROR,
            at_least: ALL_TOKENS,
        },
    },
    Scenario {
        name: "handler panic",
        method: Method::GET,
        path: "/handler-panic",
        route: Some(|| get(server::handler_panic)),
        client: Behaviour::Stays,
        expected: Expected {
            seen: Seen::no_answer(),
            outcome: "ABORTED(panic)",
            status: ERROR,
            at_least: AT_ONCE,
        },
    },
    Scenario {
        name: "body panic",
        method: Method::GET,
        path: "/body-panic",
        route: Some(|| get(server::body_panic)),
        client: Behaviour::Stays,
        expected: Expected {
            seen: Seen::cut_off(200, Framing::Chunked, STREAM_BYTES),
            outcome: "ABORTED(panic)",
            status: ERROR,
            at_least: ALL_OF_THE_STREAM,
        },
    },
];
