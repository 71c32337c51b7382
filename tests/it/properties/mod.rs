//! Random scripts against the model, and against the bare service, step by step.
//!
//! `PROPTEST_CASES` sets the number of cases. What was once found is in `*.regressions` beside the
//! files and is tried first.

mod model;
mod readers;
mod script;

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame};
use opentelemetry::KeyValue;
use opentelemetry::trace::{Status, TraceContextExt};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use tower::{Service, service_fn};
use tower_api_span::SpanHandle;
use tower_layer::Layer as _;

use crate::support::body::{Boom, ScriptedBody};
use crate::support::conventions::BY_HANDLERS;
use crate::support::recorder::{Recorder, Seen};
use crate::support::{poll, poll_frame};
use model::{Ended, Model, Saw};
use script::{Act, Call, Inner, Script, Thread, scripts};

fn config() -> ProptestConfig {
    let persistence = FileFailurePersistence::WithSource("regressions");
    let default = ProptestConfig::default();
    ProptestConfig {
        cases: std::env::var("PROPTEST_CASES").map_or(20_000, |_| default.cases),
        failure_persistence: Some(Box::new(persistence)),
        ..default
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_script_ends_as_the_model_says_and_looks_like_the_bare_service(script in scripts()) {
        play(&script);
    }
}

/// What the handler holds, shared with the body's polls and destructor.
#[derive(Clone, Default)]
struct Handler {
    handle: Arc<Mutex<SpanHandle>>,
    /// What to say in the next poll.
    next: Arc<Mutex<VecDeque<Call>>>,
    polls: Arc<AtomicUsize>,
}

impl Handler {
    fn handle(&self) -> SpanHandle {
        self.handle.lock().expect("not poisoned").clone()
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
            assert!(headers.contains_key("traceparent"));
        }
    }
}

/// The inner service of a script. Without a handler it is the bare one.
async fn inner(script: Script, handler: Option<Handler>) -> Result<Response<ScriptedBody>, Boom> {
    let mut pending = script.pending;
    std::future::poll_fn(|_| {
        if let Some(handler) = &handler {
            handler.say_next();
        }
        match pending.checked_sub(1) {
            Some(fewer) => {
                pending = fewer;
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
                body = body
                    .on_poll(move || {
                        on_poll.polls.fetch_add(1, Ordering::SeqCst);
                        on_poll.say_next();
                    })
                    .on_drop(move || {
                        if let Some(call) = script.destructor {
                            say(&on_drop.handle(), call);
                        }
                    });
                return Ok(answer.response(body));
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
            Self::Body(body) => (
                match poll_frame(body.as_mut()) {
                    Poll::Pending => Saw::Pending,
                    Poll::Ready(None) => Saw::None,
                    Poll::Ready(Some(Err(Boom))) => Saw::Error,
                    Poll::Ready(Some(Ok(frame))) => frame_seen(&frame),
                },
                None,
            ),
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

    fn is_gone(&self) -> bool {
        matches!(self, Self::Gone)
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

fn frame_seen(frame: &Frame<Bytes>) -> Saw {
    match (frame.data_ref(), frame.trailers_ref()) {
        (Some(data), _) => Saw::Data(data.len()),
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

/// A script being played, with the layer and without.
struct Play<'a, B> {
    script: &'a Script,
    at: Recorder,
    model: Model<'a>,
    handler: Handler,
    reader: Reader<B>,
    bare: Reader<ScriptedBody>,
    /// The future has given something, and may not be polled again.
    done: bool,
    /// The body has given `None`.
    exhausted: bool,
    polls: usize,
}

/// Plays a script and checks each step.
fn play(script: &Script) {
    let at = Recorder::new();
    let handler = Handler::default();
    let mut model = Model::new(script);
    let mut service = at.layer().layer(service_fn({
        let (script, handler) = (script.clone(), handler.clone());
        move |request: Request<()>| {
            let handle = SpanHandle::from_extensions(request.extensions());
            *handler.handle.lock().expect("not poisoned") = handle;
            if matches!(script.service, Inner::PanicsInCall) {
                resume_unwind(Box::new("in call"));
            }
            inner(script.clone(), Some(handler.clone()))
        }
    }));
    let called = catch_unwind(AssertUnwindSafe(|| service.call(script.request())));
    let (reader, bare) = if let Ok(future) = called {
        let bare: BoxFuture<_> = Box::pin(inner(script.clone(), None));
        (Reader::Future(Box::pin(future)), Reader::Future(bare))
    } else {
        model.polled_future(&Saw::Panic, None, false);
        (Reader::Gone, Reader::Gone)
    };
    let play = Play {
        script,
        at,
        model,
        handler,
        reader,
        bare,
        done: false,
        exhausted: false,
        polls: 0,
    };
    play.run();
}

impl<B> Play<'_, B>
where
    B: Body<Data = Bytes, Error = Boom> + Unpin,
{
    fn run(mut self) {
        for act in self.script.acts.iter().chain([&Act::Drop]) {
            if !self.reader.is_gone() {
                self.act(act);
            }
            let ended = usize::from(self.model.ended().is_some());
            let counted = (self.at.starts(), self.at.ends());
            assert_eq!(counted, (1, ended), "starts and ends after {act:?}");
        }
        let polls = self.handler.polls.load(Ordering::SeqCst);
        assert_eq!(polls, self.polls, "polls of the inner body");
        // Whatever is said after the end is not heard.
        say(&self.handler.handle(), Call::Abort("too late", ""));
        assert_eq!((self.at.starts(), self.at.ends()), (1, 1));
        let ended = self.model.ended().expect("the model has ended");
        check(&self.at.only(), ended, self.script);
    }

    fn act(&mut self, act: &Act) {
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
                self.model.say(*call);
            }
            Act::Drop => self.drop(false),
            Act::DropUnwinding => self.drop(true),
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
            self.model.say(call);
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
            self.model.polled_body(&saw, at_end);
        } else {
            self.done = saw != Saw::Pending;
            let answer = match &self.script.service {
                Inner::Answers(answer) => Some(answer),
                Inner::PanicsInCall | Inner::PanicsInPoll | Inner::Errs => None,
            };
            self.model.polled_future(&saw, answer, at_end);
        }
    }

    fn drop(&mut self, unwinding: bool) {
        if let Some(call) = self.script.destructor.filter(|_| self.reader.is_body()) {
            self.model.say(call);
        }
        self.reader.drop(unwinding);
        self.model.dropped(unwinding);
    }
}

fn check(span: &Seen, ended: &Ended, script: &Script) {
    assert_eq!(span.outcome(), ended.outcome);
    assert_eq!(span.attribute("error.type"), ended.error_type, "error.type");
    assert_eq!(span.error(), ended.error, "the message");
    assert_eq!(
        span.attribute("rpc.status_code").as_deref(),
        ended.grpc_code
    );
    let status = span.attribute("http.response.status_code");
    let tells_status = !ended.is_grpc || ended.status != Some(200);
    let expected = ended
        .status
        .filter(|_| tells_status)
        .map(|status| status.to_string());
    assert_eq!(status, expected);
    for key in ["test.mine", "test.mine.too"] {
        assert_eq!(
            span.attribute(key).is_some(),
            ended.attributes.contains(&key),
            "{key}"
        );
    }
    if !script.is_grpc() {
        assert_eq!(
            span.attribute("url.path").as_deref(),
            Some("/pkg.Service/Method")
        );
        // A handler may also say it by key.
        let by_key = ended.attributes.contains(&"http.route");
        let route = if ended.route {
            Some("/late/{route}")
        } else {
            by_key.then_some(BY_HANDLERS)
        };
        assert_eq!(span.attribute("http.route").as_deref(), route);
        let late = if ended.route { " /late/{route}" } else { "" };
        let name = format!("{}{late}", script.method);
        assert_eq!(span.0.name, name);
    }
    let events = span.events();
    let mine = events.iter().filter(|name| *name == "handler's").count();
    assert_eq!(mine, ended.events, "events of the handler");
}
