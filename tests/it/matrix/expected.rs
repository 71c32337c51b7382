//! The expected client result and span outcome of every response shape.

use super::client_result::ClientResult;
use super::servers::Family::{self, Http1, Http2};
use super::servers::Server;
use super::table::KnownDisagreement;

/// The expected client result.
#[derive(Clone, Copy, Debug)]
pub enum Client {
    /// A complete message of this status with this many bytes.
    Complete(u16, usize),
    /// No complete message. How much of it arrives depends on what was flushed in time.
    Broken,
}
use Client::{Broken, Complete};

impl Client {
    pub fn matches(self, result: &ClientResult) -> bool {
        match self {
            Complete(status, bytes) => *result == ClientResult::Complete { status, bytes },
            Broken => matches!(
                result,
                ClientResult::Truncated { .. } | ClientResult::NoResponse { .. }
            ),
        }
    }
}

/// The expected client result and the outcome in the span.
pub type Expected = (Client, &'static str);

const DEPARTED: &str = "DEPARTED";
const EXCEPTION: &str = "ABORTED(exception)";
const LENGTH_MISMATCH: &str = "ABORTED(length_mismatch)";
const PANIC: &str = "ABORTED(panic)";

/// A 200 with 15 bytes, the response of most shapes.
const ALL_15: Expected = (Complete(200, 15), DEPARTED);
const NO_BYTES: Expected = (Complete(200, 0), DEPARTED);
/// The server stops polling once it has sent the declared length.
const FIRST_10: Expected = (Complete(200, 10), DEPARTED);
const FAILED: Expected = (Broken, EXCEPTION);
const PANICKED: Expected = (Broken, PANIC);
const MISMATCHED: Expected = (Broken, LENGTH_MISMATCH);
/// In debug builds hyper panics on a `content-length` that differs from the size hint.
const PANICKED_IF_DEBUG: Expected = if cfg!(debug_assertions) {
    PANICKED
} else {
    MISMATCHED
};

/// The shape, and its expected result over HTTP/1 and over HTTP/2.
#[rustfmt::skip]
const TABLE: &[(&str, Expected, Expected)] = &[
    ("full",                             ALL_15,                             ALL_15),
    ("empty",                            NO_BYTES,                           NO_BYTES),
    ("empty of unknown size",            NO_BYTES,                           NO_BYTES),
    ("stream",                           ALL_15,                             ALL_15),
    ("stream of no frames",              NO_BYTES,                           NO_BYTES),
    ("stream with empty frames",         (Complete(200, 5), DEPARTED),       (Complete(200, 5), DEPARTED)),
    ("stream that knows its end",        ALL_15,                             ALL_15),
    ("stream of a known size",           ALL_15,                             ALL_15),
    ("size hint too large",              MISMATCHED,                         MISMATCHED),
    ("size hint too small",              FIRST_10,                           MISMATCHED),
    ("size hint that cuts a frame",      (Complete(200, 10), LENGTH_MISMATCH), MISMATCHED),
    ("content-length",                   ALL_15,                             ALL_15),
    // An HTTP/1 server stops polling after the last declared byte.
    ("content-length, then an error",    ALL_15,                             FAILED),
    ("content-length, then more data",   ALL_15,                             MISMATCHED),
    ("content-length too large",         MISMATCHED,                         MISMATCHED),
    ("content-length too small",         FIRST_10,                           MISMATCHED),
    ("content-length that cuts a frame", (Complete(200, 10), LENGTH_MISMATCH), MISMATCHED),
    ("content-length 0, but data",       NO_BYTES,                           MISMATCHED),
    ("full, content-length too large",   PANICKED_IF_DEBUG,                  MISMATCHED),
    ("full, content-length too small",   PANICKED_IF_DEBUG,                  MISMATCHED),
    ("103",                              (Complete(500, 0), EXCEPTION),      FAILED),
    ("204",                              (Complete(204, 0), DEPARTED),       (Complete(204, 0), DEPARTED)),
    // Over HTTP/2 hyper sends a body even if the status allows none, and this client accepts it.
    ("204 with a body",                  (Complete(204, 0), DEPARTED),       (Complete(204, 15), DEPARTED)),
    ("204 with a stream",                (Complete(204, 0), DEPARTED),       (Complete(204, 15), DEPARTED)),
    ("204 with an error",                (Complete(204, 0), DEPARTED),       (Broken, DEPARTED)),
    ("205 with a body",                  (Complete(205, 15), DEPARTED),      (Complete(205, 15), DEPARTED)),
    ("304",                              (Complete(304, 0), DEPARTED),       (Complete(304, 0), DEPARTED)),
    ("304 with a body",                  (Complete(304, 0), DEPARTED),       (Complete(304, 15), DEPARTED)),
    ("304 with a stream",                (Complete(304, 0), DEPARTED),       (Complete(304, 15), DEPARTED)),
    ("HEAD",                             NO_BYTES,                           (Broken, DEPARTED)),
    ("HEAD with a stream",               NO_BYTES,                           (Broken, DEPARTED)),
    ("HEAD with an error",               NO_BYTES,                           (Broken, DEPARTED)),
    ("400",                              (Complete(400, 15), "ABORTED(validation_error)"), (Complete(400, 15), "ABORTED(validation_error)")),
    ("404",                              (Complete(404, 15), "ABORTED(client_error)"), (Complete(404, 15), "ABORTED(client_error)")),
    ("500",                              (Complete(500, 15), EXCEPTION),     (Complete(500, 15), EXCEPTION)),
    ("trailers",                         ALL_15,                             ALL_15),
    ("trailers without te",             ALL_15,                             ALL_15),
    ("content-length and trailers",      ALL_15,                             ALL_15),
    ("error at once",                    FAILED,                             FAILED),
    ("error midway",                     FAILED,                             FAILED),
    ("body panics at once",              PANICKED,                           PANICKED),
    ("body panics midway",               PANICKED,                           PANICKED),
    ("handler panics",                   PANICKED,                           PANICKED),
    // HTTP/1 only: the last column is not used.
    ("HTTP/1.0 full",                    ALL_15,                             ALL_15),
    ("HTTP/1.0 stream",                  (Complete(200, 10), DEPARTED),      (Complete(200, 10), DEPARTED)),
    ("HTTP/1.0 error midway",            (Complete(200, 5), EXCEPTION),      FAILED),
];

/// The shapes whose client result and span cannot agree, each with the reason.
pub const KNOWN_DISAGREEMENTS: &[KnownDisagreement] = &[
    (Http1, "HTTP/1.0 error midway", CLOSE_ENDS_BODY),
    (Http1, "content-length that cuts a frame", CUT),
    (Http1, "size hint that cuts a frame", CUT),
    (Http2, "HEAD", SENT_ANYWAY),
    (Http2, "HEAD with a stream", SENT_ANYWAY),
    (Http2, "HEAD with an error", POLLED_ANYWAY),
    (Http2, "204 with an error", POLLED_ANYWAY),
];

const CLOSE_ENDS_BODY: &str = "closing the connection ends the message, even after an error";
const CUT: &str = "the server drops the excess bytes, and the client gets the declared length";
const SENT_ANYWAY: &str = "hyper sends a body that the message cannot have, and the client resets";
const POLLED_ANYWAY: &str =
    "hyper polls a body that the message cannot have, and resets on its error";

/// Returns the expected result of a shape on a server.
pub fn expected(server: Server, shape: &str) -> Expected {
    if server.strips_head_bodies() && shape.starts_with("HEAD") {
        return NO_BYTES;
    }
    let row = TABLE.iter().find(|(name, ..)| *name == shape);
    let (_, http1, http2) = row.unwrap_or_else(|| panic!("{shape} is not in the table"));
    match server.family {
        Family::Http1 => *http1,
        Family::Http2 => *http2,
    }
}
