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
use opentelemetry::trace::TraceContextExt;
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use tower::{Service, service_fn};
use tower_api_span::SpanHandle;
use tower_layer::Layer as _;

use crate::support::body::{Boom, ScriptedBody};
use crate::support::recorder::{Recorder, Seen};
use crate::support::{poll, poll_frame};
use model::{Ended, Model, Saw};
use script::{Act, Answer, Call, Inner, Script, Thread, scripts};

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
        Call::SetAttribute(key) => handle.set_attribute(KeyValue::new(key, "handler's")),
        Call::SetAttributeOfContext(key) => {
            let attribute = KeyValue::new(key, "handler's");
            handle.context().span().set_attribute(attribute);
        }
        Call::SetRoute => handle.set_route("/late/{route}"),
        Call::AddEvent => handle.add_event("handler's", Vec::new()),
        Call::Abort(reason, message) => handle.abort(reason, message),
        Call::AllowDisconnect => handle.allow_disconnect(),
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

/// Plays a script with the layer and without, and checks each step.
fn play(script: &Script) {
    let at = Recorder::new();
    let mut model = Model::new(script);
    let handler = Handler::default();
    let answer: Option<&Answer> = match &script.service {
        Inner::Answers(answer) => Some(answer),
        _ => None,
    };

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
    let (mut reader, mut bare) = match called {
        Ok(future) => (
            Reader::Future(Box::pin(future)),
            Reader::Future(Box::pin(inner(script.clone(), None)) as BoxFuture<_>),
        ),
        Err(_) => {
            model.polled_future(&Saw::Panic, None, false);
            (Reader::Gone, Reader::Gone)
        }
    };
    assert_eq!(at.starts(), 1);

    let mut done = false;
    let mut exhausted = false;
    let mut polls = 0;
    for act in script.acts.iter().cloned().chain([Act::Drop]) {
        if reader.is_gone() {
            break;
        }
        match act {
            // A future is not polled again once it has given something.
            Act::Poll | Act::PollSaying(_) if done && !reader.is_body() => {}
            Act::Poll | Act::PollSaying(_) => {
                if let Act::PollSaying(call) = act {
                    handler.next.lock().expect("not poisoned").push_back(call);
                    if !exhausted {
                        model.say(call);
                    }
                }
                let was_body = reader.is_body();
                let (saw, head) = reader.poll();
                handler.next.lock().expect("not poisoned").clear();
                if exhausted {
                    assert_eq!(saw, Saw::None, "after None comes None");
                } else {
                    let (bare_saw, bare_head) = bare.poll();
                    assert_eq!(saw, bare_saw, "what the bare service gives");
                    assert_eq!(head, bare_head, "the head of the bare service");
                    let at_end = bare.ask().is_some_and(|asked| asked.0);
                    if was_body {
                        polls += 1;
                        model.polled_body(&saw, at_end);
                        exhausted = saw == Saw::None;
                    } else {
                        done = saw != Saw::Pending;
                        model.polled_future(&saw, answer, at_end);
                    }
                }
            }
            Act::Ask => assert_eq!(reader.ask(), bare.ask(), "what the bare body says"),
            Act::Say(call, Thread::This) => {
                say(&handler.handle(), call);
                model.say(call);
            }
            Act::Say(call, Thread::Another) => {
                let handle = handler.handle();
                std::thread::scope(|scope| scope.spawn(|| say(&handle, call)).join())
                    .expect("no panic");
                model.say(call);
            }
            Act::Drop | Act::DropUnwinding => {
                if let (Some(call), true) = (script.destructor, reader.is_body()) {
                    model.say(call);
                }
                let unwinding = matches!(act, Act::DropUnwinding);
                reader.drop(unwinding);
                model.dropped(unwinding);
            }
        }
        let ended = usize::from(model.ended().is_some());
        assert_eq!(
            (at.starts(), at.ends()),
            (1, ended),
            "one start; ended by now: {ended}"
        );
    }
    assert_eq!(
        handler.polls.load(Ordering::SeqCst),
        polls,
        "polls of the inner body"
    );
    // Whatever is said after the end is not heard.
    say(&handler.handle(), Call::Abort("too late", ""));
    assert_eq!((at.starts(), at.ends()), (1, 1), "one end for one start");
    check(
        &at.only(),
        model.ended().expect("the model has ended"),
        script,
    );
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
    let tells_status = !script.is_grpc() || ended.status != Some(200);
    let expected = ended
        .status
        .filter(|_| tells_status)
        .map(|status| status.to_string());
    assert_eq!(status, expected);
    for key in ["mine", "mine.too"] {
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
        let route = match ended.route {
            true => Some("/late/{route}"),
            // A handler that knows what it does may also say it by key.
            false => ended
                .attributes
                .contains(&"http.route")
                .then_some("handler's"),
        };
        assert_eq!(span.attribute("http.route").as_deref(), route);
        let name = match ended.route {
            true => format!("{} /late/{{route}}", script.method),
            false => script.method.to_string(),
        };
        assert_eq!(span.0.name, name);
    }
    let events = span.events();
    let mine = events.iter().filter(|name| *name == "handler's").count();
    assert_eq!(mine, ended.events, "events of the handler");
}
