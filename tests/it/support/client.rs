//! What a client observes of a response, to compare a traced service with the bare one.

use std::fmt::Debug;
use std::future::Ready;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower::{Service, service_fn};

use super::body::Step::{self, Data, Error, Panic, Pending, Trailers};
use super::body::{Boom, ScriptedBody};
use super::{poll, poll_frame, response};

/// One request and its response: what the service answers, and how much of it the client reads.
#[derive(Clone, Debug)]
pub struct Exchange {
    pub name: &'static str,
    /// The head's status; `None` if the service fails.
    status: Option<u16>,
    steps: Vec<Step>,
    polls: usize,
    /// The outcome of its span, unless the tracing code panics.
    pub outcome: &'static str,
}

impl Exchange {
    /// Returns one exchange for each kind of end.
    pub fn all() -> Vec<Self> {
        let trailers = Trailers(&[("server-timing", "total")]);
        let exchange = |name, status, steps: &[Step], polls, outcome| Self {
            name,
            status,
            steps: steps.to_vec(),
            polls,
            outcome,
        };
        vec![
            exchange(
                "whole",
                Some(200),
                &[Data(3), Pending, Data(2)],
                5,
                "DEPARTED",
            ),
            exchange("trailers", Some(200), &[Data(3), trailers], 3, "DEPARTED"),
            exchange("500", Some(500), &[Data(3)], 3, "ABORTED(exception)"),
            exchange(
                "body error",
                Some(200),
                &[Data(3), Error],
                2,
                "ABORTED(exception)",
            ),
            exchange(
                "body panic",
                Some(200),
                &[Data(3), Panic],
                2,
                "ABORTED(panic)",
            ),
            exchange("service error", None, &[], 0, "ABORTED(exception)"),
            exchange(
                "unread",
                Some(200),
                &[Data(3)],
                0,
                "ABORTED(generator_exit)",
            ),
            exchange(
                "dropped",
                Some(200),
                &[Data(3)],
                1,
                "ABORTED(client_disconnect)",
            ),
        ]
    }

    /// Returns a service that calls `handler` and then answers as scripted.
    pub fn service<H: FnMut(&Request<()>)>(
        &self,
        mut handler: H,
    ) -> impl Service<
        Request<()>,
        Response = Response<ScriptedBody>,
        Error = Boom,
        Future = Ready<Result<Response<ScriptedBody>, Boom>>,
    > + use<H> {
        let Self { status, steps, .. } = self.clone();
        service_fn(move |request| {
            handler(&request);
            let body = ScriptedBody::new(steps.clone());
            std::future::ready(status.map(|status| response(status, body)).ok_or(Boom))
        })
    }

    /// Returns what a client observes of the response, one line for each frame.
    pub fn seen<S, B>(&self, service: &mut S, request: Request<()>) -> Vec<String>
    where
        S: Service<Request<()>, Response = Response<B>>,
        S::Error: Debug,
        B: Body<Data = Bytes> + Unpin,
        B::Error: Debug,
    {
        let mut seen = Vec::new();
        let caught = catch_unwind(AssertUnwindSafe(|| {
            let mut future = Box::pin(service.call(request));
            let (parts, mut body) = match poll(future.as_mut()) {
                Poll::Pending => panic!("the service answers at once"),
                Poll::Ready(Err(error)) => return seen.push(format!("error {error:?}")),
                Poll::Ready(Ok(response)) => response.into_parts(),
            };
            drop(future);
            seen.push(format!("{} {:?}", parts.status, parts.headers));
            for _ in 0..self.polls {
                let frame = poll_frame(&mut body);
                let (hint, ended) = (body.size_hint(), body.is_end_stream());
                seen.push(format!("{frame:?}, then {hint:?} {ended}"));
            }
        }));
        if let Err(payload) = caught {
            seen.push(format!("panic {:?}", payload.downcast_ref::<&str>()));
            // Its destructor may panic.
            std::mem::forget(payload);
        }
        seen
    }
}
