//! All paths on which a request ends.

use std::future::{Future, pending, ready};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::Poll;
use std::thread;

use bytes::Bytes;
use http::Response;
use http_body::Body;

use crate::support::body::Step::{self, Data, Error, Panic, Silent, Trailers};
use crate::support::body::{Boom, ScriptedBody, header_map};
use crate::support::{poll, poll_frame, response};

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

impl Path {
    /// What the service does when it has been called.
    pub fn answer(
        &self,
    ) -> Pin<Box<dyn Future<Output = Result<Response<ScriptedBody>, Boom>> + Send>> {
        match self.answer {
            Answer::Head {
                status,
                headers,
                steps,
            } => {
                let mut response = response(status, ScriptedBody::new(steps.iter().cloned()));
                *response.headers_mut() = header_map(headers);
                Box::pin(ready(Ok(response)))
            }
            Answer::Full(bytes) => Box::pin(ready(Ok(response(200, ScriptedBody::full(bytes))))),
            Answer::Fails => Box::pin(ready(Err(Boom))),
            // Not `panic!`, which would run the hook.
            Answer::Panics => resume_unwind(Box::new("the service panics")),
            Answer::PanicsLater => Box::pin(async { resume_unwind(Box::new("the future panics")) }),
            Answer::Never => Box::pin(pending()),
        }
    }

    /// Lets a request end on this path, the last move `elsewhere` in a thread of its own. Returns what
    /// there was to be seen of it.
    pub fn go<F, B>(
        &self,
        call: impl FnOnce() -> F,
        is_elsewhere: bool,
        before: impl Fn(Last) + Sync,
    ) -> Vec<String>
    where
        F: Future<Output = Result<Response<B>, Boom>> + Send,
        B: Body<Data = Bytes, Error = Boom> + Unpin + Send,
    {
        let mut saw = Vec::new();
        let moved = catch_unwind(AssertUnwindSafe(|| {
            self.moves(call, is_elsewhere, &before, &mut saw)
        }));
        if let Err(panic) = moved {
            let text = panic.downcast::<&str>().expect("a panic of the script's");
            saw.push(format!("panic: {text}"));
        }
        saw
    }

    fn moves<F, B>(
        &self,
        call: impl FnOnce() -> F,
        is_elsewhere: bool,
        before: &(impl Fn(Last) + Sync),
        saw: &mut Vec<String>,
    ) where
        F: Future<Output = Result<Response<B>, Boom>> + Send,
        B: Body<Data = Bytes, Error = Boom> + Unpin + Send,
    {
        let mut future = Box::pin(call());
        if matches!(self.answer, Answer::Never) {
            assert!(poll(future.as_mut()).is_pending());
            return self.give_up(future, is_elsewhere, before);
        }
        before(Last::Poll);
        let answered = at(is_elsewhere && self.last == Last::Poll, || {
            poll(future.as_mut())
        });
        let mut body = match answered {
            Poll::Pending => panic!("it answers at once"),
            Poll::Ready(Err(Boom)) => return saw.push("error".to_owned()),
            Poll::Ready(Ok(response)) => {
                saw.push(format!("{} {:?}", response.status(), response.headers()));
                response.into_body()
            }
        };
        saw.push(format!("{:?} {}", body.size_hint(), body.is_end_stream()));
        for _ in 0..self.frames {
            saw.push(format!("{:?}", poll_frame(&mut body)));
        }
        if self.last == Last::Read {
            before(Last::Read);
            at(is_elsewhere, || read(&mut body, saw));
            return;
        }
        self.give_up(body, is_elsewhere, before);
    }

    fn give_up(&self, what: impl Send, is_elsewhere: bool, before: &(impl Fn(Last) + Sync)) {
        before(self.last);
        at(is_elsewhere, || {
            let _what = what;
            if self.last == Last::Unwind {
                resume_unwind(Box::new("it unwinds"));
            }
        });
    }
}

/// Polls a body until nothing more is to be had of it.
fn read<B: Body<Data = Bytes, Error = Boom> + Unpin>(body: &mut B, saw: &mut Vec<String>) {
    while !body.is_end_stream() {
        let polled = poll_frame(body);
        saw.push(format!("{polled:?}"));
        let Poll::Ready(Some(Ok(frame))) = polled else {
            return;
        };
        if frame.is_trailers() {
            return;
        }
    }
}

/// Calls `f` here, or elsewhere: in another thread.
fn at<T: Send>(is_elsewhere: bool, f: impl FnOnce() -> T + Send) -> T {
    if !is_elsewhere {
        return f();
    }
    let done = thread::scope(|scope| scope.spawn(f).join());
    done.unwrap_or_else(|panic| resume_unwind(panic))
}
