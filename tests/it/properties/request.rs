//! The body of a request, which a handler reads frame by frame.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame};
use tower_api_span::RequestBody;

use super::oracle::RequestFrame;
use crate::support::poll_frame;

/// Returns in each poll the frame that was chosen last.
#[derive(Clone, Debug, Default)]
pub struct ScriptedRequest(Arc<Mutex<Option<RequestFrame>>>);

impl Body for ScriptedRequest {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let frame = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match frame {
            None => Poll::Pending,
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
    /// Keeps the body, as the layer has wrapped it.
    pub fn begin(&self, body: RequestBody<ScriptedRequest>) {
        *self.body.lock().unwrap_or_else(PoisonError::into_inner) = Some(body);
    }

    /// Reads a frame, which is this one.
    pub fn read(&self, frame: RequestFrame) {
        *self
            .request
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(frame);
        let mut body = self.body.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(body) = &mut *body {
            let polled = poll_frame(body);
            let is_error = matches!(polled, Poll::Ready(Some(Err(_))));
            let expected = matches!(frame, RequestFrame::Disconnected | RequestFrame::OtherError);
            assert_eq!(is_error, expected, "the frame is returned unchanged");
        }
    }
}
