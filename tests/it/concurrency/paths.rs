//! All paths on which a request ends.

use crate::support::body::Step::{self, Data, Error, Panic, Silent, Trailers};

pub struct Path {
    pub name: &'static str,
    pub is_call: bool,
    pub answer: Answer,
    /// Frames before the last move.
    pub frames: usize,
    /// The move that ends it.
    pub last: Last,
    /// What it comes to if nobody says anything.
    pub outcome: &'static str,
    /// No verdict outweighs that.
    pub overrules: bool,
}

pub enum Answer {
    Head {
        status: u16,
        headers: &'static [(&'static str, &'static str)],
        steps: &'static [Step],
    },
    /// A body that knows its size.
    Full(usize),
    Fails,
    /// When it is called.
    Panics,
    /// When it is polled.
    PanicsLater,
    Never,
}

#[derive(Clone, Copy, PartialEq)]
pub enum Last {
    /// The service is called.
    Call,
    /// The future is polled.
    Poll,
    /// The body is polled to its end.
    Read,
    /// The future or the body is dropped.
    Drop,
    /// The same by a panic.
    Unwind,
}

const SSE: &[(&str, &str)] = &[("content-type", "text/event-stream")];
const GRPC: &[(&str, &str)] = &[("content-type", "application/grpc")];
const TOLD: &[u8] = b"data: {\"choices\": []}\n\n";
const DONE: &[u8] = b"data: [DONE]\n\n";

const fn path(name: &'static str, answer: Answer, last: Last, outcome: &'static str) -> Path {
    Path {
        name,
        is_call: false,
        answer,
        frames: 0,
        last,
        outcome,
        overrules: false,
    }
}

const fn body(
    name: &'static str,
    steps: &'static [Step],
    frames: usize,
    last: Last,
    outcome: &'static str,
) -> Path {
    headed(name, &[], steps, frames, last, outcome)
}

const fn headed(
    name: &'static str,
    headers: &'static [(&'static str, &'static str)],
    steps: &'static [Step],
    frames: usize,
    last: Last,
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
    path(name, answer, Last::Read, outcome)
}

const fn overruling(path: Path) -> Path {
    Path {
        overrules: true,
        ..path
    }
}

const fn call(path: Path) -> Path {
    Path {
        is_call: true,
        ..path
    }
}

const LEFT: &str = "ABORTED(client_disconnect)";
const FAILED: &str = "ABORTED(exception)";
const PANICKED: &str = "ABORTED(panic)";

pub const PATHS: &[Path] = &[
    overruling(path(
        "the call panics",
        Answer::Panics,
        Last::Call,
        PANICKED,
    )),
    overruling(path(
        "the future panics",
        Answer::PanicsLater,
        Last::Poll,
        PANICKED,
    )),
    path("the service fails", Answer::Fails, Last::Poll, FAILED),
    path("left before the head", Answer::Never, Last::Drop, LEFT),
    overruling(path(
        "unwound before the head",
        Answer::Never,
        Last::Unwind,
        PANICKED,
    )),
    path(
        "a body that is at its end",
        Answer::Full(0),
        Last::Poll,
        "DEPARTED",
    ),
    path("the last frame", Answer::Full(3), Last::Read, "DEPARTED"),
    empty("404", 404, "ABORTED(client_error)"),
    empty("500", 500, FAILED),
    body("none", &[Data(3)], 1, Last::Read, "DEPARTED"),
    body(
        "trailers",
        &[Data(3), Trailers(&[])],
        1,
        Last::Read,
        "DEPARTED",
    ),
    body("an error", &[Data(3), Error], 1, Last::Read, FAILED),
    headed(
        "a terminator",
        SSE,
        &[Step::Bytes(TOLD), Step::Bytes(DONE), Silent],
        1,
        Last::Read,
        "DEPARTED",
    ),
    headed(
        "all delivered",
        &[("content-length", "3")],
        &[Data(3), Silent],
        1,
        Last::Drop,
        "DEPARTED",
    ),
    headed(
        "too short",
        &[("content-length", "5")],
        &[Data(3)],
        1,
        Last::Read,
        "ABORTED(length_mismatch)",
    ),
    body(
        "unread",
        &[Data(3)],
        0,
        Last::Drop,
        "ABORTED(generator_exit)",
    ),
    body("midway", &[Data(3), Silent], 1, Last::Drop, LEFT),
    overruling(body(
        "the body panics",
        &[Data(3), Panic],
        1,
        Last::Read,
        PANICKED,
    )),
    overruling(body(
        "unwound midway",
        &[Data(3), Silent],
        1,
        Last::Unwind,
        PANICKED,
    )),
    call(headed(
        "gRPC OK",
        GRPC,
        &[Data(3), Trailers(&[("grpc-status", "0")])],
        1,
        Last::Read,
        "DEPARTED",
    )),
    call(headed(
        "gRPC INTERNAL",
        GRPC,
        &[Trailers(&[("grpc-status", "13")])],
        0,
        Last::Read,
        FAILED,
    )),
    call(headed(
        "gRPC left",
        GRPC,
        &[Data(3), Silent],
        1,
        Last::Drop,
        LEFT,
    )),
];
