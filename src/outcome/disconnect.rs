//! Recognises the error with which a request's body reports that its client has disconnected.
//!
//! The crate does not depend on hyper or h2. The `Debug` text of their errors, and of those of axum and tonic around
//! them, contains the whole chain, and is searched here. The tests run real servers, so a test fails if a release
//! changes the text. With such a release a disconnect is an error like any other.
use std::fmt::Debug;

use crate::catch_panic::PanicReport;
use crate::text::format_bounded;

/// The kinds of [`std::io::Error`] that say that the connection is gone.
const GONE: [&str; 3] = ["ConnectionReset", "ConnectionAborted", "BrokenPipe"];

/// Whether this error of a body means that the client has disconnected or has reset its stream.
pub(crate) fn is_disconnect(error: &dyn Debug, panics: &PanicReport) -> bool {
    let text = format_bounded(&format_args!("{error:?}"), panics);
    text.is_some_and(|text| says_disconnect(&text))
}

fn says_disconnect(text: &str) -> bool {
    // h2: a reset or a GOAWAY that the other side has sent.
    let is_reset = text.contains("kind: Reset(") || text.contains("kind: GoAway(");
    let is_reset_by_client = is_reset && text.contains(", Remote)");
    let is_gone = GONE.iter().any(|kind| has_kind(text, kind));
    // Alone, this kind can also be a truncated archive. hyper's body has it at the end of the connection.
    let is_over = text.contains("hyper::Error(") && has_kind(text, "UnexpectedEof");
    is_reset_by_client || is_gone || is_over
}

/// Whether the text has an I/O error of this kind, in one of the forms of its `Debug`.
fn has_kind(text: &str, kind: &str) -> bool {
    let mut places = text.match_indices(kind);
    places.any(|(at, _)| {
        let before = &text[..at];
        before.ends_with("kind: ") || before.ends_with("Kind(")
    })
}

#[cfg(test)]
mod tests {
    use std::fmt;
    use std::io;

    use super::*;

    static PANICS: PanicReport = PanicReport::new("test");

    #[test]
    fn an_io_error_of_a_lost_connection_is_a_disconnect_in_each_form() {
        for (error, expected) in [
            (io::ErrorKind::ConnectionReset.into(), true),
            (io::Error::other("ConnectionReset"), false),
            (io::ErrorKind::BrokenPipe.into(), true),
            (
                io::Error::new(io::ErrorKind::ConnectionAborted, "gone"),
                true,
            ),
            (io::ErrorKind::UnexpectedEof.into(), false),
            (io::ErrorKind::InvalidData.into(), false),
            (io::ErrorKind::TimedOut.into(), false),
        ] {
            assert_eq!(is_disconnect(&error, &PANICS), expected, "{error:?}");
        }
        #[cfg(target_os = "linux")]
        assert!(is_disconnect(&io::Error::from_raw_os_error(104), &PANICS));
    }

    #[test]
    fn text_of_h2_says_which_side_has_reset_the_stream() {
        for (text, expected) in [
            (
                "hyper::Error(Body, Error { kind: Reset(StreamId(1), CANCEL, Remote) })",
                true,
            ),
            (
                "hyper::Error(Body, Error { kind: Reset(StreamId(1), PROTOCOL_ERROR, Library) })",
                false,
            ),
            (
                "hyper::Error(Body, Error { kind: Reset(StreamId(1), CANCEL, User) })",
                false,
            ),
            ("Error { kind: GoAway(b\"\", NO_ERROR, Remote) }", true),
            (
                "Error { kind: GoAway(b\"\", ENHANCE_YOUR_CALM, Library) }",
                false,
            ),
            ("Other(1, Remote)", false),
        ] {
            assert_eq!(says_disconnect(text), expected, "{text}");
        }
    }

    #[test]
    fn an_error_whose_debug_panics_is_no_disconnect() {
        struct Panics;
        impl Debug for Panics {
            fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
                panic!("no text");
            }
        }
        assert!(!is_disconnect(&Panics, &PANICS));
    }
}
