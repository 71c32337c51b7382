//! The service inside of the layer, which does what a script says, and its handler, which speaks and
//! looks around.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;

use http::{HeaderMap, Request, Response};
use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::trace::{SpanContext, Status, TraceContextExt as _};
use opentelemetry::{Context, KeyValue};
use tower::{Service, service_fn};
use tower_api_span::SpanHandle;

use super::oracle::{ContextCall, HandlerCall};
use super::script::{Inner, Script};
use crate::support::body::{Boom, ScriptedBody};
use crate::support::handle_of;

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
    next: Arc<Mutex<VecDeque<HandlerCall>>>,
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

    /// What is to be said in the next poll.
    pub fn queue(&self, call: HandlerCall) {
        self.next.lock().expect("not poisoned").push_back(call);
    }

    /// How often the body was polled.
    pub fn polls(&self) -> usize {
        self.polls.load(Ordering::SeqCst)
    }

    /// What was current inside, where it was something else than in the call.
    pub fn strayed(&self) -> Vec<Current> {
        self.strayed.lock().expect("not poisoned").clone()
    }

    fn say_next(&self) {
        let next = self.next.lock().expect("not poisoned").pop_front();
        if let Some(call) = next {
            perform(&self.handle(), call);
        }
    }
}

/// Makes a call on a handle.
pub fn perform(handle: &SpanHandle, call: HandlerCall) {
    match call {
        HandlerCall::SetAttribute(key, value) => handle.set_attribute(KeyValue::new(key, value)),
        HandlerCall::SetRoute(route) => handle.set_route(route),
        HandlerCall::AddEvent(name) => handle.add_event(name, Vec::new()),
        HandlerCall::Abort(reason, message) => handle.abort(reason, message),
        HandlerCall::AllowDisconnect => handle.allow_disconnect(),
        HandlerCall::HandOff => handle.handoff_to_core(),
        HandlerCall::Inject => {
            let mut headers = HeaderMap::new();
            handle.inject(&mut headers);
            let is_injected = headers.contains_key("traceparent");
            let context = handle.context();
            assert_eq!(is_injected, context.span().span_context().is_valid());
        }
        HandlerCall::OnContext(call) => {
            let context = handle.context();
            let span = context.span();
            match call {
                ContextCall::SetAttribute(key, value) => {
                    span.set_attribute(KeyValue::new(key, value));
                }
                ContextCall::AddEvent(name) => span.add_event(name, Vec::new()),
                ContextCall::SetErrorStatus(description) => {
                    span.set_status(Status::error(description));
                }
                ContextCall::SetOkStatus => span.set_status(Status::Ok),
                ContextCall::End => span.end(),
            }
        }
    }
}

/// Who is called, and what they are to do: goes along with a request.
#[derive(Clone)]
pub struct Role(pub Arc<Script>, pub Handler);

/// The texts that scripts panic with.
const PANICS: [&str; 3] = ["in call", "in poll", "the body panics"];

/// Whether this was thrown by a script, and not by the layer itself.
pub fn is_scripted(payload: &(dyn Any + Send)) -> bool {
    let text = payload.downcast_ref::<&str>();
    text.is_some_and(|text| PANICS.contains(text))
}

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
                            perform(&on_drop.handle(), call);
                        }
                    });
            }
            Ok(answer.response(body))
        }
        Inner::PanicsInCall => unreachable!("the call has panicked"),
    }
}
