//! A scripted future of a service, with callbacks on poll and drop.

use std::pin::Pin;
use std::task::{Context, Poll};

use http::Response;

use super::body::Boom;

/// A future that is pending for some polls and then returns its response.
pub struct HandFuture<B> {
    pending: usize,
    response: Option<Response<B>>,
    on_poll: Box<dyn FnMut() + Send>,
    on_drop: Box<dyn FnMut() + Send>,
}

impl<B> HandFuture<B> {
    pub fn ready(response: Response<B>) -> Self {
        Self {
            pending: 0,
            response: Some(response),
            on_poll: Box::new(|| {}),
            on_drop: Box::new(|| {}),
        }
    }

    pub fn pending_for(mut self, polls: usize) -> Self {
        self.pending = polls;
        self
    }

    pub fn on_poll(mut self, f: impl FnMut() + Send + 'static) -> Self {
        self.on_poll = Box::new(f);
        self
    }

    pub fn on_drop(mut self, f: impl FnMut() + Send + 'static) -> Self {
        self.on_drop = Box::new(f);
        self
    }
}

impl<B> Unpin for HandFuture<B> {}

impl<B> Future for HandFuture<B> {
    type Output = Result<Response<B>, Boom>;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        (self.on_poll)();
        match self.pending.checked_sub(1) {
            Some(pending) => {
                self.pending = pending;
                Poll::Pending
            }
            None => Poll::Ready(Ok(self
                .response
                .take()
                .expect("not polled after completion"))),
        }
    }
}

impl<B> Drop for HandFuture<B> {
    fn drop(&mut self) {
        (self.on_drop)();
    }
}
