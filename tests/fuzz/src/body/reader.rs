//! A reader of a response: what it observes of the future and of the body.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::buf::Chain;
use bytes::{Buf, Bytes};
use http::Response;
use http_body::{Body, Frame};

use super::parts::Boom;
use crate::exchange::poll_frame;
use crate::oracle::{BodyHints, Polled};

/// What a reader holds of one response.
pub enum Reader<B> {
    Future(Pin<Box<dyn Future<Output = Result<Response<B>, Boom>>>>),
    Body(Box<B>),
    Gone,
}

pub type Data = Chain<Bytes, Bytes>;

impl<B> Reader<B>
where
    B: Body<Data = Data, Error = Boom> + Unpin,
{
    pub fn future(future: impl Future<Output = Result<Response<B>, Boom>> + 'static) -> Self {
        Self::Future(Box::pin(future))
    }

    pub fn poll(&mut self) -> Polled {
        let polled = catch_unwind(AssertUnwindSafe(|| match self {
            Self::Future(future) => {
                let mut cx = Context::from_waker(Waker::noop());
                match future.as_mut().poll(&mut cx) {
                    Poll::Pending => Polled::Pending,
                    Poll::Ready(Err(Boom)) => Polled::ServiceError,
                    Poll::Ready(Ok(response)) => {
                        let (parts, body) = response.into_parts();
                        *self = Self::Body(Box::new(body));
                        Polled::Head(parts.status.as_u16(), parts.headers)
                    }
                }
            }
            Self::Body(body) => match poll_frame(body.as_mut()) {
                Poll::Pending => Polled::Pending,
                Poll::Ready(None) => Polled::EndOfBody,
                Poll::Ready(Some(Err(Boom))) => Polled::BodyError,
                Poll::Ready(Some(Ok(frame))) => polled(frame),
            },
            Self::Gone => unreachable!("the reader has dropped it"),
        }));
        polled.unwrap_or(Polled::Panic)
    }

    /// Returns the hints of the body; `None` if it panics.
    pub fn hints(&self) -> Option<BodyHints> {
        let Self::Body(body) = self else {
            return None;
        };
        catch_unwind(AssertUnwindSafe(|| BodyHints::from_body(body.as_ref()))).ok()
    }

    pub fn drop(&mut self, is_unwinding: bool) {
        let dropped = std::mem::replace(self, Self::Gone);
        let dropped = catch_unwind(AssertUnwindSafe(move || {
            let _dropped = dropped;
            if is_unwinding {
                resume_unwind(Box::new("elsewhere"));
            }
        }));
        assert_eq!(dropped.is_err(), is_unwinding, "a panic while dropping");
    }
}

fn polled(frame: Frame<Data>) -> Polled {
    match frame.into_data() {
        Ok(mut data) => {
            let is_contiguous = data.chunk().len() == data.remaining();
            let length = data.remaining();
            Polled::Data(data.copy_to_bytes(length), is_contiguous)
        }
        Err(frame) => Polled::Trailers(frame.into_trailers().expect("data or trailers")),
    }
}
