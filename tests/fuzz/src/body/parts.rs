//! The scripted inner service, its body and its handler.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::buf::Chain;
use bytes::{Buf, Bytes};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body::{Body, Frame, SizeHint};
use opentelemetry::KeyValue;
use opentelemetry::trace::{Status, TraceContextExt};
use tower_api_span::SpanHandle;
use tower_service::Service;

use super::request::Reading;
use super::script::{Answer, Call, EndHint, Inner, Script, Step, TRAILERS};
use crate::oracle::{ContextCall, HandlerCall};

/// The error of a service or a body.
#[derive(Debug)]
pub struct Boom;

impl fmt::Display for Boom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("boom")
    }
}

/// The state of a handler, shared with the polls and the destructor of its body.
#[derive(Default)]
pub struct Handler {
    pub handle: RefCell<SpanHandle>,
    request: Reading,
    /// The call to make in the next poll.
    pub next: Cell<Option<Call>>,
    /// How often the body was polled.
    pub polls: Cell<usize>,
}

impl Handler {
    pub fn call(&self, call: Call) {
        let handle = self.handle.borrow().clone();
        for call in call.decode() {
            if let HandlerCall::ReadRequest(frame) = call {
                self.request.read(frame);
            } else {
                perform(&handle, call);
            }
        }
    }

    fn call_next(&self) {
        if let Some(call) = self.next.take() {
            self.call(call);
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
        HandlerCall::Inject => handle.inject(&mut HeaderMap::new()),
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

/// The inner service of a script.
pub struct Scripted {
    pub script: Rc<Script>,
    pub handler: Rc<Handler>,
}

impl Service<Request<()>> for Scripted {
    type Response = Response<ScriptedBody>;
    type Error = Boom;
    type Future = ScriptedFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Boom>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> ScriptedFuture {
        let handle = SpanHandle::from_extensions(request.extensions());
        self.handler.handle.replace(handle);
        self.handler.request.begin(request);
        if matches!(self.script.service, Inner::PanicsInCall) {
            // `panic!` would run the panic hook, at which a fuzzer stops.
            resume_unwind(Box::new("in call"));
        }
        ScriptedFuture::new(&self.script, Some(&self.handler))
    }
}

/// The response future. Without a handler it is that of the bare service.
pub struct ScriptedFuture {
    script: Rc<Script>,
    handler: Option<Rc<Handler>>,
    is_pending: bool,
}

impl ScriptedFuture {
    pub fn new(script: &Rc<Script>, handler: Option<&Rc<Handler>>) -> Self {
        Self {
            script: Rc::clone(script),
            handler: handler.cloned(),
            is_pending: script.is_pending,
        }
    }
}

impl Future for ScriptedFuture {
    type Output = Result<Response<ScriptedBody>, Boom>;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(handler) = &self.handler {
            handler.call_next();
        }
        if std::mem::take(&mut self.is_pending) {
            return Poll::Pending;
        }
        if matches!(self.script.service, Inner::PanicsInPoll) {
            resume_unwind(Box::new("in poll"));
        }
        Poll::Ready(match self.script.answer() {
            None => Err(Boom),
            Some(answer) => {
                let destructor = self.script.destructor;
                let body = ScriptedBody::new(answer, self.handler.clone(), destructor);
                Ok(answer.response(body))
            }
        })
    }
}

/// A scripted body. Its hints about end and size can be wrong.
pub struct ScriptedBody {
    steps: VecDeque<Step>,
    end_hint: EndHint,
    size: Option<u64>,
    handler: Option<Rc<Handler>>,
    destructor: Option<Call>,
}

impl ScriptedBody {
    fn new(answer: &Answer, handler: Option<Rc<Handler>>, destructor: Option<Call>) -> Self {
        Self {
            steps: answer.steps().cloned().collect(),
            end_hint: answer.end_hint,
            size: answer.size(),
            handler,
            destructor,
        }
    }
}

impl Body for ScriptedBody {
    /// Two chunks, of which one can be empty.
    type Data = Chain<Bytes, Bytes>;
    type Error = Boom;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Boom>>> {
        if let Some(handler) = &self.handler {
            handler.polls.set(handler.polls.get() + 1);
            handler.call_next();
        }
        let frame = match self.steps.pop_front() {
            Some(Step::Pending) => return Poll::Pending,
            Some(Step::Data(data, cut)) => {
                let mut first = Bytes::from_static(data.bytes());
                let at = cut.map_or(first.len(), |cut| usize::from(cut).min(first.len()));
                let second = first.split_off(at);
                if let Some(size) = &mut self.size {
                    *size = size.saturating_sub(data.bytes().len() as u64);
                }
                Frame::data(first.chain(second))
            }
            Some(Step::Trailers(index)) => {
                let trailers = TRAILERS[usize::from(index) % TRAILERS.len()].iter();
                let trailers = trailers.map(|(name, value)| {
                    (
                        HeaderName::from_static(name),
                        HeaderValue::from_static(value),
                    )
                });
                Frame::trailers(trailers.collect::<HeaderMap>())
            }
            Some(Step::Error) => return Poll::Ready(Some(Err(Boom))),
            Some(Step::Panic) => resume_unwind(Box::new("the body panics")),
            Some(Step::End) | None => return Poll::Ready(None),
        };
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        match self.end_hint {
            EndHint::Correct => self.steps.is_empty(),
            EndHint::Always(is_end) => is_end,
            // The layer catches this panic and leaks the payload, which is empty here.
            EndHint::Panics => resume_unwind(Box::new(())),
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.size
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl Drop for ScriptedBody {
    fn drop(&mut self) {
        if let (Some(handler), Some(call)) = (&self.handler, self.destructor) {
            handler.call(call);
        }
    }
}
