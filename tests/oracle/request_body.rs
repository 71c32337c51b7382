//! The body of a request: what its handler reads, and whether the client has disconnected.

use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Version};

use super::{Oracle, text};

/// What the body of a request returns.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RequestFrame {
    /// The poll is pending.
    Pending,
    /// Four bytes.
    Data,
    Trailers,
    /// The error of a client that has disconnected.
    Disconnected,
    OtherError,
    /// An error of the tests, by its place among theirs, and whether its client has disconnected.
    Error(usize, bool),
    /// `None`, from a body whose `is_end_stream` is still false.
    End,
    /// `None`, from a body whose `is_end_stream` is true.
    EndOfStream,
}

/// The size of [`RequestFrame::Data`].
const FRAME: u64 = 4;

/// What is known of the body of a request.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RequestBody {
    /// The Content-Length.
    declared: Option<u64>,
    read: u64,
    is_dropped: bool,
    /// What is read is recorded in the span of a layer inside.
    is_read_inside: bool,
}

impl RequestBody {
    pub(super) fn new(headers: &HeaderMap) -> Self {
        let length = text(headers, &CONTENT_LENGTH);
        Self {
            declared: length.and_then(|length| length.parse().ok()),
            ..Self::default()
        }
    }

    /// Returns the size that is recorded: the bytes that were read, or that are declared.
    pub(super) fn size(self) -> Option<u64> {
        if self.is_read_inside {
            self.declared
        } else {
            Some(self.read)
        }
    }
}

impl Oracle {
    /// A layer inside this one has the span in which a `RequestBodyLayer` records.
    #[must_use]
    pub fn around_another(mut self) -> Self {
        self.request.is_read_inside = true;
        self
    }

    /// The handler drops the body of its request. That alone proves nothing.
    pub(super) fn drop_request(&mut self) {
        self.request.is_dropped = true;
    }

    /// The handler polls the body of its request.
    pub(super) fn read_request(&mut self, frame: RequestFrame) {
        if self.request.is_dropped {
            return;
        }
        match frame {
            RequestFrame::Data => self.request.read += FRAME,
            RequestFrame::Disconnected | RequestFrame::Error(_, true) => self.cut_off_request(),
            // HTTP/2 can reset a stream without an error. Then bytes are missing.
            RequestFrame::End if self.is_request_short() => self.cut_off_request(),
            RequestFrame::End => self.is_request_over = true,
            RequestFrame::Pending
            | RequestFrame::Trailers
            | RequestFrame::OtherError
            | RequestFrame::Error(_, false)
            | RequestFrame::EndOfStream => {}
        }
    }

    fn is_request_short(&self) -> bool {
        let RequestBody { declared, read, .. } = self.request;
        self.version == Version::HTTP_2 && declared.is_some_and(|declared| read < declared)
    }

    fn cut_off_request(&mut self) {
        let is_whole = self.declared.is_some_and(|all| self.delivered >= all);
        self.was_whole_before |= is_whole && !self.is_request_cut_off;
        self.is_request_cut_off = true;
    }
}
