//! All paths on which a request can end.

use crate::support::body::Step as BodyStep;
use crate::support::body::Step::{Bytes, Data, Error, Panic, Silent, Trailers};

pub struct Path {
    pub name: &'static str,
    pub is_grpc: bool,
    pub answer: Answer,
    /// How many frames precede the last step.
    pub frames: usize,
    /// The step that ends it.
    pub last: Step,
    /// The outcome without calls on the handle.
    pub outcome: &'static str,
    /// No verdict changes the outcome.
    pub overrides_verdicts: bool,
}

pub enum Answer {
    Head {
        status: u16,
        headers: &'static [(&'static str, &'static str)],
        steps: &'static [BodyStep],
    },
    /// A body with an exact size hint of so many bytes.
    Full(usize),
    Fails,
    /// In `call`.
    Panics,
    /// In `poll`.
    PanicsLater,
    Never,
}

#[derive(Clone, Copy, PartialEq)]
pub enum Step {
    /// The service is called.
    Call,
    /// The future is polled.
    Poll,
    /// The body is polled to its end.
    Read,
    /// The future or the body is dropped.
    Drop,
    /// The same while a panic unwinds.
    Unwind,
}

const SSE: &[(&str, &str)] = &[("content-type", "text/event-stream")];
const GRPC: &[(&str, &str)] = &[("content-type", "application/grpc")];
const CHUNK: &[u8] = b"data: {\"choices\": []}\n\n";
const DONE: &[u8] = b"data: [DONE]\n\n";

const fn path(name: &'static str, answer: Answer, last: Step, outcome: &'static str) -> Path {
    Path {
        name,
        is_grpc: false,
        answer,
        frames: 0,
        last,
        outcome,
        overrides_verdicts: false,
    }
}

const fn body(
    name: &'static str,
    steps: &'static [BodyStep],
    frames: usize,
    last: Step,
    outcome: &'static str,
) -> Path {
    with_headers(name, &[], steps, frames, last, outcome)
}

const fn with_headers(
    name: &'static str,
    headers: &'static [(&'static str, &'static str)],
    steps: &'static [BodyStep],
    frames: usize,
    last: Step,
    outcome: &'static str,
) -> Path {
    let answer = Answer::Head {
        status: 200,
        headers,
        steps,
    };
    Path {
        frames,
        ..path(name, answer, last, outcome)
    }
}

const fn empty(name: &'static str, status: u16, outcome: &'static str) -> Path {
    let answer = Answer::Head {
        status,
        headers: &[("content-length", "0")],
        steps: &[],
    };
    path(name, answer, Step::Read, outcome)
}

const fn overriding(path: Path) -> Path {
    Path {
        overrides_verdicts: true,
        ..path
    }
}

const fn grpc(path: Path) -> Path {
    Path {
        is_grpc: true,
        ..path
    }
}

const DISCONNECTED: &str = "ABORTED(client_disconnect)";
const FAILED: &str = "ABORTED(exception)";
const PANICKED: &str = "ABORTED(panic)";

pub const PATHS: &[Path] = &[
    overriding(path(
        "the call panics",
        Answer::Panics,
        Step::Call,
        PANICKED,
    )),
    overriding(path(
        "the future panics",
        Answer::PanicsLater,
        Step::Poll,
        PANICKED,
    )),
    path("the service fails", Answer::Fails, Step::Poll, FAILED),
    path(
        "dropped before the head",
        Answer::Never,
        Step::Drop,
        DISCONNECTED,
    ),
    overriding(path(
        "unwound before the head",
        Answer::Never,
        Step::Unwind,
        PANICKED,
    )),
    path("an empty body", Answer::Full(0), Step::Poll, "DEPARTED"),
    path("the last frame", Answer::Full(3), Step::Read, "DEPARTED"),
    empty("404", 404, "ABORTED(client_error)"),
    empty("500", 500, FAILED),
    body("None", &[Data(3)], 1, Step::Read, "DEPARTED"),
    body(
        "trailers",
        &[Data(3), Trailers(&[])],
        1,
        Step::Read,
        "DEPARTED",
    ),
    body("an error", &[Data(3), Error], 1, Step::Read, FAILED),
    with_headers(
        "a terminator",
        SSE,
        &[Bytes(CHUNK), Bytes(DONE), Silent],
        1,
        Step::Read,
        "DEPARTED",
    ),
    with_headers(
        "all bytes delivered",
        &[("content-length", "3")],
        &[Data(3), Silent],
        1,
        Step::Drop,
        "DEPARTED",
    ),
    with_headers(
        "a short body",
        &[("content-length", "5")],
        &[Data(3)],
        1,
        Step::Read,
        "ABORTED(length_mismatch)",
    ),
    body(
        "dropped unread",
        &[Data(3)],
        0,
        Step::Drop,
        "ABORTED(generator_exit)",
    ),
    body(
        "dropped midway",
        &[Data(3), Silent],
        1,
        Step::Drop,
        DISCONNECTED,
    ),
    overriding(body(
        "the body panics",
        &[Data(3), Panic],
        1,
        Step::Read,
        PANICKED,
    )),
    overriding(body(
        "unwound midway",
        &[Data(3), Silent],
        1,
        Step::Unwind,
        PANICKED,
    )),
    grpc(with_headers(
        "gRPC OK",
        GRPC,
        &[Data(3), Trailers(&[("grpc-status", "0")])],
        1,
        Step::Read,
        "DEPARTED",
    )),
    grpc(with_headers(
        "gRPC INTERNAL",
        GRPC,
        &[Trailers(&[("grpc-status", "13")])],
        0,
        Step::Read,
        FAILED,
    )),
    grpc(with_headers(
        "gRPC dropped midway",
        GRPC,
        &[Data(3), Silent],
        1,
        Step::Drop,
        DISCONNECTED,
    )),
];
