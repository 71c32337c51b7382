//! All paths.

use tonic::Code;

use super::Behaviour::{
    DisconnectsAfter, DisconnectsAfterHead, DisconnectsBeforeHead, FailsUpload, LeavesUpload,
    ReadsAll, ReadsSlowly, SendsHead, SetsDeadline, StopsReadingAfter, Uploads,
};
use super::Length::{Declared, Unknown};
use super::caller::Caller;
use super::{
    Answer, BUFFERED, Behaviour, DONE, EVENT, End, FAILED, FRAME, LARGE, MESSAGES, Method, Path,
    Reply, STREAM, ServerAction, UPLOAD,
};
use crate::client::Seen::{self, Answered, Broken, Complete, Disconnected};
use crate::events::Oversized;

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
const TRUNCATED_STREAM: End = End::error("ABORTED(truncated_stream)");
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
    http("upload, Content-Length",    Answer::ReadsUpload,          Uploads(Declared),             Complete(200, BUFFERED.len()),             DEPARTED),
    http("upload, chunked",           Answer::ReadsUpload,          Uploads(Unknown),              Complete(200, BUFFERED.len()),             DEPARTED),
    http("upload, streamed back",     Answer::Echoes,               Uploads(Unknown),              Complete(200, UPLOAD.len()),               DEPARTED),
    http("upload left, length",       Answer::ReadsUpload,          LeavesUpload(Declared),        Disconnected,                              CLIENT_DISCONNECT),
    http("upload left, chunked",      Answer::ReadsUpload,          LeavesUpload(Unknown),         Disconnected,                              CLIENT_DISCONNECT),
    http("upload fails, length",      Answer::ReadsUpload,          FailsUpload(Declared),         Broken,                                    CLIENT_DISCONNECT),
    http("upload fails, chunked",     Answer::ReadsUpload,          FailsUpload(Unknown),          Broken,                                    CLIENT_DISCONNECT),
    http("upload fails, both ways",   Answer::Echoes,               FailsUpload(Unknown),          Broken,                                    CLIENT_DISCONNECT),
    grpc("call: upload left",         Method::Check, Reply::Succeeds,  LeavesUpload(Unknown),      Disconnected,                              ALLOWED_DISCONNECT),
    grpc("call: upload fails",        Method::Check, Reply::Succeeds,  FailsUpload(Unknown),       Broken,                                    ALLOWED_DISCONNECT),
    http("reset after head",          Answer::HeadOnly,             DisconnectsAfterHead,          Disconnected,                              CLIENT_DISCONNECT),
    http("reset before the end",      Answer::FramesOnly,           DisconnectsAfter(STREAM),      Disconnected,                              CLIENT_DISCONNECT),
    http("slow reader",               Answer::Large,                ReadsSlowly,                   Complete(200, LARGE),                      DEPARTED),
    http("reader stops, then leaves", Answer::Endless,              StopsReadingAfter(1),          Disconnected,                              CLIENT_DISCONNECT),
    oversized("events of a kilobyte",    Oversized::Events,             DEPARTED),
    oversized("lines of a kilobyte",     Oversized::Lines,              DEPARTED),
    oversized("event of a megabyte",     Oversized::MegabyteEvent,      DEPARTED).rarely(),
    oversized("line of a megabyte",      Oversized::MegabyteLine,       DEPARTED).rarely(),
    oversized("error in a megabyte",     Oversized::MegabyteError,      GENERATION_ERROR).rarely(),
    oversized("megabyte without an end", Oversized::MegabyteCutOff,     TRUNCATED_STREAM).rarely(),
    from("trusted caller",             Caller::Trusted),
    from("forged traceparent",         Caller::ForgedTraceparent),
    from("forged B3",                  Caller::ForgedB3),
    from("forged B3, many headers",    Caller::ForgedB3Headers),
    from("forged baggage, tracestate", Caller::ForgedBaggage),
    from("malformed trace headers",    Caller::Malformed),
    from("forged X-Forwarded-For",     Caller::ForgedElement),
    from("Forwarded contradicts",      Caller::Contradiction),
    from("malformed Forwarded",        Caller::MalformedForwarded),
    call_from("call: trusted caller",     Caller::Trusted),
    call_from("call: forged traceparent", Caller::ForgedTraceparent),
    call_from("call: forged baggage",     Caller::ForgedBaggage),
];

const fn http(name: &'static str, answer: Answer, client: Behaviour, seen: Seen, end: End) -> Path {
    path(name, ServerAction::Http(answer), client, seen, end)
}

const fn grpc(
    name: &'static str,
    method: Method,
    reply: Reply,
    client: Behaviour,
    seen: Seen,
    end: End,
) -> Path {
    path(name, ServerAction::Grpc(method, reply), client, seen, end)
}

const fn path(
    name: &'static str,
    server: ServerAction,
    client: Behaviour,
    seen: Seen,
    end: End,
) -> Path {
    Path {
        name,
        server,
        client,
        seen,
        end,
        caller: Caller::Plain,
        is_rare: false,
    }
}

const fn oversized(name: &'static str, events: Oversized, end: End) -> Path {
    let seen = Complete(200, events.bytes());
    http(name, Answer::Oversized(events), ReadsAll, seen, end)
}

/// A request whose headers claim a caller or a proxy.
const fn from(name: &'static str, caller: Caller) -> Path {
    Path {
        caller,
        ..http(
            name,
            Answer::Buffered(200),
            ReadsAll,
            Complete(200, BUFFERED.len()),
            DEPARTED,
        )
    }
}

/// A call whose headers claim a caller.
const fn call_from(name: &'static str, caller: Caller) -> Path {
    let seen = Answered(1, Code::Ok);
    Path {
        caller,
        ..grpc(
            name,
            Method::Check,
            Reply::Succeeds,
            ReadsAll,
            seen,
            DEPARTED,
        )
    }
}

impl Path {
    const fn rarely(self) -> Self {
        Self {
            is_rare: true,
            ..self
        }
    }
}
