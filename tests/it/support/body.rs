//! A body by script, which can lie about its end and its size.

use std::collections::VecDeque;
use std::fmt;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::{Body, Frame, SizeHint};

/// What one poll of the body gives.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Not yet, but soon.
    Pending,
    /// Not yet, and never.
    Silent,
    Data(usize),
    /// Data of these bytes.
    Bytes(&'static [u8]),
    /// Data from the body's text, from the one place to the other.
    Slice(usize, usize),
    /// Data, and then the same again.
    Forever(usize),
    Trailers(&'static [(&'static str, &'static str)]),
    Error,
    Panic,
    /// `None`, and whatever follows in the script is what a poll after the end gives.
    End,
}

/// What the body says when it is asked whether it is at its end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Says {
    /// Whether its script is at its end.
    Truth,
    Always(bool),
}

/// The error of a body or a service.
#[derive(Clone, Debug, PartialEq)]
pub struct Boom;

impl fmt::Display for Boom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("boom")
    }
}

impl std::error::Error for Boom {}

/// A body whose polls give the steps of a script, and then `None`.
///
/// By default it says of itself what most streams do: that it does not know its size, and that it
/// is not at its end until it is polled to `None`.
pub struct ScriptedBody {
    steps: VecDeque<Step>,
    says: Says,
    size: Option<u64>,
    text: Bytes,
    on_poll: Option<Box<dyn FnMut() + Send + Sync>>,
    on_drop: Option<Box<dyn FnMut() + Send + Sync>>,
}

impl ScriptedBody {
    pub fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        Self {
            steps: steps.into_iter().collect(),
            says: Says::Always(false),
            size: None,
            text: Bytes::new(),
            on_poll: None,
            on_drop: None,
        }
    }

    /// A body that knows how long it is and when it is over, as `Full` does.
    pub fn full(bytes: usize) -> Self {
        let steps = (bytes > 0).then_some(Step::Data(bytes));
        Self::new(steps).saying(Says::Truth).sized(bytes as u64)
    }

    pub fn saying(mut self, says: Says) -> Self {
        self.says = says;
        self
    }

    pub fn sized(mut self, size: u64) -> Self {
        self.size = Some(size);
        self
    }

    /// The same, whose slices are of this text.
    pub fn reading(mut self, text: Bytes) -> Self {
        self.text = text;
        self
    }

    pub fn on_poll(mut self, f: impl FnMut() + Send + Sync + 'static) -> Self {
        self.on_poll = Some(Box::new(f));
        self
    }

    pub fn on_drop(mut self, f: impl FnMut() + Send + Sync + 'static) -> Self {
        self.on_drop = Some(Box::new(f));
        self
    }
}

impl Body for ScriptedBody {
    type Data = Bytes;
    type Error = Boom;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Boom>>> {
        if let Some(on_poll) = &mut self.on_poll {
            on_poll();
        }
        match self.steps.pop_front() {
            Some(Step::Pending) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Some(Step::Silent) => {
                self.steps.push_front(Step::Silent);
                Poll::Pending
            }
            Some(Step::Forever(bytes)) => {
                self.steps.push_front(Step::Forever(bytes));
                Poll::Ready(Some(Ok(Frame::data(Bytes::from(vec![b'x'; bytes])))))
            }
            Some(Step::Data(bytes)) => {
                if let Some(size) = &mut self.size {
                    *size = size.saturating_sub(bytes as u64);
                }
                Poll::Ready(Some(Ok(Frame::data(Bytes::from(vec![b'x'; bytes])))))
            }
            Some(Step::Bytes(bytes)) => {
                if let Some(size) = &mut self.size {
                    *size = size.saturating_sub(bytes.len() as u64);
                }
                Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(bytes)))))
            }
            Some(Step::Slice(from, to)) => {
                let bytes = self.text.slice(from..to);
                if let Some(size) = &mut self.size {
                    *size = size.saturating_sub(bytes.len() as u64);
                }
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Some(Step::Trailers(trailers)) => {
                Poll::Ready(Some(Ok(Frame::trailers(header_map(trailers)))))
            }
            Some(Step::Error) => Poll::Ready(Some(Err(Boom))),
            // Not `panic!`, which would run the hook, and thousands of times in a property.
            Some(Step::Panic) => resume_unwind(Box::new("the body panics")),
            Some(Step::End) | None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self.says {
            Says::Truth => self.steps.is_empty(),
            Says::Always(says) => says,
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.size
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl Drop for ScriptedBody {
    fn drop(&mut self) {
        if let Some(on_drop) = &mut self.on_drop {
            on_drop();
        }
    }
}

impl fmt::Debug for ScriptedBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ScriptedBody").field(&self.steps).finish()
    }
}

pub fn header_map(headers: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
    }
    map
}
