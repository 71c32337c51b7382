//! A body that logs its polls and its drop.

use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::event::{Event, Place, State};
use super::exchange::{Exchange, Part};

/// The body of a request or a response.
pub struct ObservedBody<B> {
    inner: Option<Pin<Box<B>>>,
    exchange: Arc<Exchange>,
    part: Part,
    place: Place,
}

impl<B> ObservedBody<B> {
    pub fn new(inner: B, exchange: Arc<Exchange>, part: Part, place: Place) -> Self {
        Self {
            inner: Some(Box::pin(inner)),
            exchange,
            part,
            place,
        }
    }

    fn record(&self, event: Event) {
        self.exchange.record(self.part, self.place, event);
    }

    fn inner(&self) -> &Pin<Box<B>> {
        self.inner.as_ref().expect("not dropped")
    }
}

impl<B> ObservedBody<B>
where
    B: Body<Data = Bytes>,
    B::Error: Display,
{
    fn describe(&self, polled: &Poll<Option<Result<Frame<Bytes>, B::Error>>>) -> Event {
        let state = || match self.part {
            Part::Request => State::default(),
            Part::Response => State::from_body(self.inner()),
        };
        match polled {
            Poll::Pending => Event::Pending,
            Poll::Ready(None) => Event::End,
            Poll::Ready(Some(Err(error))) => Event::BodyError(error.to_string()),
            Poll::Ready(Some(Ok(frame))) => match (frame.data_ref(), frame.trailers_ref()) {
                (Some(data), _) => Event::Data(data.clone(), state()),
                (None, trailers) => {
                    let trailers = trailers.expect("data or trailers").clone();
                    Event::Trailers(trailers, state())
                }
            },
        }
    }
}

impl<B> Body for ObservedBody<B>
where
    B: Body<Data = Bytes>,
    B::Error: Display,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let inner = self.inner.as_mut().expect("not dropped").as_mut();
        let polled = catch_unwind(AssertUnwindSafe(|| inner.poll_frame(cx)));
        let polled = polled.unwrap_or_else(|payload| {
            self.record(Event::Panicked);
            resume_unwind(payload)
        });
        self.record(self.describe(&polled));
        polled
    }

    fn is_end_stream(&self) -> bool {
        let value = self.inner().is_end_stream();
        self.record(Event::EndStream(value));
        value
    }

    fn size_hint(&self) -> SizeHint {
        self.inner().size_hint()
    }
}

impl<B> Drop for ObservedBody<B> {
    fn drop(&mut self) {
        if let Some(inner) = self.inner.take() {
            drop(inner);
            let is_unwinding = thread::panicking();
            self.record(Event::Dropped { is_unwinding });
        }
    }
}
