//! The moves by which a request comes to its end.

use std::future::{Future, pending, ready};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::Poll;
use std::thread;

use bytes::Bytes;
use http::Response;
use http_body::Body;

use super::paths::{Answer, Last, Path};
use crate::support::body::{Boom, ScriptedBody, header_map};
use crate::support::{poll, poll_frame, response};

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
            self.moves(call, is_elsewhere, &before, &mut saw);
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
