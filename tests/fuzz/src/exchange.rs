//! One request through a layer, without an executor.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt::Display;
use std::future::{Ready, ready};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use tower_api_span::{ApiSpanLayer, ResponseBody};
use tower_layer::Layer as _;
use tower_service::Service;

use crate::recorder::counts;

/// A body with these frames.
pub struct Frames(VecDeque<Frame<Bytes>>);

impl Frames {
    /// Returns a body without frames.
    pub fn none() -> Self {
        Self(VecDeque::new())
    }

    /// Returns a body with a data frame for each piece.
    pub fn data<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let pieces = pieces.into_iter().map(Bytes::copy_from_slice);
        Self(pieces.map(Frame::data).collect())
    }

    /// Appends a frame.
    pub fn then(mut self, frame: Frame<Bytes>) -> Self {
        self.0.push_back(frame);
        self
    }
}

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(Ok))
    }
}

/// A service that responds at once with what `F` returns.
struct Answers<F>(F);

impl<R, B, F: FnMut(Request<R>) -> Response<B>> Service<Request<R>> for Answers<F> {
    type Response = Response<B>;
    type Error = Infallible;
    type Future = Ready<Result<Response<B>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<R>) -> Self::Future {
        ready(Ok(self.0(request)))
    }
}

/// Returns the response of `handler`, inside the layer, to a request.
pub fn answer<B>(
    layer: &ApiSpanLayer,
    request: Request<()>,
    handler: impl FnMut(Request<()>) -> Response<B>,
) -> Response<ResponseBody<B>>
where
    B: Body<Error: Display + 'static>,
{
    let future = layer.layer(Answers(handler)).call(request);
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(response)) => response,
        Poll::Pending => unreachable!("the service is ready at once"),
    }
}

/// What one poll of a body returns.
pub type Polled<B> = Poll<Option<Result<Frame<<B as Body>::Data>, <B as Body>::Error>>>;

/// Polls a body once.
pub fn poll_frame<B: Body + Unpin>(body: &mut B) -> Polled<B> {
    Pin::new(body).poll_frame(&mut Context::from_waker(Waker::noop()))
}

/// Polls a body to `None`, but at most `polls` times, and drops it. Returns the poll, from 0, during which
/// the span ended, if it was one.
pub fn read<B>(mut body: ResponseBody<B>, polls: usize) -> Option<usize>
where
    B: Body<Error: Display + 'static> + Unpin,
{
    let mut ended = None;
    for poll in 0..polls {
        let polled = poll_frame(&mut body);
        if ended.is_none() && counts().1 == 1 {
            ended = Some(poll);
        }
        if matches!(polled, Poll::Ready(None)) {
            break;
        }
    }
    ended
}
