//! What every shape should come to.

use super::got::Got;
use super::servers::Family::{self, Http1, Http2};
use super::servers::Server;
use super::table::Exception;

/// What the client should get.
#[derive(Clone, Copy, Debug)]
pub enum Client {
    /// A complete message of this status with this many bytes.
    Whole(u16, usize),
    /// Less than that. How much less depends on what was flushed in time.
    Broken,
}
use Client::{Broken, Whole};

impl Client {
    pub fn is(self, got: &Got) -> bool {
        match (self, got) {
            (Whole(status, bytes), got) => *got == Got::Whole { status, bytes },
            (Broken, got) => matches!(got, Got::Cut { .. } | Got::Nothing { .. }),
        }
    }
}

/// What the client gets, and the outcome in the span.
pub type Expected = (Client, &'static str);

const DEPARTED: &str = "DEPARTED";
const EXCEPTION: &str = "ABORTED(exception)";
const LENGTH_MISMATCH: &str = "ABORTED(length_mismatch)";
const PANIC: &str = "ABORTED(panic)";

/// A 200 with all 15 bytes, as most shapes have them.
const ALL_15: Expected = (Whole(200, 15), DEPARTED);
const NO_BYTES: Expected = (Whole(200, 0), DEPARTED);
/// The server stops at the length that was declared, and asks for no more.
const FIRST_10: Expected = (Whole(200, 10), DEPARTED);
const FAILED: Expected = (Broken, EXCEPTION);
const PANICKED: Expected = (Broken, PANIC);
const MISMATCHED: Expected = (Broken, LENGTH_MISMATCH);
/// hyper checks its own headers in debug builds, where a wrong one is a panic.
const CHECKED: Expected = if cfg!(debug_assertions) {
    PANICKED
} else {
    MISMATCHED
};

/// The shape, and what it comes to over HTTP/1 and over HTTP/2.
#[rustfmt::skip]
const TABLE: &[(&str, Expected, Expected)] = &[
    ("full",                             ALL_15,                        ALL_15),
    ("empty",                            NO_BYTES,                      NO_BYTES),
    ("empty of unknown size",            NO_BYTES,                      NO_BYTES),
    ("stream",                           ALL_15,                        ALL_15),
    ("stream of no frames",              NO_BYTES,                      NO_BYTES),
    ("stream with empty frames",         (Whole(200, 5), DEPARTED),     (Whole(200, 5), DEPARTED)),
    ("stream that knows its end",        ALL_15,                        ALL_15),
    ("stream of a known size",           ALL_15,                        ALL_15),
    ("size hint too large",              MISMATCHED,                    MISMATCHED),
    ("size hint too small",              FIRST_10,                      MISMATCHED),
    ("size hint that cuts a frame",      (Whole(200, 10), LENGTH_MISMATCH), MISMATCHED),
    ("content-length",                   ALL_15,                        ALL_15),
    // Over HTTP/1 nobody asks for what comes after the last byte.
    ("content-length, then an error",    ALL_15,                        FAILED),
    ("content-length, then more data",   ALL_15,                        MISMATCHED),
    ("content-length too large",         MISMATCHED,                    MISMATCHED),
    ("content-length too small",         FIRST_10,                      MISMATCHED),
    ("content-length that cuts a frame", (Whole(200, 10), LENGTH_MISMATCH), MISMATCHED),
    ("content-length 0, but data",       NO_BYTES,                      MISMATCHED),
    ("full, content-length too large",   CHECKED,                       MISMATCHED),
    ("full, content-length too small",   CHECKED,                       MISMATCHED),
    ("103",                              (Whole(500, 0), EXCEPTION),    FAILED),
    ("204",                              (Whole(204, 0), DEPARTED),     (Whole(204, 0), DEPARTED)),
    // A body that can't be there is sent all the same over HTTP/2. This client takes it.
    ("204 with a body",                  (Whole(204, 0), DEPARTED),     (Whole(204, 15), DEPARTED)),
    ("204 with a stream",                (Whole(204, 0), DEPARTED),     (Whole(204, 15), DEPARTED)),
    ("204 with an error",                (Whole(204, 0), DEPARTED),     (Broken, DEPARTED)),
    ("205 with a body",                  (Whole(205, 15), DEPARTED),    (Whole(205, 15), DEPARTED)),
    ("304",                              (Whole(304, 0), DEPARTED),     (Whole(304, 0), DEPARTED)),
    ("304 with a body",                  (Whole(304, 0), DEPARTED),     (Whole(304, 15), DEPARTED)),
    ("304 with a stream",                (Whole(304, 0), DEPARTED),     (Whole(304, 15), DEPARTED)),
    ("HEAD",                             NO_BYTES,                      (Broken, DEPARTED)),
    ("HEAD with a stream",               NO_BYTES,                      (Broken, DEPARTED)),
    ("HEAD with an error",               NO_BYTES,                      (Broken, DEPARTED)),
    ("400",        (Whole(400, 15), "ABORTED(validation_error)"), (Whole(400, 15), "ABORTED(validation_error)")),
    ("404",        (Whole(404, 15), "ABORTED(client_error)"),     (Whole(404, 15), "ABORTED(client_error)")),
    ("500",        (Whole(500, 15), EXCEPTION),                   (Whole(500, 15), EXCEPTION)),
    ("trailers",                         ALL_15,                        ALL_15),
    ("trailers nobody asked for",        ALL_15,                        ALL_15),
    ("content-length and trailers",      ALL_15,                        ALL_15),
    ("error at once",                    FAILED,                        FAILED),
    ("error midway",                     FAILED,                        FAILED),
    ("body panics at once",              PANICKED,                      PANICKED),
    ("body panics midway",               PANICKED,                      PANICKED),
    ("handler panics",                   PANICKED,                      PANICKED),
    // HTTP/1 alone: the last column is not asked for.
    ("HTTP/1.0 full",                    ALL_15,                        ALL_15),
    ("HTTP/1.0 stream",                  (Whole(200, 10), DEPARTED),    (Whole(200, 10), DEPARTED)),
    ("HTTP/1.0 error midway",            (Whole(200, 5), EXCEPTION),    FAILED),
];

/// Where client and span can't tell the same story.
pub const EXCEPTIONS: &[Exception] = &[
    (Http1, "HTTP/1.0 error midway", CLOSE_IS_END),
    (Http1, "content-length that cuts a frame", CUT),
    (Http1, "size hint that cuts a frame", CUT),
    (Http2, "HEAD", SENT_ALL_THE_SAME),
    (Http2, "HEAD with a stream", SENT_ALL_THE_SAME),
    (Http2, "HEAD with an error", POLLED_ALL_THE_SAME),
    (Http2, "204 with an error", POLLED_ALL_THE_SAME),
];

const CLOSE_IS_END: &str =
    "the end of the connection is the end of the message, whatever the reason";
const CUT: &str = "the server drops the bytes that are too many, and the client misses none";
const SENT_ALL_THE_SAME: &str = "hyper sends a body that can't be there, and the client resets";
const POLLED_ALL_THE_SAME: &str = "hyper polls a body that can't be there, and resets on its error";

/// What a shape should come to on a server.
pub fn expected(server: Server, shape: &str) -> Expected {
    if server.empties_heads() && shape.starts_with("HEAD") {
        return NO_BYTES;
    }
    let row = TABLE.iter().find(|(name, ..)| *name == shape);
    let (_, http1, http2) = row.unwrap_or_else(|| panic!("{shape} is not in the table"));
    match server.family {
        Family::Http1 => *http1,
        Family::Http2 => *http2,
    }
}
