//! Requests that are served, by bodies and services that loom does not see.

use crate::standard::collections::VecDeque;
use crate::standard::convert::Infallible;
use crate::standard::fmt;
use crate::standard::future::{Ready, ready};
use crate::standard::pin::{Pin, pin};
use crate::standard::sync::{Arc, Mutex};
use crate::standard::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::{Body, Frame};
use tower_layer::Layer as _;
use tower_service::Service;

use crate::watched::Watched;
use crate::{ApiSpanLayer, ResponseBody, ResponseFuture, SpanHandle};

/// What one poll of a body gives.
#[derive(Clone, Copy)]
pub enum Step {
    Data,
    Trailers,
    Terminator,
    ErrorEvent,
    Error,
}

/// A body that goes by steps.
pub struct Steps(VecDeque<Step>);

#[derive(Debug)]
pub struct Boom;

impl fmt::Display for Boom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("boom")
    }
}

impl Body for Steps {
    type Data = Bytes;
    type Error = Boom;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Boom>>> {
        let data = |data| Ok(Frame::data(Bytes::from_static(data)));
        Poll::Ready(self.0.pop_front().map(|step| match step {
            Step::Data => data(b": nothing\n\n"),
            Step::Terminator => data(b"data: [DONE]\n\n"),
            Step::ErrorEvent => data(b"data: {\"error\": {\"message\": \"late\"}}\n\n"),
            Step::Trailers => Ok(Frame::trailers(HeaderMap::new())),
            Step::Error => Err(Boom),
        }))
    }
}

/// A service that answers at once, or never.
pub struct Answers<F> {
    future: Option<F>,
    handle: Arc<Mutex<SpanHandle>>,
}

impl<F, B> Service<Request<()>> for Answers<F>
where
    F: Future<Output = Result<Response<B>, Infallible>>,
{
    type Response = Response<B>;
    type Error = Infallible;
    type Future = F;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> F {
        let handle = SpanHandle::from_extensions(request.extensions());
        *self.handle.lock().expect("not poisoned") = handle;
        self.future.take().expect("called once")
    }
}

/// A request that has been called, and its handle.
pub fn call<F, B>(watched: &Watched, future: F) -> (ResponseFuture<F>, SpanHandle)
where
    F: Future<Output = Result<Response<B>, Infallible>>,
    B: Body,
    B::Error: fmt::Display,
{
    let handle = Arc::<Mutex<SpanHandle>>::default();
    let layer = ApiSpanLayer::llm().tracer_provider(watched);
    let mut service = layer.layer(Answers {
        future: Some(future),
        handle: Arc::clone(&handle),
    });
    let future = service.call(Request::new(()));
    let handle = handle.lock().expect("not poisoned").clone();
    (future, handle)
}

/// The body of a response whose head is there, and its request's handle.
pub fn answered(watched: &Watched, steps: &[Step]) -> (ResponseBody<Steps>, SpanHandle) {
    let mut response = Response::new(Steps(steps.iter().copied().collect()));
    let content_type = HeaderValue::from_static("text/event-stream");
    response.headers_mut().insert("content-type", content_type);
    let future: Ready<Result<_, Infallible>> = ready(Ok(response));
    let (future, handle) = call(watched, future);
    let future = pin!(future);
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(response)) => (response.into_body(), handle),
        Poll::Ready(Err(never)) => match never {},
        Poll::Pending => panic!("it answers at once"),
    }
}

/// Polls a body once. False if there is no more.
pub fn poll(body: &mut ResponseBody<Steps>) -> bool {
    let polled = Pin::new(body).poll_frame(&mut Context::from_waker(Waker::noop()));
    matches!(polled, Poll::Ready(Some(Ok(_))))
}
