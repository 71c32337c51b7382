//! The ways through a request: what the server does, what the client does, and what must come of it.
//!
//! None of them leaves it to chance who is first: where a client leaves, the server waits for ever, and
//! where the server breaks something, the client waits for that.

use tonic::Code;

use crate::client::Seen::{self, Answered, Broken, Left, Whole};

/// What is spoken.
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

/// One way through a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Path {
    pub(crate) name: &'static str,
    pub(crate) does: Does,
    pub(crate) client: Behaviour,
    /// What the client must see.
    pub(crate) seen: Seen,
    /// What the span must say.
    pub(crate) end: End,
}

/// How a span has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End {
    /// `DEPARTED` or `ABORTED(reason)`.
    pub(crate) outcome: &'static str,
    /// Its status is Error, and there is an `error.type`; else there is neither.
    pub(crate) is_error: bool,
}

impl End {
    const fn fine(outcome: &'static str) -> Self {
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

/// What the server does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Does {
    Http(Answer),
    Grpc(Method, Reply),
}

/// An answer over HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// A body in one piece, with this status.
    Whole(u16),
    /// None.
    Empty(u16),
    /// A body in frames, of unknown length.
    Stream,
    /// One that declares its length, and falls silent after the last byte.
    Declared,
    /// One that declares more than it has.
    TooShort,
    /// Server-sent events, the last of which is this.
    Events(&'static str),
    /// A frame, then silence.
    Silent,
    /// Frames without end.
    Endless,
    /// A frame, then an error.
    BodyFails,
    /// A frame, then a panic.
    BodyPanics,
    /// No head, ever.
    Hangs,
    /// A panic instead of a head.
    Panics,
    /// An error of the service instead of a head.
    ServiceFails,
    /// A body that a middleware throws away unread.
    Discarded,
    /// A body in one piece, and a verdict.
    ToldWhole,
    /// A body in frames, and a verdict with the last one.
    ToldStream,
    /// A frame, then silence; and the handler has said that clients may leave.
    MayLeave,
}

/// A method of the health service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// Unary.
    Check,
    /// Server-streaming: a few messages before whatever is the [`Reply`].
    Watch,
}

/// A reply over gRPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Succeeds,
    Told,
    Fails(Code),
    Panics,
    /// For ever.
    Hangs,
}

/// What the client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// Reads all there is.
    Stays,
    /// The same, of an answer to HEAD.
    AsksForHead,
    /// Leaves while the handler hangs.
    LeavesBeforeHead,
    /// Leaves after this much of the body: bytes, or messages of gRPC.
    LeavesAfter(usize),
    /// Sends a deadline that passes, and waits for the server to notice.
    HasDeadline,
}
use Behaviour::{AsksForHead, HasDeadline, LeavesAfter, LeavesBeforeHead, Stays};

pub(crate) const WHOLE: &str = "a whole answer in one piece\n";
pub(crate) const FRAME: &str = "one frame of some\n";
pub(crate) const FRAMES: usize = 4;
pub(crate) const STREAM: usize = FRAMES * FRAME.len();
pub(crate) const EVENT: &str = "data: {\"token\":\"so\"}\n\n";
pub(crate) const DONE: &str = "data: [DONE]\n\n";
pub(crate) const FAILED: &str = "data: {\"error\":{\"message\":\"out of memory\"}}\n\n";
pub(crate) const MESSAGES: usize = 3;

const DEPARTED: End = End::fine("DEPARTED");
const CLIENT_DISCONNECT: End = End::error("ABORTED(client_disconnect)");
/// It said that it leaves, as calls may; or the handler has said that clients may leave.
const CLIENT_LEAVES: End = End::fine("ABORTED(client_disconnect)");
const CLIENT_ERROR: End = End::fine("ABORTED(client_error)");
const CONTENT_FILTER: End = End::error("ABORTED(content_filter)");
const DEADLINE_EXCEEDED: End = End::error("ABORTED(deadline_exceeded)");
const EXCEPTION: End = End::error("ABORTED(exception)");
const GENERATION_ERROR: End = End::error("ABORTED(generation_error)");
const GENERATOR_EXIT: End = End::error("ABORTED(generator_exit)");
const LENGTH_MISMATCH: End = End::error("ABORTED(length_mismatch)");
const PANIC: End = End::error("ABORTED(panic)");
const VALIDATION_ERROR: End = End::fine("ABORTED(validation_error)");

/// All of them; those over HTTP are told in HTTP/1.1 and in HTTP/2.
#[rustfmt::skip]
pub(crate) const PATHS: &[Path] = &[
    http("whole",                      Answer::Whole(200),    Stays, Whole(200, WHOLE.len()), DEPARTED),
    http("empty",                      Answer::Empty(200),    Stays, Whole(200, 0),           DEPARTED),
    http("HEAD",                       Answer::Whole(200),    AsksForHead, Whole(200, 0),     DEPARTED),
    http("204",                        Answer::Empty(204),    Stays, Whole(204, 0),           DEPARTED),
    http("404",                        Answer::Whole(404),    Stays, Whole(404, WHOLE.len()), CLIENT_ERROR),
    http("422",                        Answer::Empty(422),    Stays, Whole(422, 0),           VALIDATION_ERROR),
    http("500",                        Answer::Empty(500),    Stays, Whole(500, 0),           EXCEPTION),
    http("handler error: 503",         Answer::Whole(503),    Stays, Whole(503, WHOLE.len()), EXCEPTION),
    http("service error",              Answer::ServiceFails,  Stays, Broken,                  EXCEPTION),
    http("handler panic",              Answer::Panics,        Stays, Broken,                  PANIC),
    http("verdict, whole",             Answer::ToldWhole,     Stays, Whole(200, WHOLE.len()), CONTENT_FILTER),
    http("verdict, stream",            Answer::ToldStream,    Stays, Whole(200, STREAM),      GENERATION_ERROR),
    http("stream",                     Answer::Stream,        Stays, Whole(200, STREAM),      DEPARTED),
    http("events, [DONE]",             Answer::Events(DONE),  Stays, Whole(200, EVENT.len() + DONE.len()), DEPARTED),
    http("events, error",              Answer::Events(FAILED), Stays, Whole(200, EVENT.len() + FAILED.len()), GENERATION_ERROR),
    http("Content-Length delivered",   Answer::Declared,      LeavesAfter(STREAM), Left,      DEPARTED),
    http("Content-Length too large",   Answer::TooShort,      Stays, Broken,                  LENGTH_MISMATCH),
    http("body error",                 Answer::BodyFails,     Stays, Broken,                  EXCEPTION),
    http("body panic",                 Answer::BodyPanics,    Stays, Broken,                  PANIC),
    http("unread",                     Answer::Discarded,     Stays, Whole(304, 0),           GENERATOR_EXIT),
    http("client leaves before head",  Answer::Hangs,         LeavesBeforeHead, Left,         CLIENT_DISCONNECT),
    http("client leaves silent body",  Answer::Silent,        LeavesAfter(FRAME.len()), Left, CLIENT_DISCONNECT),
    http("client leaves busy body",    Answer::Endless,       LeavesAfter(FRAME.len()), Left, CLIENT_DISCONNECT),
    http("client may leave",           Answer::MayLeave,      LeavesAfter(FRAME.len()), Left, CLIENT_LEAVES),
    grpc("unary",                      Method::Check, Reply::Succeeds, Stays, Answered(1, Code::Ok),        DEPARTED),
    grpc("messages",                   Method::Watch, Reply::Succeeds, Stays, Answered(MESSAGES, Code::Ok), DEPARTED),
    grpc("NOT_FOUND",                  Method::Check, Reply::Fails(Code::NotFound),    Stays, Answered(0, Code::NotFound),    CLIENT_ERROR),
    grpc("INVALID_ARGUMENT",           Method::Check, Reply::Fails(Code::InvalidArgument), Stays, Answered(0, Code::InvalidArgument), VALIDATION_ERROR),
    grpc("UNAVAILABLE",                Method::Check, Reply::Fails(Code::Unavailable), Stays, Answered(0, Code::Unavailable), EXCEPTION),
    grpc("UNAVAILABLE after messages", Method::Watch, Reply::Fails(Code::Unavailable), Stays, Answered(MESSAGES, Code::Unavailable), EXCEPTION),
    grpc("call: verdict",              Method::Check, Reply::Told,     Stays, Answered(1, Code::Ok),        GENERATION_ERROR),
    grpc("call: panic",                Method::Check, Reply::Panics,   Stays, Broken, PANIC),
    grpc("call: panic after messages", Method::Watch, Reply::Panics,   Stays, Broken, PANIC),
    grpc("call: cancelled before head", Method::Check, Reply::Hangs,   LeavesBeforeHead, Left,              CLIENT_LEAVES),
    grpc("call: cancelled midway",     Method::Watch, Reply::Hangs,    LeavesAfter(MESSAGES), Left,         CLIENT_LEAVES),
    // The server answers in the call's stead, with a status that the layer does not see.
    grpc("call: deadline",             Method::Check, Reply::Hangs,    HasDeadline, Broken, DEADLINE_EXCEEDED),
];

const fn http(name: &'static str, answer: Answer, client: Behaviour, seen: Seen, end: End) -> Path {
    let does = Does::Http(answer);
    Path {
        name,
        does,
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
    let does = Does::Grpc(method, reply);
    Path {
        name,
        does,
        client,
        seen,
        end,
    }
}

impl Path {
    /// Whether the server sends data in an answer that is none of an error, so that there is a first response.
    pub(crate) fn has_first_response(&self) -> bool {
        match self.does {
            Does::Http(Answer::Whole(status)) => status < 400 && self.client != AsksForHead,
            Does::Http(
                Answer::Stream
                | Answer::Declared
                | Answer::TooShort
                | Answer::Events(_)
                | Answer::Silent
                | Answer::Endless
                | Answer::BodyFails
                | Answer::BodyPanics
                | Answer::ToldWhole
                | Answer::ToldStream
                | Answer::MayLeave,
            )
            | Does::Grpc(Method::Watch, _)
            | Does::Grpc(Method::Check, Reply::Succeeds | Reply::Told) => true,
            Does::Http(
                Answer::Empty(_)
                | Answer::Hangs
                | Answer::Panics
                | Answer::ServiceFails
                | Answer::Discarded,
            )
            | Does::Grpc(Method::Check, Reply::Fails(_) | Reply::Panics | Reply::Hangs) => false,
        }
    }

    pub(crate) fn is_of(&self, protocol: Protocol) -> bool {
        matches!(self.does, Does::Grpc(..)) == (protocol == Protocol::Grpc)
    }
}
