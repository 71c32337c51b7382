//! A scripted body, which may report a wrong end and a wrong size.

use std::collections::VecDeque;
use std::fmt;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::{Body, Frame, SizeHint};

/// The result of one poll of the body.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Pending, and wakes the task.
    Pending,
    /// Pending for ever, without a wake-up.
    Silent,
    /// A data frame of this many bytes.
    Data(usize),
    /// A data frame of these bytes.
    Bytes(&'static [u8]),
    /// A data frame: this range of the body's text.
    Slice(usize, usize),
    /// Data frames of this many bytes, without end.
    Forever(usize),
    Trailers(&'static [(&'static str, &'static str)]),
    Error,
    Panic,
    /// `None`. Later steps are the results of polls after the end.
    End,
}

/// The value of `is_end_stream`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Says {
    /// True once the script is at its end.
    Truth,
    /// This value, whatever is true.
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

/// A body whose polls return the steps of a script, and then `None`.
///
/// By default it behaves as most streams do: its size is unknown, and `is_end_stream` is always false.
pub struct ScriptedBody {
    steps: VecDeque<Step>,
    end_stream: Says,
    size: Option<u64>,
    text: Bytes,
    on_poll: Option<Box<dyn FnMut() + Send + Sync>>,
    on_drop: Option<Box<dyn FnMut() + Send + Sync>>,
}

impl ScriptedBody {
    pub fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        Self {
            steps: steps.into_iter().collect(),
            end_stream: Says::Always(false),
            size: None,
            text: Bytes::new(),
            on_poll: None,
            on_drop: None,
        }
    }

    /// Returns a body that reports its exact size and its end, as `Full` does.
    pub fn full(bytes: usize) -> Self {
        let steps = (bytes > 0).then_some(Step::Data(bytes));
        Self::new(steps).saying(Says::Truth).sized(bytes as u64)
    }

    /// Sets the value of `is_end_stream`.
    pub fn saying(mut self, end_stream: Says) -> Self {
        self.end_stream = end_stream;
        self
    }

    /// Sets the exact size that `size_hint` reports before the first frame.
    pub fn sized(mut self, size: u64) -> Self {
        self.size = Some(size);
        self
    }

    /// Sets the text that [`Step::Slice`] refers to.
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
            // Not `panic!`: the panic hook would print thousands of messages in a property test.
            Some(Step::Panic) => resume_unwind(Box::new("the body panics")),
            Some(Step::End) | None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self.end_stream {
            Says::Truth => self.steps.is_empty(),
            Says::Always(value) => value,
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
