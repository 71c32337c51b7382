//! The events that an observer logs.

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body::Body;

/// The place of an observer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Place {
    Outside,
    Inside,
}

/// One thing that passed an observer.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The service was called with this head: method, target, version and headers.
    Called(String),
    /// The future, or the body, was polled and is pending.
    Pending,
    Head(StatusCode, HeaderMap, State),
    ServiceError(String),
    Data(Bytes, State),
    Trailers(HeaderMap, State),
    BodyError(String),
    /// The body returned `None`.
    End,
    Panicked,
    /// The future was dropped before its response, or the body was dropped.
    Dropped {
        is_unwinding: bool,
    },
    /// The value of `is_end_stream` that the reader of the body got.
    EndStream(bool),
}

/// What a response body reports about itself, read after a head or a frame.
///
/// A request body has none: hyper changes it while a request arrives, between two reads.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct State {
    pub is_end_stream: bool,
    pub exact_size: Option<u64>,
}

impl State {
    pub fn from_body(body: &impl Body) -> Self {
        Self {
            is_end_stream: body.is_end_stream(),
            exact_size: body.size_hint().exact(),
        }
    }
}

impl Event {
    pub fn called<B>(request: &Request<B>) -> Self {
        let (method, uri, version) = (request.method(), request.uri(), request.version());
        Self::Called(format!(
            "{method} {uri} {version:?} {:?}",
            request.headers()
        ))
    }

    /// Whether both observers must log it. A reader may call `is_end_stream` at any time, and so may the layer.
    pub fn is_compared(&self) -> bool {
        !matches!(self, Self::EndStream(_))
    }
}
