//! The body of a request, which a handler reads frame by frame.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::Request;
use http_body::{Body, Frame};
use tower_api_span::{RequestBody, RequestBodyLayer};
use tower_layer::Layer as _;
use tower_service::Service;

use crate::oracle::RequestFrame;

thread_local! {
    /// What the body of the request returns in its next poll.
    static NEXT_FRAME: Cell<Option<RequestFrame>> = const { Cell::new(None) };
}

/// The body of the request. It never says that it is at its end.
#[derive(Debug)]
struct ScriptedRequest;

impl Body for ScriptedRequest {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match NEXT_FRAME.take() {
            None | Some(RequestFrame::Pending) => Poll::Pending,
            Some(RequestFrame::Data) => {
                Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"data")))))
            }
            Some(RequestFrame::Disconnected) => {
                Poll::Ready(Some(Err(io::ErrorKind::ConnectionReset.into())))
            }
            Some(RequestFrame::OtherError) => {
                Poll::Ready(Some(Err(io::ErrorKind::InvalidData.into())))
            }
            Some(RequestFrame::End) => Poll::Ready(None),
            Some(other) => unreachable!("no script has {other:?}"),
        }
    }
}

/// Returns the body of its request.
struct TakesBody;

impl Service<Request<RequestBody<ScriptedRequest>>> for TakesBody {
    type Response = RequestBody<ScriptedRequest>;
    type Error = Infallible;
    type Future = Ready<Result<RequestBody<ScriptedRequest>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody<ScriptedRequest>>) -> Self::Future {
        ready(Ok(request.into_body()))
    }
}

/// The handler's end of a request.
#[derive(Debug, Default)]
pub struct Reading(RefCell<Option<RequestBody<ScriptedRequest>>>);

impl Reading {
    /// Keeps the body of a request, as the layer wraps it.
    pub fn begin(&self, request: Request<()>) {
        let mut layered = RequestBodyLayer::new().layer(TakesBody);
        let Ok(body) = layered.call(request.map(|()| ScriptedRequest)).into_inner();
        self.0.replace(Some(body));
    }

    /// Reads a frame, which is this one.
    pub fn read(&self, frame: RequestFrame) {
        if let Some(body) = &mut *self.0.borrow_mut() {
            NEXT_FRAME.set(Some(frame));
            let polled = Pin::new(body).poll_frame(&mut Context::from_waker(Waker::noop()));
            assert!(polled.is_ready(), "the body returns the frame");
        }
    }
}
