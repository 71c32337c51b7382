//! Serves requests through the layer, with a test service and a test body.
//!
//! They use no type of loom's, so loom does not yield in them.

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

use crate::recording_tracer::RecordingTracer;
use crate::{ApiSpanLayer, ResponseBody, ResponseFuture, SpanHandle};

/// What one poll of a body returns.
#[derive(Clone, Copy)]
pub enum Step {
    Data,
    Trailers,
    Terminator,
    ErrorEvent,
    Error,
}

/// A body that returns one step at each poll.
pub struct TestBody(VecDeque<Step>);

#[derive(Debug)]
pub struct TestError;

impl fmt::Display for TestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("boom")
    }
}

impl Body for TestBody {
    type Data = Bytes;
    type Error = TestError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TestError>>> {
        let data = |data| Ok(Frame::data(Bytes::from_static(data)));
        Poll::Ready(self.0.pop_front().map(|step| match step {
            Step::Data => data(b"data: token\n\n"),
            Step::Terminator => data(b"data: [DONE]\n\n"),
            Step::ErrorEvent => data(b"data: {\"error\": {\"message\": \"late\"}}\n\n"),
            Step::Trailers => Ok(Frame::trailers(HeaderMap::new())),
            Step::Error => Err(TestError),
        }))
    }
}

/// A service that returns the given future, once, and keeps the handle of the request.
pub struct TestService<F> {
    future: Option<F>,
    handle: Arc<Mutex<SpanHandle>>,
}

impl<F, B> Service<Request<()>> for TestService<F>
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
        *self.handle.lock().expect("the lock is not poisoned") = handle;
        self.future.take().expect("the service is called once")
    }
}

/// Calls a service that returns `future`. Returns the layer's future and the handle of the request.
pub fn call_service<F, B>(tracer: &RecordingTracer, future: F) -> (ResponseFuture<F>, SpanHandle)
where
    F: Future<Output = Result<Response<B>, Infallible>>,
    B: Body,
    B::Error: fmt::Display + 'static,
{
    let handle = Arc::<Mutex<SpanHandle>>::default();
    // Without a format to read, a stream without events is complete.
    let layer = ApiSpanLayer::llm().llm_formats([]).tracer_provider(tracer);
    let mut service = layer.layer(TestService {
        future: Some(future),
        handle: Arc::clone(&handle),
    });
    let future = service.call(Request::new(()));
    let handle = handle.lock().expect("the lock is not poisoned").clone();
    (future, handle)
}

/// Serves a request up to the head of its response. Returns the body and the handle of the request.
pub fn start_response(
    tracer: &RecordingTracer,
    steps: &[Step],
) -> (ResponseBody<TestBody>, SpanHandle) {
    let mut response = Response::new(TestBody(steps.iter().copied().collect()));
    let content_type = HeaderValue::from_static("text/event-stream");
    response.headers_mut().insert("content-type", content_type);
    let future: Ready<Result<_, Infallible>> = ready(Ok(response));
    let (future, handle) = call_service(tracer, future);
    let future = pin!(future);
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(response)) => (response.into_body(), handle),
        Poll::Ready(Err(never)) => match never {},
        Poll::Pending => panic!("the service responds at once"),
    }
}

/// Polls a body once. Returns whether it returned a frame.
pub fn poll_frame(body: &mut ResponseBody<TestBody>) -> bool {
    let polled = Pin::new(body).poll_frame(&mut Context::from_waker(Waker::noop()));
    matches!(polled, Poll::Ready(Some(Ok(_))))
}
