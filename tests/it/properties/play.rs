//! A script being played, with the layer and without. The server must observe the same of both, and the
//! oracles receive what it observes.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use tower::Service;

use super::handler::{Handler, Scripted, is_scripted, respond};
use super::oracle::{BodyHints, HandlerCall, Oracle, Polled};
use super::script::{Act, Inner, Script, Thread};
use crate::support::body::{Boom, ScriptedBody};
use crate::support::{poll, poll_frame};

type BoxFuture<B> = Pin<Box<dyn Future<Output = Result<Response<B>, Boom>>>>;

/// What a server holds of one response.
enum Reader<B> {
    Future(BoxFuture<B>),
    Body(Box<B>),
    Gone,
}

impl<B> Reader<B>
where
    B: Body<Data = Bytes, Error = Boom> + Unpin,
{
    fn poll(&mut self) -> Polled {
        let polled = catch_unwind(AssertUnwindSafe(|| match self {
            Self::Future(future) => match poll(future.as_mut()) {
                Poll::Pending => Polled::Pending,
                Poll::Ready(Err(Boom)) => Polled::ServiceError,
                Poll::Ready(Ok(response)) => {
                    let (parts, body) = response.into_parts();
                    *self = Self::Body(Box::new(body));
                    Polled::Head(parts.status.as_u16(), parts.headers)
                }
            },
            Self::Body(body) => polled(&poll_frame(body.as_mut())),
            Self::Gone => unreachable!("the reader has dropped it"),
        }));
        polled.unwrap_or_else(|payload| {
            assert!(is_scripted(&*payload), "the layer panics in a poll");
            Polled::Panic
        })
    }

    fn hints(&self) -> Option<BodyHints> {
        match self {
            Self::Body(body) => Some(BodyHints::from_body(body.as_ref())),
            Self::Future(_) | Self::Gone => None,
        }
    }

    fn is_body(&self) -> bool {
        matches!(self, Self::Body(_))
    }

    fn drop(&mut self, is_unwinding: bool) {
        let dropped = std::mem::replace(self, Self::Gone);
        let dropped = catch_unwind(AssertUnwindSafe(move || {
            let _dropped = dropped;
            if is_unwinding {
                resume_unwind(Box::new("elsewhere"));
            }
        }));
        assert_eq!(dropped.is_err(), is_unwinding, "a panic while dropping");
    }
}

/// Converts the result of a poll of a body.
pub fn polled<E>(polled: &Poll<Option<Result<Frame<Bytes>, E>>>) -> Polled {
    let frame = match polled {
        Poll::Pending => return Polled::Pending,
        Poll::Ready(None) => return Polled::EndOfBody,
        Poll::Ready(Some(Err(_))) => return Polled::BodyError,
        Poll::Ready(Some(Ok(frame))) => frame,
    };
    match (frame.data_ref(), frame.trailers_ref()) {
        (Some(data), _) => Polled::Data(data.clone(), true),
        (_, Some(trailers)) => Polled::Trailers(trailers.clone()),
        _ => unreachable!("a frame is data or trailers"),
    }
}

/// A script being played.
pub struct Play<B> {
    pub script: Arc<Script>,
    /// One for each layer, the inner one first. The handler's calls reach the first.
    pub oracles: Vec<Oracle>,
    pub handler: Handler,
    reader: Reader<B>,
    bare: Reader<ScriptedBody>,
    /// The future has returned and must not be polled again.
    is_future_done: bool,
    /// The body has returned `None`.
    is_exhausted: bool,
    polls: usize,
    started: Instant,
    /// The time from the start to shortly before the drop, if the message was complete by then. No span
    /// is longer. It is measured by the monotonic clock: the wall-clock time of the start can be late.
    pub complete_within: Option<Duration>,
}

impl<B> Play<B>
where
    B: Body<Data = Bytes, Error = Boom> + Unpin,
{
    /// Calls `service`: a scripted service in as many layers as there are oracles.
    pub fn open<S>(
        service: &mut S,
        script: &Arc<Script>,
        mut oracles: Vec<Oracle>,
        mut request: Request<()>,
    ) -> Self
    where
        S: Service<Request<()>, Response = Response<B>, Error = Boom>,
        S::Future: 'static,
    {
        let handler = Handler::default();
        let scripted = Scripted(Arc::clone(script), handler.clone());
        request.extensions_mut().insert(scripted);
        let started = Instant::now();
        let called = catch_unwind(AssertUnwindSafe(|| service.call(request)));
        let (reader, bare) = match called {
            Ok(future) => {
                let bare: BoxFuture<_> = Box::pin(respond(Arc::clone(script), None));
                (Reader::Future(Box::pin(future)), Reader::Future(bare))
            }
            Err(payload) => {
                assert!(is_scripted(&*payload), "the layer panics in its call");
                assert!(matches!(script.service, Inner::PanicsInCall));
                for oracle in &mut oracles {
                    oracle.polled(&Polled::Panic, None);
                }
                (Reader::Gone, Reader::Gone)
            }
        };
        Self {
            script: Arc::clone(script),
            oracles,
            handler,
            reader,
            bare,
            is_future_done: false,
            is_exhausted: false,
            polls: 0,
            started,
            complete_within: None,
        }
    }

    pub fn is_dropped(&self) -> bool {
        matches!(self.reader, Reader::Gone)
    }

    /// Returns how many spans of this request must have ended.
    pub fn ended(&self) -> usize {
        let ended = self.oracles.iter().filter(|one| one.ended().is_some());
        ended.count()
    }

    /// Performs an action, unless the server has dropped everything.
    pub fn act(&mut self, act: &Act) {
        if self.is_dropped() {
            return;
        }
        match act {
            Act::Poll => self.poll(None),
            Act::PollCalling(call) => self.poll(Some(*call)),
            Act::Ask => assert_eq!(self.reader.hints(), self.bare.hints(), "the body's hints"),
            Act::Call(call, thread) => {
                let handler = &self.handler;
                if *thread == Thread::This {
                    handler.perform(*call);
                } else {
                    std::thread::scope(|scope| scope.spawn(|| handler.perform(*call)).join())
                        .expect("no panic");
                }
                self.report(*call);
            }
            Act::Drop => self.drop(false),
            Act::DropUnwinding => self.drop(true),
        }
        let deviations = self.handler.deviations();
        assert!(
            deviations.is_empty(),
            "the current context is not that of the call: {deviations:?}"
        );
    }

    /// Checks what must be true after the drop.
    pub fn check_after_drop(&self) {
        let polls = self.handler.polls();
        assert_eq!(polls, self.polls, "polls of the inner body");
        // Calls after the end must have no effect.
        self.handler.perform(HandlerCall::Abort("too late", ""));
    }

    fn report(&mut self, call: HandlerCall) {
        if let Some(oracle) = self.oracles.first_mut() {
            oracle.call(call);
        }
    }

    fn poll(&mut self, calling: Option<HandlerCall>) {
        let was_body = self.reader.is_body();
        if self.is_future_done && !was_body {
            return;
        }
        if let Some(call) = calling.filter(|_| !self.is_exhausted) {
            self.handler.queue(call);
            self.report(call);
        }
        let polled = self.reader.poll();
        if self.is_exhausted {
            assert_eq!(polled, Polled::EndOfBody, "a poll after None");
            return;
        }
        assert_eq!(polled, self.bare.poll(), "the poll of the bare service");
        let hints = self.bare.hints();
        if was_body {
            self.polls += 1;
            self.is_exhausted = polled == Polled::EndOfBody;
        } else {
            self.is_future_done = polled != Polled::Pending;
        }
        for oracle in &mut self.oracles {
            oracle.polled(&polled, hints);
        }
    }

    fn drop(&mut self, is_unwinding: bool) {
        if let Some(call) = self.script.destructor.filter(|_| self.reader.is_body()) {
            self.report(call);
        }
        let (within, is_open) = (self.started.elapsed(), self.ended() < self.oracles.len());
        // The layer's clock starts later than `started`, by less than this.
        while is_open && self.started.elapsed() < within + Duration::from_micros(20) {}
        self.reader.drop(is_unwinding);
        for oracle in &mut self.oracles {
            oracle.dropped(is_unwinding);
        }
        let is_complete = |one: &Oracle| one.ended().is_some_and(|ended| ended.is_complete);
        self.complete_within = (is_open && self.oracles.iter().all(is_complete)).then_some(within);
    }
}
