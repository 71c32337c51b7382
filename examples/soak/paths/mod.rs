//! The paths of a request: the server's action, the client's behaviour and the expected results.
//!
//! No path contains a race: where the client disconnects, the server waits for ever, and where the server
//! breaks the response, the client waits for that.

mod caller;
mod table;

use tonic::Code;

pub(crate) use caller::{BAGGAGE, CALLER_TRACE, Caller};
pub(crate) use table::PATHS;

use crate::client::Seen;
use crate::events::Oversized;

/// The protocol of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
    Grpc,
}

impl Protocol {
    pub(crate) const ALL: [Self; 3] = [Self::Http1, Self::Http2, Self::Grpc];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Http1 => "HTTP/1.1",
            Self::Http2 => "HTTP/2",
            Self::Grpc => "gRPC",
        }
    }
}

/// One path of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Path {
    pub(crate) name: &'static str,
    pub(crate) server: ServerAction,
    pub(crate) client: Behaviour,
    /// The expected view of the client.
    pub(crate) seen: Seen,
    /// The expected end of the span.
    pub(crate) end: End,
    /// The headers by which the request claims a caller or a proxy.
    pub(crate) caller: Caller,
    /// Whether it is taken in a few rounds only, because it is expensive.
    pub(crate) is_rare: bool,
}

/// The end of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End {
    /// `DEPARTED` or `ABORTED(reason)`.
    pub(crate) outcome: &'static str,
    /// Whether the status is Error and `error.type` is set. Otherwise neither is.
    pub(crate) is_error: bool,
}

impl End {
    pub(super) const fn unset(outcome: &'static str) -> Self {
        Self {
            outcome,
            is_error: false,
        }
    }

    pub(super) const fn error(outcome: &'static str) -> Self {
        Self {
            outcome,
            is_error: true,
        }
    }
}

/// The server's action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ServerAction {
    Http(Answer),
    Grpc(Method, Reply),
}

/// An answer over HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// A body in one piece, with this status.
    Buffered(u16),
    /// An empty body, with this status.
    Empty(u16),
    /// A body in frames, of unknown length.
    Stream,
    /// A body with a Content-Length, which is pending after its last byte.
    DeclaredLength,
    /// A body with a Content-Length that is too large.
    TooShort,
    /// Server-sent events that end with this one.
    Events(&'static str),
    /// A frame; then the body is pending.
    Silent,
    /// An endless body.
    Endless,
    /// A frame, then an error.
    BodyFails,
    /// A frame, then a panic.
    BodyPanics,
    /// No head: the handler hangs.
    Hangs,
    /// A panic instead of a head.
    Panics,
    /// A service error instead of a head.
    ServiceFails,
    /// A body that a middleware drops unread.
    Discarded,
    /// A body in one piece; the handler reports an error.
    ReportsErrorBuffered,
    /// A body in frames; the handler reports an error with the last one.
    ReportsErrorStream,
    /// A frame; then the body is pending. The handler allows disconnection.
    AllowsDisconnect,
    /// The head; then the body is pending. The client is signalled when the body is polled.
    HeadOnly,
    /// All frames; then the body is pending.
    FramesOnly,
    /// A body of [`LARGE`] bytes.
    Large,
    /// Events that are longer than the layer keeps.
    Oversized(Oversized),
    /// Reads the whole request: 200, or 400 if that fails.
    ReadsUpload,
    /// Streams the request back.
    Echoes,
}

/// A method of the health service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// Unary.
    Check,
    /// Server-streaming: some messages, then the [`Reply`].
    Watch,
}

/// A reply over gRPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Succeeds,
    ReportsError,
    Fails(Code),
    Panics,
    /// Hangs for ever.
    Hangs,
}

pub(crate) const BUFFERED: &str = "a buffered answer in one piece\n";
pub(crate) const FRAME: &str = "one frame of some\n";
pub(crate) const FRAMES: usize = 4;
pub(crate) const STREAM: usize = FRAMES * FRAME.len();
pub(crate) const EVENT: &str = "data: {\"token\":\"so\"}\n\n";
pub(crate) const DONE: &str = "data: [DONE]\n\n";
pub(crate) const FAILED: &str = "data: {\"error\":{\"message\":\"out of memory\"}}\n\n";
pub(crate) const MESSAGES: usize = 3;
/// The length of a large body: more than the window of an HTTP/2 stream.
pub(crate) const LARGE: usize = 8 * 16 * 1_024;
/// A request to a language model.
pub(crate) const UPLOAD: &str =
    "{\"model\":\"soak\",\"stream\":true,\"max_tokens\":16,\"messages\":[{\"content\":\"so\"}]}";

/// The client's behaviour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// Reads the whole response.
    ReadsAll,
    /// Sends HEAD and reads the whole response.
    SendsHead,
    /// Disconnects while the handler hangs.
    DisconnectsBeforeHead,
    /// Disconnects after this much of the body, in bytes or gRPC messages.
    DisconnectsAfter(usize),
    /// Disconnects while the body of the response is pending, before its first frame.
    DisconnectsAfterHead,
    /// Sets a deadline and waits for the server to enforce it.
    SetsDeadline,
    /// Pauses after each frame.
    ReadsSlowly,
    /// Stops reading after this much of the body, and disconnects later.
    StopsReadingAfter(usize),
    /// Sends a body, with a Content-Length if it is declared, and reads the whole response.
    Uploads(Length),
    /// Disconnects in the middle of its body, while the server reads that. HTTP/1.1 closes the connection, every other
    /// time with RST. HTTP/2 resets the stream with `CANCEL`.
    LeavesUpload(Length),
    /// The body fails in its middle, while the server reads that. HTTP/2 resets the stream with
    /// `INTERNAL_ERROR`.
    FailsUpload(Length),
}

/// Whether the length of an upload is declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    /// By a Content-Length.
    Declared,
    /// Chunked over HTTP/1.1.
    Unknown,
}

impl Behaviour {
    /// Whether the client disconnects when the server signals that it has got so far.
    pub(crate) fn waits_for_signal(self) -> bool {
        matches!(
            self,
            Self::DisconnectsBeforeHead
                | Self::DisconnectsAfterHead
                | Self::LeavesUpload(_)
                | Self::FailsUpload(_)
        )
    }

    /// Returns whether the length of the upload is declared, if the client uploads.
    pub(crate) fn upload_length(self) -> Option<Length> {
        if let Self::Uploads(length) | Self::LeavesUpload(length) | Self::FailsUpload(length) = self
        {
            return Some(length);
        }
        None
    }

    /// Whether the request is cut off in the middle of its body.
    pub(crate) fn cuts_upload(self) -> bool {
        matches!(self, Self::LeavesUpload(_) | Self::FailsUpload(_))
    }
}

impl Path {
    /// Whether the server sends data in a response without an error, which is recorded as a first response.
    pub(crate) fn has_first_response(&self) -> bool {
        match self.server {
            ServerAction::Http(Answer::Buffered(status)) => {
                status < 400 && self.client != Behaviour::SendsHead
            }
            ServerAction::Http(Answer::ReadsUpload)
            | ServerAction::Grpc(Method::Check, Reply::Succeeds) => !self.client.cuts_upload(),
            ServerAction::Http(
                Answer::Empty(_)
                | Answer::Hangs
                | Answer::HeadOnly
                | Answer::Panics
                | Answer::ServiceFails
                | Answer::Discarded,
            )
            | ServerAction::Grpc(Method::Check, Reply::Fails(_) | Reply::Panics | Reply::Hangs) => {
                false
            }
            ServerAction::Http(_)
            | ServerAction::Grpc(Method::Watch, _)
            | ServerAction::Grpc(Method::Check, Reply::ReportsError) => true,
        }
    }

    /// Whether the response fills the buffers of the connection.
    pub(crate) fn is_large(&self) -> bool {
        let is_large = matches!(
            self.server,
            ServerAction::Http(Answer::Large | Answer::Endless)
        );
        self.is_rare || is_large
    }

    /// Whether the layer emits a log event: for an ending that is more than a status.
    pub(crate) fn has_log_event(&self) -> bool {
        match self.end.outcome {
            "DEPARTED" | "ABORTED(client_error)" | "ABORTED(validation_error)" => false,
            "ABORTED(exception)" => matches!(
                self.server,
                ServerAction::Http(Answer::ServiceFails | Answer::BodyFails)
            ),
            _ => true,
        }
    }

    /// Returns the expected end of the span of a layer outside. What the handler reports is recorded on the innermost.
    pub(crate) fn outer_end(&self) -> End {
        match self.server {
            ServerAction::Http(Answer::ReportsErrorBuffered | Answer::ReportsErrorStream)
            | ServerAction::Grpc(_, Reply::ReportsError) => End::unset("DEPARTED"),
            ServerAction::Http(Answer::AllowsDisconnect) => {
                End::error("ABORTED(client_disconnect)")
            }
            ServerAction::Http(_) | ServerAction::Grpc(..) => self.end,
        }
    }

    pub(crate) fn is_over(&self, protocol: Protocol) -> bool {
        matches!(self.server, ServerAction::Grpc(..)) == (protocol == Protocol::Grpc)
    }
}
