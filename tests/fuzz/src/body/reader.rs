//! Who reads a response, and what is seen of it.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::buf::Chain;
use bytes::{Buf, Bytes};
use http::{HeaderMap, HeaderValue, Response};
use http_body::{Body, Frame};

use super::model::Saw;
use super::parts::Boom;
use crate::exchange::poll_frame;

/// What a reader has of one response.
pub enum Reader<B> {
    Future(Pin<Box<dyn Future<Output = Result<Response<B>, Boom>>>>),
    Body(Box<B>),
    Gone,
}

/// What a reader sees when it asks: whether the body is at its end, and how long it is; nothing if that
/// panics.
pub type Asked = Option<(bool, u64, Option<u64>)>;

pub type Data = Chain<Bytes, Bytes>;

impl<B> Reader<B>
where
    B: Body<Data = Data, Error = Boom> + Unpin,
{
    pub fn future(future: impl Future<Output = Result<Response<B>, Boom>> + 'static) -> Self {
        Self::Future(Box::pin(future))
    }

    pub fn poll(&mut self) -> (Saw, Option<(u16, HeaderMap)>) {
        let saw = catch_unwind(AssertUnwindSafe(|| match self {
            Self::Future(future) => {
                match future
                    .as_mut()
                    .poll(&mut Context::from_waker(Waker::noop()))
                {
                    Poll::Pending => (Saw::Pending, None),
                    Poll::Ready(Err(Boom)) => (Saw::ServiceError, None),
                    Poll::Ready(Ok(response)) => {
                        let (parts, body) = response.into_parts();
                        *self = Self::Body(Box::new(body));
                        (Saw::Head, Some((parts.status.as_u16(), parts.headers)))
                    }
                }
            }
            Self::Body(body) => {
                let saw = match poll_frame(body.as_mut()) {
                    Poll::Pending => Saw::Pending,
                    Poll::Ready(None) => Saw::None,
                    Poll::Ready(Some(Err(Boom))) => Saw::Error,
                    Poll::Ready(Some(Ok(frame))) => saw(frame),
                };
                (saw, None)
            }
            Self::Gone => unreachable!("nothing is left to poll"),
        }));
        saw.unwrap_or((Saw::Panic, None))
    }

    pub fn ask(&self) -> Asked {
        let Self::Body(body) = self else {
            return None;
        };
        let asked = catch_unwind(AssertUnwindSafe(|| {
            let hint = body.size_hint();
            (body.is_end_stream(), hint.lower(), hint.upper())
        }));
        asked.ok()
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

fn saw(frame: Frame<Data>) -> Saw {
    match frame.into_data() {
        Ok(mut data) => {
            let is_contiguous = data.chunk().len() == data.remaining();
            let length = data.remaining();
            Saw::Data(data.copy_to_bytes(length).into(), is_contiguous)
        }
        Err(frame) => {
            let trailers = frame.trailers_ref().expect("data or trailers").iter();
            let text = |value: &HeaderValue| value.to_str().expect("text").to_owned();
            Saw::Trailers(
                trailers
                    .map(|(name, value)| (name.to_string(), text(value)))
                    .collect(),
            )
        }
    }
}
