//! The body of the upstream's response, on its way to the client.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::http::HeaderMap;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use crate::core_span::CoreSpan;
use crate::usage::UsageReader;

/// Passes frames on as they come. The upstream's span ends with the last one. If the body is dropped before, because
/// the client has disconnected, the call is cancelled.
pub(crate) struct UpstreamBody {
    body: Incoming,
    usage: UsageReader,
    /// `None` after its end.
    core: Option<CoreSpan>,
}

impl UpstreamBody {
    pub(crate) fn new(body: Incoming, headers: &HeaderMap, core: CoreSpan) -> Self {
        Self {
            body,
            usage: UsageReader::new(headers),
            core: Some(core),
        }
    }

    fn end(&mut self, error: Option<&hyper::Error>) {
        if let Some(core) = self.core.take() {
            core.record_usage(self.usage.finish());
            match error {
                Some(error) => core.end_with_error(error.to_string()),
                None => core.complete(),
            }
        }
    }
}

impl Body for UpstreamBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    self.usage.read(data);
                }
                if self.body.is_end_stream() {
                    self.end(None);
                }
            }
            Some(Err(error)) => self.end(Some(error)),
            None => self.end(None),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for UpstreamBody {
    fn drop(&mut self) {
        // The client may have what it needs: an upstream may linger behind the end of its stream.
        if let Some(core) = self.core.take() {
            if self.body.is_end_stream() {
                core.complete();
            } else {
                core.record_usage(self.usage.finish());
            }
        }
    }
}
