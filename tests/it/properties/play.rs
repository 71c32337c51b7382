//! A request being played by its script, with the layer and without: what the reader sees must be
//! the same, and the models are told of it.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame};
use tower::Service;

use super::actor::{Handler, Role, inner, is_scripted, say};
use super::model::{Model, Saw};
use super::script::{Act, Call, Inner, Script, Thread};
use crate::support::body::{Boom, ScriptedBody};
use crate::support::{poll, poll_frame};

type BoxFuture<B> = Pin<Box<dyn Future<Output = Result<Response<B>, Boom>>>>;

/// What a reader has of one response.
enum Reader<B> {
    Future(BoxFuture<B>),
    Body(Box<B>),
    Gone,
}

/// What a reader sees when it asks.
#[derive(Debug, PartialEq)]
struct Asked(bool, u64, Option<u64>);

impl<B> Reader<B>
where
    B: Body<Data = Bytes, Error = Boom> + Unpin,
{
    fn poll(&mut self) -> (Saw, Option<(u16, HeaderMap)>) {
        let seen = catch_unwind(AssertUnwindSafe(|| match self {
            Self::Future(future) => match poll(future.as_mut()) {
                Poll::Pending => (Saw::Pending, None),
                Poll::Ready(Err(Boom)) => (Saw::ServiceError, None),
                Poll::Ready(Ok(response)) => {
                    let (parts, body) = response.into_parts();
                    *self = Self::Body(Box::new(body));
                    (Saw::Head, Some((parts.status.as_u16(), parts.headers)))
                }
            },
            Self::Body(body) => (seen_of(&poll_frame(body.as_mut())), None),
            Self::Gone => unreachable!("nothing is left to poll"),
        }));
        seen.unwrap_or_else(|payload| {
            assert!(is_scripted(&*payload), "the layer panics in a poll");
            (Saw::Panic, None)
        })
    }

    fn ask(&self) -> Option<Asked> {
        match self {
            Self::Body(body) => {
                let hint = body.size_hint();
                Some(Asked(body.is_end_stream(), hint.lower(), hint.upper()))
            }
            Self::Future(_) | Self::Gone => None,
        }
    }

    fn is_body(&self) -> bool {
        matches!(self, Self::Body(_))
    }

    fn drop(&mut self, unwinding: bool) {
        let dropped = std::mem::replace(self, Self::Gone);
        let dropped = catch_unwind(AssertUnwindSafe(move || {
            let _dropped = dropped;
            if unwinding {
                resume_unwind(Box::new("elsewhere"));
            }
        }));
        assert_eq!(dropped.is_err(), unwinding, "a panic while dropping");
    }
}

/// What a poll of a body has given.
pub fn seen_of<E>(polled: &Poll<Option<Result<Frame<Bytes>, E>>>) -> Saw {
    let frame = match polled {
        Poll::Pending => return Saw::Pending,
        Poll::Ready(None) => return Saw::None,
        Poll::Ready(Some(Err(_))) => return Saw::Error,
        Poll::Ready(Some(Ok(frame))) => frame,
    };
    match (frame.data_ref(), frame.trailers_ref()) {
        (Some(data), _) => Saw::Data(data.clone()),
        (_, Some(trailers)) => Saw::Trailers(
            trailers
                .iter()
                .map(|(name, value)| {
                    let value = value.to_str().expect("text");
                    (name.to_string(), value.to_owned())
                })
                .collect(),
        ),
        _ => unreachable!("a frame is data or trailers"),
    }
}

/// A script being played.
pub struct Play<B> {
    pub script: Arc<Script>,
    /// Of the spans of this request, the inner one first, which hears the handler.
    pub models: Vec<Model>,
    pub handler: Handler,
    reader: Reader<B>,
    bare: Reader<ScriptedBody>,
    /// The future has given something, and may not be polled again.
    done: bool,
    /// The body has given `None`.
    exhausted: bool,
    polls: usize,
    began: Instant,
    /// How long it took until shortly before the drop, if all had been handed on by then: no span is longer. (By
    /// this clock, since the wall clock's time of a start may be late.)
    pub whole_within: Option<Duration>,
}

impl<B> Play<B>
where
    B: Body<Data = Bytes, Error = Boom> + Unpin,
{
    /// Calls `service`, in which an [`actor`] is in as many layers as there are models.
    pub fn open<S>(
        service: &mut S,
        script: &Arc<Script>,
        mut models: Vec<Model>,
        mut request: Request<()>,
    ) -> Self
    where
        S: Service<Request<()>, Response = Response<B>, Error = Boom>,
        S::Future: 'static,
    {
        let handler = Handler::default();
        let role = Role(Arc::clone(script), handler.clone());
        request.extensions_mut().insert(role);
        let began = Instant::now();
        let called = catch_unwind(AssertUnwindSafe(|| service.call(request)));
        let (reader, bare) = match called {
            Ok(future) => {
                let bare: BoxFuture<_> = Box::pin(inner(Arc::clone(script), None));
                (Reader::Future(Box::pin(future)), Reader::Future(bare))
            }
            Err(payload) => {
                assert!(is_scripted(&*payload), "the layer panics in its call");
                assert!(matches!(script.service, Inner::PanicsInCall));
                for model in &mut models {
                    model.polled_future(&Saw::Panic, false);
                }
                (Reader::Gone, Reader::Gone)
            }
        };
        Self {
            script: Arc::clone(script),
            models,
            handler,
            reader,
            bare,
            done: false,
            exhausted: false,
            polls: 0,
            began,
            whole_within: None,
        }
    }

    pub fn is_over(&self) -> bool {
        matches!(self.reader, Reader::Gone)
    }

    /// How many spans of this request have ended.
    pub fn ended(&self) -> usize {
        let ended = self.models.iter().filter(|model| model.ended().is_some());
        ended.count()
    }

    /// Does this, if anything is left of the request.
    pub fn act(&mut self, act: &Act) {
        if self.is_over() {
            return;
        }
        match act {
            Act::Poll => self.poll(None),
            Act::PollSaying(call) => self.poll(Some(*call)),
            Act::Ask => assert_eq!(self.reader.ask(), self.bare.ask(), "what the body says"),
            Act::Say(call, thread) => {
                let handle = self.handler.handle();
                if *thread == Thread::This {
                    say(&handle, *call);
                } else {
                    std::thread::scope(|scope| scope.spawn(|| say(&handle, *call)).join())
                        .expect("no panic");
                }
                self.say(*call);
            }
            Act::Drop => self.drop(false),
            Act::DropUnwinding => self.drop(true),
        }
        let strayed = self.handler.strayed();
        assert!(
            strayed.is_empty(),
            "current inside, but for the call: {strayed:?}"
        );
    }

    /// What must be true once nothing is left of the request.
    pub fn look_back(&self) {
        let polls = self.handler.polls();
        assert_eq!(polls, self.polls, "polls of the inner body");
        // Whatever is said after the end is not heard.
        say(&self.handler.handle(), Call::Abort("too late", ""));
    }

    fn say(&mut self, call: Call) {
        if let Some(model) = self.models.first_mut() {
            model.say(call);
        }
    }

    fn poll(&mut self, saying: Option<Call>) {
        let was_body = self.reader.is_body();
        if self.done && !was_body {
            return;
        }
        if let Some(call) = saying.filter(|_| !self.exhausted) {
            self.handler.queue(call);
            self.say(call);
        }
        let (saw, head) = self.reader.poll();
        if self.exhausted {
            assert_eq!(saw, Saw::None, "after None comes None");
            return;
        }
        let (bare_saw, bare_head) = self.bare.poll();
        assert_eq!(saw, bare_saw, "what the bare service gives");
        assert_eq!(head, bare_head, "the head of the bare service");
        let at_end = self.bare.ask().is_some_and(|asked| asked.0);
        if was_body {
            self.polls += 1;
            self.exhausted = saw == Saw::None;
        } else {
            self.done = saw != Saw::Pending;
        }
        for model in &mut self.models {
            if was_body {
                model.polled_body(&saw, at_end);
            } else {
                model.polled_future(&saw, at_end);
            }
        }
    }

    fn drop(&mut self, unwinding: bool) {
        if let Some(call) = self.script.destructor.filter(|_| self.reader.is_body()) {
            self.say(call);
        }
        let (within, open) = (self.began.elapsed(), self.ended() < self.models.len());
        // Longer than from the beginning to the layer's own.
        while open && self.began.elapsed() < within + Duration::from_micros(20) {}
        self.reader.drop(unwinding);
        for model in &mut self.models {
            model.dropped(unwinding);
        }
        let is_complete = |model: &Model| model.ended().is_some_and(|ended| ended.is_complete);
        self.whole_within = (open && self.models.iter().all(is_complete)).then_some(within);
    }
}
