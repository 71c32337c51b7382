//! The scripted inner service, and its handler, which makes calls and checks the current context.

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
use tower::{Service, ServiceBuilder};
use tower_api_span::{RequestBody, RequestBodyLayer, SpanHandle};

use super::oracle::{ContextCall, HandlerCall};
use super::request::{Reading, ScriptedRequest};
use super::script::{Inner, Script};
use crate::support::body::{Boom, ScriptedBody};
use crate::support::handle_of;

/// The current context: its span, and the baggage entry `id`.
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

/// The state of a handler, shared with the polls and the destructor of its body.
#[derive(Clone, Default)]
pub struct Handler {
    handle: Arc<Mutex<SpanHandle>>,
    reading: Reading,
    /// The calls to make in the next polls.
    next: Arc<Mutex<VecDeque<HandlerCall>>>,
    polls: Arc<AtomicUsize>,
    /// What was current when the service was called.
    current: Arc<Mutex<Option<Current>>>,
    /// What was current elsewhere, if it differed.
    deviations: Arc<Mutex<Vec<Current>>>,
}

impl Handler {
    pub fn handle(&self) -> SpanHandle {
        self.handle.lock().expect("not poisoned").clone()
    }

    /// Returns what was current when the service was called, if it was.
    pub fn current(&self) -> Option<Current> {
        self.current.lock().expect("not poisoned").clone()
    }

    /// Makes a call on the handle, or reads or drops the request.
    pub fn perform(&self, call: HandlerCall) {
        match call {
            HandlerCall::ReadRequest(frame) => self.reading.read(frame),
            HandlerCall::DropRequest => self.reading.drop_body(),
            call => perform(&self.handle(), call),
        }
    }

    fn begin_call(&self, handle: SpanHandle) {
        *self.handle.lock().expect("not poisoned") = handle;
        *self.current.lock().expect("not poisoned") = Some(Current::here());
    }

    /// Checks that the current context is still that of the call.
    fn check_current(&self) {
        let here = Current::here();
        if self.current().as_ref() != Some(&here) {
            self.deviations.lock().expect("not poisoned").push(here);
        }
    }

    /// Queues a call for the next poll.
    pub fn queue(&self, call: HandlerCall) {
        self.next.lock().expect("not poisoned").push_back(call);
    }

    /// How often the body was polled.
    pub fn polls(&self) -> usize {
        self.polls.load(Ordering::SeqCst)
    }

    /// Returns what was current elsewhere, if it differed.
    pub fn deviations(&self) -> Vec<Current> {
        self.deviations.lock().expect("not poisoned").clone()
    }

    fn call_next(&self) {
        let next = self.next.lock().expect("not poisoned").pop_front();
        if let Some(call) = next {
            self.perform(call);
        }
    }
}

/// Makes a call on a handle.
fn perform(handle: &SpanHandle, call: HandlerCall) {
    match call {
        HandlerCall::ReadRequest(_) | HandlerCall::DropRequest => {
            unreachable!("it is not a call on the handle")
        }
        HandlerCall::SetAttribute(key, value) => handle.set_attribute(KeyValue::new(key, value)),
        HandlerCall::SetMetricAttribute(key, value) => {
            handle.set_metric_attribute(KeyValue::new(key, value));
        }
        HandlerCall::DeclareStream => handle.declare_stream(),
        HandlerCall::SetRoute(route) => handle.set_route(route),
        HandlerCall::AddEvent(name) => handle.add_event(name, Vec::new()),
        HandlerCall::Abort(reason, message) => handle.mark_aborted(reason, message),
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

/// The script of a request and its handler, in the extensions of the request.
#[derive(Clone)]
pub struct Scripted(pub Arc<Script>, pub Handler);

/// The payloads of the panics of scripts.
const PANICS: [&str; 3] = ["in call", "in poll", "the body panics"];

/// Whether a script threw this payload, and not the layer.
pub fn is_scripted(payload: &(dyn Any + Send)) -> bool {
    let text = payload.downcast_ref::<&str>();
    text.is_some_and(|text| PANICS.contains(text))
}

/// Returns the inner service: it does what the script of the request defines.
pub fn scripted_service() -> impl Service<
    Request<()>,
    Response = Response<ScriptedBody>,
    Error = Boom,
    Future = impl Future<Output = Result<Response<ScriptedBody>, Boom>>,
> + Clone {
    ServiceBuilder::new()
        .map_request(|request: Request<()>| {
            let scripted = request.extensions().get::<Scripted>();
            let Scripted(_, handler) = scripted.expect("a script");
            let body = handler.reading.request.clone();
            request.map(|()| body)
        })
        .layer(RequestBodyLayer::new())
        .service_fn(|request: Request<RequestBody<ScriptedRequest>>| {
            let scripted = request.extensions().get::<Scripted>();
            let Scripted(script, handler) = scripted.expect("a script").clone();
            handler.begin_call(handle_of(&request));
            handler.reading.begin(request.into_body());
            if matches!(script.service, Inner::PanicsInCall) {
                resume_unwind(Box::new("in call"));
            }
            respond(script, Some(handler))
        })
}

/// Responds as a script defines. Without a handler this is the bare service.
pub async fn respond(
    script: Arc<Script>,
    handler: Option<Handler>,
) -> Result<Response<ScriptedBody>, Boom> {
    /// Checks the current context when the future is dropped.
    struct CheckOnDrop(Option<Handler>);
    impl Drop for CheckOnDrop {
        fn drop(&mut self) {
            if let Some(handler) = &self.0 {
                handler.check_current();
            }
        }
    }
    let check = CheckOnDrop(handler);
    let handler = check.0.clone();
    let mut pending = script.pending;
    std::future::poll_fn(|cx| {
        if let Some(handler) = &handler {
            handler.check_current();
            handler.call_next();
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
                        on_poll.check_current();
                        on_poll.polls.fetch_add(1, Ordering::SeqCst);
                        on_poll.call_next();
                    })
                    .on_drop(move || {
                        on_drop.check_current();
                        if let Some(call) = destructor {
                            on_drop.perform(call);
                        }
                    });
            }
            Ok(answer.response(body))
        }
        Inner::PanicsInCall => unreachable!("the call has panicked"),
    }
}
