//! The body of a request, which a handler reads frame by frame.

use std::error::Error;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use tower_api_span::RequestBody;

use super::oracle::RequestFrame;
use crate::support::body::header_map;
use crate::support::poll_frame;

type BoxError = Box<dyn Error + Send + Sync>;

/// An error that prints as those of hyper and h2 do, which tests cannot make.
struct Printed(&'static str);

impl fmt::Debug for Printed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Display for Printed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the body fails")
    }
}

impl Error for Printed {}

fn io_error(kind: io::ErrorKind) -> BoxError {
    io::Error::from(kind).into()
}

/// The errors of [`RequestFrame::Error`], and whether each is that of a client that has disconnected.
pub const ERRORS: [(fn() -> BoxError, bool); 14] = [
    (|| io_error(io::ErrorKind::ConnectionReset), true),
    (|| io_error(io::ErrorKind::ConnectionAborted), true),
    (|| io_error(io::ErrorKind::BrokenPipe), true),
    (
        || io::Error::new(io::ErrorKind::BrokenPipe, "gone").into(),
        true,
    ),
    (
        || io::Error::other(io_error(io::ErrorKind::ConnectionReset)).into(),
        true,
    ),
    (
        || axum::Error::new(io_error(io::ErrorKind::ConnectionReset)).into(),
        true,
    ),
    (
        || Printed("hyper::Error(Body, Error { kind: Reset(StreamId(1), CANCEL, Remote) })").into(),
        true,
    ),
    (
        || Printed("Error { kind: GoAway(b\"\", NO_ERROR, Remote) }").into(),
        true,
    ),
    (
        || {
            Printed("hyper::Error(Body, Custom { kind: UnexpectedEof, error: IncompleteBody })")
                .into()
        },
        true,
    ),
    // What a decoder, a limit or the server itself makes.
    (|| io_error(io::ErrorKind::InvalidData), false),
    (|| io_error(io::ErrorKind::UnexpectedEof), false),
    (|| io_error(io::ErrorKind::TimedOut), false),
    (|| io::Error::other("ConnectionReset").into(), false),
    (
        || {
            Printed(
                "hyper::Error(Body, Error { kind: Reset(StreamId(1), PROTOCOL_ERROR, Library) })",
            )
            .into()
        },
        false,
    ),
];

/// Returns in each poll the frame that was chosen last.
#[derive(Clone, Debug, Default)]
pub struct ScriptedRequest(Arc<Mutex<Option<RequestFrame>>>);

impl ScriptedRequest {
    fn frame(&self) -> MutexGuard<'_, Option<RequestFrame>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns a frame as a body does.
fn polled(frame: RequestFrame) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
    Poll::Ready(match frame {
        RequestFrame::Pending => return Poll::Pending,
        RequestFrame::Data => Some(Ok(Frame::data(Bytes::from_static(b"data")))),
        RequestFrame::Trailers => Some(Ok(Frame::trailers(header_map(&[("x-sum", "7")])))),
        RequestFrame::Disconnected => Some(Err(io_error(io::ErrorKind::ConnectionReset))),
        RequestFrame::OtherError => Some(Err(io_error(io::ErrorKind::InvalidData))),
        RequestFrame::Error(which, _) => Some(Err(ERRORS[which].0())),
        RequestFrame::End | RequestFrame::EndOfStream => None,
    })
}

impl Body for ScriptedRequest {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = *self.frame();
        frame.map_or(Poll::Pending, polled)
    }

    fn is_end_stream(&self) -> bool {
        *self.frame() == Some(RequestFrame::EndOfStream)
    }

    fn size_hint(&self) -> SizeHint {
        match *self.frame() {
            Some(RequestFrame::Data) => SizeHint::with_exact(4),
            _ => SizeHint::default(),
        }
    }
}

/// The handler's end of a request.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    pub request: ScriptedRequest,
    body: Arc<Mutex<Option<RequestBody<ScriptedRequest>>>>,
}

impl Reading {
    fn body(&self) -> MutexGuard<'_, Option<RequestBody<ScriptedRequest>>> {
        self.body.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the body, as the layer has wrapped it.
    pub fn begin(&self, body: RequestBody<ScriptedRequest>) {
        *self.body() = Some(body);
    }

    /// Drops the body.
    pub fn drop_body(&self) {
        drop(self.body().take());
    }

    /// Reads a frame, which is this one, and checks that the layer has not changed it.
    pub fn read(&self, frame: RequestFrame) {
        *self.request.frame() = Some(frame);
        if let Some(body) = &mut *self.body() {
            let read = poll_frame(body);
            assert_eq!(shown(&read), shown(&polled(frame)), "the frame");
            assert_eq!(body.is_end_stream(), self.request.is_end_stream());
            let (size, bare) = (body.size_hint(), self.request.size_hint());
            assert_eq!(size.exact(), bare.exact(), "the size");
            assert_eq!(size.lower(), bare.lower(), "the size");
        }
    }
}

/// What a poll of a body has returned.
#[derive(Debug, PartialEq)]
enum Shown {
    Pending,
    Data(Bytes),
    Trailers(HeaderMap),
    Error(String),
    End,
}

fn shown(polled: &Poll<Option<Result<Frame<Bytes>, BoxError>>>) -> Shown {
    let frame = match polled {
        Poll::Pending => return Shown::Pending,
        Poll::Ready(None) => return Shown::End,
        Poll::Ready(Some(Err(error))) => return Shown::Error(format!("{error:?}")),
        Poll::Ready(Some(Ok(frame))) => frame,
    };
    match (frame.data_ref(), frame.trailers_ref()) {
        (Some(data), _) => Shown::Data(data.clone()),
        (_, Some(trailers)) => Shown::Trailers(trailers.clone()),
        _ => unreachable!("a frame is data or trailers"),
    }
}
