//! One exchange along a path, up to the step that ends it.

use std::future::{Future, pending, ready};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::Poll;
use std::thread;

use bytes::Bytes;
use http::Response;
use http_body::Body;

use super::paths::{Answer, Path, Step};
use crate::support::body::{Boom, ScriptedBody, header_map};
use crate::support::{poll, poll_frame, response};

impl Path {
    /// Responds as the path defines.
    pub fn respond(
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

    /// Runs an exchange along this path, its last step in another thread if `is_elsewhere`. Returns what
    /// the server observed.
    pub fn run<F, B>(
        &self,
        call: impl FnOnce() -> F,
        is_elsewhere: bool,
        before: impl Fn(Step) + Sync,
    ) -> Vec<String>
    where
        F: Future<Output = Result<Response<B>, Boom>> + Send,
        B: Body<Data = Bytes, Error = Boom> + Unpin + Send,
    {
        let mut observed = Vec::new();
        let result = catch_unwind(AssertUnwindSafe(|| {
            self.steps(call, is_elsewhere, &before, &mut observed);
        }));
        if let Err(panic) = result {
            let text = panic.downcast::<&str>().expect("a panic of the path");
            observed.push(format!("panic: {text}"));
        }
        observed
    }

    fn steps<F, B>(
        &self,
        call: impl FnOnce() -> F,
        is_elsewhere: bool,
        before: &(impl Fn(Step) + Sync),
        observed: &mut Vec<String>,
    ) where
        F: Future<Output = Result<Response<B>, Boom>> + Send,
        B: Body<Data = Bytes, Error = Boom> + Unpin + Send,
    {
        let mut future = Box::pin(call());
        if matches!(self.answer, Answer::Never) {
            assert!(poll(future.as_mut()).is_pending());
            return self.drop(future, is_elsewhere, before);
        }
        before(Step::Poll);
        let answered = run_in_thread(is_elsewhere && self.last == Step::Poll, || {
            poll(future.as_mut())
        });
        let mut body = match answered {
            Poll::Pending => panic!("the service responds at once"),
            Poll::Ready(Err(Boom)) => return observed.push("error".to_owned()),
            Poll::Ready(Ok(response)) => {
                observed.push(format!("{} {:?}", response.status(), response.headers()));
                response.into_body()
            }
        };
        observed.push(format!("{:?} {}", body.size_hint(), body.is_end_stream()));
        for _ in 0..self.frames {
            observed.push(format!("{:?}", poll_frame(&mut body)));
        }
        if self.last == Step::Read {
            before(Step::Read);
            run_in_thread(is_elsewhere, || read(&mut body, observed));
            return;
        }
        self.drop(body, is_elsewhere, before);
    }

    fn drop(&self, dropped: impl Send, is_elsewhere: bool, before: &(impl Fn(Step) + Sync)) {
        before(self.last);
        run_in_thread(is_elsewhere, || {
            let _dropped = dropped;
            if self.last == Step::Unwind {
                resume_unwind(Box::new("elsewhere"));
            }
        });
    }
}

/// Polls a body to its end or an error.
fn read<B: Body<Data = Bytes, Error = Boom> + Unpin>(body: &mut B, observed: &mut Vec<String>) {
    while !body.is_end_stream() {
        let polled = poll_frame(body);
        observed.push(format!("{polled:?}"));
        let Poll::Ready(Some(Ok(frame))) = polled else {
            return;
        };
        if frame.is_trailers() {
            return;
        }
    }
}

/// Calls `f` in this thread or, if it `is_elsewhere`, in another one.
fn run_in_thread<T: Send>(is_elsewhere: bool, f: impl FnOnce() -> T + Send) -> T {
    if !is_elsewhere {
        return f();
    }
    let done = thread::scope(|scope| scope.spawn(f).join());
    done.unwrap_or_else(|panic| resume_unwind(panic))
}
