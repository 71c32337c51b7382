//! The paths of a request: the server's action, the client's behaviour and the expected results.
//!
//! No path contains a race: where the client disconnects, the server waits for ever, and where the server
//! breaks the response, the client waits for that.

use tonic::Code;

use crate::client::Seen::{self, Answered, Broken, Complete, Disconnected};

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
    const fn unset(outcome: &'static str) -> Self {
        Self {
            outcome,
            is_error: false,
        }
    }

    const fn error(outcome: &'static str) -> Self {
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
    /// Sets a deadline and waits for the server to enforce it.
    SetsDeadline,
}
use Behaviour::{DisconnectsAfter, DisconnectsBeforeHead, ReadsAll, SendsHead, SetsDeadline};

pub(crate) const BUFFERED: &str = "a buffered answer in one piece\n";
pub(crate) const FRAME: &str = "one frame of some\n";
pub(crate) const FRAMES: usize = 4;
pub(crate) const STREAM: usize = FRAMES * FRAME.len();
pub(crate) const EVENT: &str = "data: {\"token\":\"so\"}\n\n";
pub(crate) const DONE: &str = "data: [DONE]\n\n";
pub(crate) const FAILED: &str = "data: {\"error\":{\"message\":\"out of memory\"}}\n\n";
pub(crate) const MESSAGES: usize = 3;

const DEPARTED: End = End::unset("DEPARTED");
const CLIENT_DISCONNECT: End = End::error("ABORTED(client_disconnect)");
/// A cancelled gRPC call, or a disconnection that the handler allows.
const ALLOWED_DISCONNECT: End = End::unset("ABORTED(client_disconnect)");
const CLIENT_ERROR: End = End::unset("ABORTED(client_error)");
const CONTENT_FILTER: End = End::error("ABORTED(content_filter)");
const DEADLINE_EXCEEDED: End = End::error("ABORTED(deadline_exceeded)");
const EXCEPTION: End = End::error("ABORTED(exception)");
const GENERATION_ERROR: End = End::error("ABORTED(generation_error)");
const GENERATOR_EXIT: End = End::error("ABORTED(generator_exit)");
const LENGTH_MISMATCH: End = End::error("ABORTED(length_mismatch)");
const PANIC: End = End::error("ABORTED(panic)");
const VALIDATION_ERROR: End = End::unset("ABORTED(validation_error)");

/// All paths. Paths over HTTP run over HTTP/1.1 and HTTP/2.
#[rustfmt::skip]
pub(crate) const PATHS: &[Path] = &[
    http("buffered",                 Answer::Buffered(200),        ReadsAll,                      Complete(200, BUFFERED.len()),             DEPARTED),
    http("empty",                    Answer::Empty(200),           ReadsAll,                      Complete(200, 0),                          DEPARTED),
    http("HEAD",                     Answer::Buffered(200),        SendsHead,                     Complete(200, 0),                          DEPARTED),
    http("204",                      Answer::Empty(204),           ReadsAll,                      Complete(204, 0),                          DEPARTED),
    http("404",                      Answer::Buffered(404),        ReadsAll,                      Complete(404, BUFFERED.len()),             CLIENT_ERROR),
    http("422",                      Answer::Empty(422),           ReadsAll,                      Complete(422, 0),                          VALIDATION_ERROR),
    http("500",                      Answer::Empty(500),           ReadsAll,                      Complete(500, 0),                          EXCEPTION),
    http("handler error: 503",       Answer::Buffered(503),        ReadsAll,                      Complete(503, BUFFERED.len()),             EXCEPTION),
    http("service error",            Answer::ServiceFails,         ReadsAll,                      Broken,                                    EXCEPTION),
    http("handler panic",            Answer::Panics,               ReadsAll,                      Broken,                                    PANIC),
    http("reported error, buffered", Answer::ReportsErrorBuffered, ReadsAll,                      Complete(200, BUFFERED.len()),             CONTENT_FILTER),
    http("reported error, stream",   Answer::ReportsErrorStream,   ReadsAll,                      Complete(200, STREAM),                     GENERATION_ERROR),
    http("stream",                   Answer::Stream,               ReadsAll,                      Complete(200, STREAM),                     DEPARTED),
    http("events, [DONE]",           Answer::Events(DONE),         ReadsAll,                      Complete(200, EVENT.len() + DONE.len()),   DEPARTED),
    http("events, error",            Answer::Events(FAILED),       ReadsAll,                      Complete(200, EVENT.len() + FAILED.len()), GENERATION_ERROR),
    http("Content-Length delivered", Answer::DeclaredLength,       DisconnectsAfter(STREAM),      Disconnected,                              DEPARTED),
    http("Content-Length too large", Answer::TooShort,             ReadsAll,                      Broken,                                    LENGTH_MISMATCH),
    http("body error",               Answer::BodyFails,            ReadsAll,                      Broken,                                    EXCEPTION),
    http("body panic",               Answer::BodyPanics,           ReadsAll,                      Broken,                                    PANIC),
    http("body dropped unread",      Answer::Discarded,            ReadsAll,                      Complete(304, 0),                          GENERATOR_EXIT),
    http("disconnect before head",   Answer::Hangs,                DisconnectsBeforeHead,         Disconnected,                              CLIENT_DISCONNECT),
    http("disconnect, silent body",  Answer::Silent,               DisconnectsAfter(FRAME.len()), Disconnected,                              CLIENT_DISCONNECT),
    http("disconnect, busy body",    Answer::Endless,              DisconnectsAfter(FRAME.len()), Disconnected,                              CLIENT_DISCONNECT),
    http("disconnect, allowed",      Answer::AllowsDisconnect,     DisconnectsAfter(FRAME.len()), Disconnected,                              ALLOWED_DISCONNECT),
    grpc("unary",                       Method::Check, Reply::Succeeds,                     ReadsAll,                   Answered(1, Code::Ok),                 DEPARTED),
    grpc("messages",                    Method::Watch, Reply::Succeeds,                     ReadsAll,                   Answered(MESSAGES, Code::Ok),          DEPARTED),
    grpc("NOT_FOUND",                   Method::Check, Reply::Fails(Code::NotFound),        ReadsAll,                   Answered(0, Code::NotFound),           CLIENT_ERROR),
    grpc("INVALID_ARGUMENT",            Method::Check, Reply::Fails(Code::InvalidArgument), ReadsAll,                   Answered(0, Code::InvalidArgument),    VALIDATION_ERROR),
    grpc("UNAVAILABLE",                 Method::Check, Reply::Fails(Code::Unavailable),     ReadsAll,                   Answered(0, Code::Unavailable),        EXCEPTION),
    grpc("UNAVAILABLE after messages",  Method::Watch, Reply::Fails(Code::Unavailable),     ReadsAll,                   Answered(MESSAGES, Code::Unavailable), EXCEPTION),
    grpc("call: reported error",        Method::Check, Reply::ReportsError,                 ReadsAll,                   Answered(1, Code::Ok),                 GENERATION_ERROR),
    grpc("call: panic",                 Method::Check, Reply::Panics,                       ReadsAll,                   Broken,                                PANIC),
    grpc("call: panic after messages",  Method::Watch, Reply::Panics,                       ReadsAll,                   Broken,                                PANIC),
    grpc("call: cancelled before head", Method::Check, Reply::Hangs,                        DisconnectsBeforeHead,      Disconnected,                          ALLOWED_DISCONNECT),
    grpc("call: cancelled midway",      Method::Watch, Reply::Hangs,                        DisconnectsAfter(MESSAGES), Disconnected,                          ALLOWED_DISCONNECT),
    // The server itself answers, with a status that the layer does not see.
    grpc("call: deadline",              Method::Check, Reply::Hangs,                        SetsDeadline,               Broken,                                DEADLINE_EXCEEDED),
];

const fn http(name: &'static str, answer: Answer, client: Behaviour, seen: Seen, end: End) -> Path {
    let server = ServerAction::Http(answer);
    Path {
        name,
        server,
        client,
        seen,
        end,
    }
}

const fn grpc(
    name: &'static str,
    method: Method,
    reply: Reply,
    client: Behaviour,
    seen: Seen,
    end: End,
) -> Path {
    let server = ServerAction::Grpc(method, reply);
    Path {
        name,
        server,
        client,
        seen,
        end,
    }
}

impl Path {
    /// Whether the server sends data in a response without an error, which is recorded as a first response.
    pub(crate) fn has_first_response(&self) -> bool {
        match self.server {
            ServerAction::Http(Answer::Buffered(status)) => {
                status < 400 && self.client != SendsHead
            }
            ServerAction::Http(
                Answer::Stream
                | Answer::DeclaredLength
                | Answer::TooShort
                | Answer::Events(_)
                | Answer::Silent
                | Answer::Endless
                | Answer::BodyFails
                | Answer::BodyPanics
                | Answer::ReportsErrorBuffered
                | Answer::ReportsErrorStream
                | Answer::AllowsDisconnect,
            )
            | ServerAction::Grpc(Method::Watch, _)
            | ServerAction::Grpc(Method::Check, Reply::Succeeds | Reply::ReportsError) => true,
            ServerAction::Http(
                Answer::Empty(_)
                | Answer::Hangs
                | Answer::Panics
                | Answer::ServiceFails
                | Answer::Discarded,
            )
            | ServerAction::Grpc(Method::Check, Reply::Fails(_) | Reply::Panics | Reply::Hangs) => {
                false
            }
        }
    }

    pub(crate) fn is_over(&self, protocol: Protocol) -> bool {
        matches!(self.server, ServerAction::Grpc(..)) == (protocol == Protocol::Grpc)
    }
}
