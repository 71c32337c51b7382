//! A request being played by its script, with the layer and without: what the reader sees must be
//! the same, and the models are told of it.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame};
use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::trace::{SpanContext, Status, TraceContextExt as _};
use opentelemetry::{Context, KeyValue};
use tower::{Service, service_fn};
use tower_api_span::SpanHandle;

use super::model::{Model, Saw};
use super::script::{Act, Call, Inner, Script, Thread};
use crate::support::body::{Boom, ScriptedBody};
use crate::support::conventions::BY_HANDLERS;
use crate::support::{handle_of, poll, poll_frame};

/// What is current: the span, and what baggage says for `id`.
#[derive(Clone, Debug, PartialEq)]
pub struct Current {
    pub span: SpanContext,
    pub id: Option<String>,
}

impl Current {
    pub fn here() -> Self {
        Context::map_current(|current| Self {
            span: current.span().span_context().clone(),
            id: current.baggage().get("id").map(ToString::to_string),
        })
    }
}

/// What the handler holds, shared with the body's polls and destructor.
#[derive(Clone, Default)]
pub struct Handler {
    handle: Arc<Mutex<SpanHandle>>,
    /// What to say in the next poll.
    next: Arc<Mutex<VecDeque<Call>>>,
    polls: Arc<AtomicUsize>,
    /// What was current in the call.
    current: Arc<Mutex<Option<Current>>>,
    /// What was current where it was something else.
    strayed: Arc<Mutex<Vec<Current>>>,
}

impl Handler {
    pub fn handle(&self) -> SpanHandle {
        self.handle.lock().expect("not poisoned").clone()
    }

    /// What was current inside, if the service was called.
    pub fn current(&self) -> Option<Current> {
        self.current.lock().expect("not poisoned").clone()
    }

    fn called(&self, handle: SpanHandle) {
        *self.handle.lock().expect("not poisoned") = handle;
        *self.current.lock().expect("not poisoned") = Some(Current::here());
    }

    /// Everything inside runs where the call has run.
    fn look(&self) {
        let here = Current::here();
        if self.current().as_ref() != Some(&here) {
            self.strayed.lock().expect("not poisoned").push(here);
        }
    }

    fn say_next(&self) {
        let next = self.next.lock().expect("not poisoned").pop_front();
        if let Some(call) = next {
            say(&self.handle(), call);
        }
    }
}

fn say(handle: &SpanHandle, call: Call) {
    match call {
        Call::SetAttribute(key) => handle.set_attribute(KeyValue::new(key, BY_HANDLERS)),
        Call::SetAttributeOfContext(key) => {
            let attribute = KeyValue::new(key, BY_HANDLERS);
            handle.context().span().set_attribute(attribute);
        }
        Call::SetRoute => handle.set_route("/late/{route}"),
        Call::AddEvent => handle.add_event("handler's", Vec::new()),
        Call::Abort(reason, message) => handle.abort(reason, message),
        Call::AllowDisconnect => handle.allow_disconnect(),
        Call::AddEventOfContext => handle.context().span().add_event("handler's", Vec::new()),
        Call::SetStatusOfContext(is_error) => {
            let status = if is_error {
                Status::error("by its context")
            } else {
                Status::Ok
            };
            handle.context().span().set_status(status);
        }
        Call::EndSpanOfContext => handle.context().span().end(),
        Call::Inject => {
            let mut headers = HeaderMap::new();
            handle.inject(&mut headers);
            let is_told = headers.contains_key("traceparent");
            let context = handle.context();
            assert_eq!(is_told, context.span().span_context().is_valid());
        }
    }
}

/// Who is called, and what they are to do: goes along with a request.
#[derive(Clone)]
struct Role(Arc<Script>, Handler);

/// The innermost service of all plays.
pub fn actor() -> impl Service<
    Request<()>,
    Response = Response<ScriptedBody>,
    Error = Boom,
    Future = impl Future<Output = Result<Response<ScriptedBody>, Boom>>,
> + Clone {
    service_fn(|request: Request<()>| {
        let role = request.extensions().get::<Role>();
        let Role(script, handler) = role.expect("a role").clone();
        handler.called(handle_of(&request));
        if matches!(script.service, Inner::PanicsInCall) {
            resume_unwind(Box::new("in call"));
        }
        inner(script, Some(handler))
    })
}

/// The inner service of a script. Without a handler it is the bare one.
pub async fn inner(
    script: Arc<Script>,
    handler: Option<Handler>,
) -> Result<Response<ScriptedBody>, Boom> {
    /// Looks around where the future is dropped.
    struct Looks(Option<Handler>);
    impl Drop for Looks {
        fn drop(&mut self) {
            if let Some(handler) = &self.0 {
                handler.look();
            }
        }
    }
    let looks = Looks(handler);
    let handler = looks.0.clone();
    let mut pending = script.pending;
    std::future::poll_fn(|cx| {
        if let Some(handler) = &handler {
            handler.look();
            handler.say_next();
        }
        match pending.checked_sub(1) {
            Some(fewer) => {
                pending = fewer;
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            None => Poll::Ready(()),
        }
    })
    .await;
    match &script.service {
        Inner::PanicsInPoll => resume_unwind(Box::new("in poll")),
        Inner::Errs => Err(Boom),
        Inner::Answers(answer) => {
            let mut body = answer.body();
            if let Some(handler) = handler {
                let (on_poll, on_drop) = (handler.clone(), handler);
                let destructor = script.destructor;
                body = body
                    .on_poll(move || {
                        on_poll.look();
                        on_poll.polls.fetch_add(1, Ordering::SeqCst);
                        on_poll.say_next();
                    })
                    .on_drop(move || {
                        on_drop.look();
                        if let Some(call) = destructor {
                            say(&on_drop.handle(), call);
                        }
                    });
            }
            Ok(answer.response(body))
        }
        Inner::PanicsInCall => unreachable!("the call has panicked"),
    }
}

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
        seen.unwrap_or((Saw::Panic, None))
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
        let _ = catch_unwind(AssertUnwindSafe(move || {
            let _dropped = dropped;
            if unwinding {
                resume_unwind(Box::new("elsewhere"));
            }
        }));
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
        let called = catch_unwind(AssertUnwindSafe(|| service.call(request)));
        let (reader, bare) = if let Ok(future) = called {
            let bare: BoxFuture<_> = Box::pin(inner(Arc::clone(script), None));
            (Reader::Future(Box::pin(future)), Reader::Future(bare))
        } else {
            for model in &mut models {
                model.polled_future(&Saw::Panic, false);
            }
            (Reader::Gone, Reader::Gone)
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
        let strayed = self.handler.strayed.lock().expect("not poisoned");
        assert!(
            strayed.is_empty(),
            "current inside, but for the call: {strayed:?}"
        );
    }

    /// What must be true once nothing is left of the request.
    pub fn look_back(&self) {
        let polls = self.handler.polls.load(Ordering::SeqCst);
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
            let mut next = self.handler.next.lock().expect("not poisoned");
            next.push_back(call);
            drop(next);
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
        self.reader.drop(unwinding);
        for model in &mut self.models {
            model.dropped(unwinding);
        }
    }
}
