//! Tests of reading event streams: whole, and cut anywhere.

use http::header::{CONTENT_ENCODING, CONTENT_TYPE};

use super::*;

const DONE: Option<&str> = Some("[DONE]");

/// Reads a stream in pieces. Returns the first error, and after how many bytes the terminator was
/// found.
fn read(pieces: &[&[u8]]) -> (Option<ErrorEvent>, Option<usize>) {
    let mut stream = EventStreamReader::new(true);
    let (mut error, mut bytes) = (None, 0);
    for piece in pieces {
        let found = stream.read(piece, DONE);
        bytes += piece.len();
        error = error.or(found.error);
        if found.terminator {
            return (error, Some(bytes));
        }
        assert!(stream.cut.capacity() <= MAX_PREFIX + 1);
    }
    let found = stream.finish(DONE);
    (error.or(found.error), found.terminator.then_some(bytes))
}

/// Streams as `OpenAI`, Anthropic and failing servers send them: the name, the stream, the error and
/// its message, and whether there is a terminator.
#[expect(
    clippy::option_option,
    reason = "an optional error with an optional message"
)]
const STREAMS: &[(&str, &str, Option<Option<&str>>, bool)] = &[
    (
        "chat completions",
        "data: {\"id\":\"c-1\",\"choices\":[{\"delta\":{\"content\":\"Hi\"}}]}\n\n\
         data: {\"id\":\"c-1\",\"choices\":[],\"usage\":{\"total_tokens\":9}}\n\n\
         data: [DONE]\n\n",
        None,
        true,
    ),
    (
        "CRLF and keep-alive comments",
        ": keep-alive\r\n\r\ndata: {\"choices\":[]}\r\n\r\n:\r\n\r\ndata: [DONE]\r\n\r\n",
        None,
        true,
    ),
    (
        "CRLF within an event",
        "data: one\r\ndata: [DONE]\r\n\r\n",
        None,
        false,
    ),
    ("CR alone", "data: one\r\rdata: [DONE]\r\r", None, true),
    (
        "no space",
        "data:{\"choices\":[]}\n\ndata:[DONE]\n\n",
        None,
        true,
    ),
    ("a byte order mark", "\u{feff}data: [DONE]\n\n", None, true),
    (
        "the end of the body ends the line",
        "data: x\n\ndata: [DONE]",
        None,
        true,
    ),
    (
        "other fields",
        "id: 1\nretry: 5\nevent: end\ndata: [DONE]\n\n",
        None,
        true,
    ),
    (
        "Anthropic's error event",
        "event: ping\ndata: {\"type\": \"ping\"}\n\n\
         event: error\ndata: {\"type\": \"error\", \"error\": {\"type\": \"overloaded_error\", \
         \"message\": \"Overloaded\"}}\n\n",
        Some(Some("Overloaded")),
        false,
    ),
    (
        "an error object, then the terminator",
        "data: {\"error\":{\"message\":\"CUDA \\\"out\\\" of\\nmemory \\u00e4\\ud83d\\ude00\",\"code\":500}}\n\n\
         data: [DONE]\n\n",
        Some(Some("CUDA \"out\" of\nmemory ä😀")),
        true,
    ),
    (
        "an error that is a string",
        "data: { \"error\" : \"engine died\" }\n\n",
        Some(Some("engine died")),
        false,
    ),
    (
        "an error in plain text",
        "event: error\ndata: gone\n\n",
        Some(Some("gone")),
        false,
    ),
    (
        "an error without data",
        "event: error\n\n",
        Some(None),
        false,
    ),
    (
        "an error event that breaks off",
        "event: error\n",
        Some(None),
        false,
    ),
    (
        "the first error counts",
        "data: {\"error\":\"one\"}\n\ndata: {\"error\":\"two\"}\n\n",
        Some(Some("one")),
        false,
    ),
    (
        "a value that is the key's name",
        "event: error\ndata: {\"type\":\"error\",\"error\":\"boom\"}\n\n",
        Some(Some("boom")),
        false,
    ),
    (
        "a type that is the key's name",
        "data: {\"error\":{\"type\":\"message\",\"message\":\"x\"}}\n\n",
        Some(Some("x")),
        false,
    ),
    (
        "every escape",
        "data: {\"error\":\"a\\r\\t\\b\\f\\/z\"}\n\n",
        Some(Some("a\r\t\u{8}\u{c}/z")),
        false,
    ),
    (
        "an escape without its second character",
        "data: {\"error\":\"a\\\n\n",
        Some(Some("a")),
        false,
    ),
    (
        "an escape that is cut off",
        "data: {\"error\":\"a\\u00\n\n",
        Some(Some("a")),
        false,
    ),
    (
        "a key that ends in an escaped name is not the message",
        "data: {\"error\":{\"of \\\"message\":\"no\",\"message\":\"yes\"}}\n\n",
        Some(Some("yes")),
        false,
    ),
    (
        "a name within a string is not the message",
        "data: {\"error\":{\"detail\":\"\\\"message\\\": no\",\"message\":\"yes\"}}\n\n",
        Some(Some("yes")),
        false,
    ),
];

#[test]
fn findings_are_the_same_wherever_the_stream_is_cut() {
    for (name, stream, error, has_terminator) in STREAMS {
        let bytes = stream.as_bytes();
        let error = || {
            error.map(|message| ErrorEvent {
                message: message.map(str::to_owned),
            })
        };
        let whole = read(&[bytes]);
        assert_eq!(whole.0, error(), "{name}");
        assert_eq!(whole.1.is_some(), *has_terminator, "{name}");
        for first in 0..=bytes.len() {
            for second in first..=bytes.len() {
                let pieces = [&bytes[..first], &bytes[first..second], &bytes[second..]];
                let (found, terminator) = read(&pieces);
                assert_eq!(found, error(), "{name}, cut at {first} and {second}");
                assert_eq!(
                    terminator.is_some(),
                    *has_terminator,
                    "{name}, {first}, {second}"
                );
            }
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(read(&single).0, error(), "{name}, byte by byte");
    }
}

#[test]
fn terminator_is_found_at_the_end_of_its_line() {
    for (pieces, after) in [
        (&["data: [DONE]", "\n", "\n"][..], 13),
        (&["data: [DO", "NE]\r", "\n\r\n"], 13),
        (&["data: [DONE]\n\n"], 14),
        (&["data: [DONE]"], 12),
    ] {
        let pieces: Vec<_> = pieces.iter().map(|piece| piece.as_bytes()).collect();
        assert_eq!(read(&pieces).1, Some(after), "{pieces:?}");
    }
}

#[test]
fn lookalikes_of_terminator_and_error_are_not_found() {
    for (why, stream) in [
        ("within a string", "data: {\"text\":\"data: [DONE]\"}\n\n"),
        (
            "behind an escaped line break",
            "data: \"a\\ndata: [DONE]\"\n\n",
        ),
        (
            "a second line of one event's data",
            "data: one\ndata: [DONE]\n\n",
        ),
        ("a comment", ": data: [DONE]\n\n"),
        (
            "another field",
            "xdata: [DONE]\ndatax: [DONE]\nid: [DONE]\n\n",
        ),
        (
            "other data with the same beginning",
            "data: [DONE] \n\ndata:  [DONE]\n\ndata: [DONE]!\n\n",
        ),
        ("another case", "data: [done]\n\nDATA: [DONE]\n\n"),
        ("a field without a colon", "data\n\n[DONE]\n\n"),
        (
            "a second line of data after one without a colon",
            "data\ndata: [DONE]\n\n",
        ),
        (
            "an event type reset by a field without a colon",
            "event: error\nevent\ndata: x\n\n",
        ),
        (
            "another event type",
            "event: errors\ndata: x\n\nevent: Error\ndata: x\n\n",
        ),
        (
            "an event type that is replaced",
            "event: error \nevent: ok\ndata: x\n\n",
        ),
        (
            "an error that is not the first key",
            "data: {\"id\":1,\"error\":{\"message\":\"x\"}}\n\n",
        ),
        (
            "an error that is null, empty or false",
            "data: {\"error\":null}\n\ndata: {\"error\": \"\"}\n\ndata: {\"error\":false}\n\n",
        ),
        (
            "data that is not an object",
            "data: [\"error\"]\n\ndata: \"error\"\n\n",
        ),
    ] {
        assert_eq!(read(&[stream.as_bytes()]), (None, None), "{why}");
    }
}

#[test]
fn line_beyond_the_limit_is_neither_kept_nor_taken_for_the_terminator() {
    let long = format!("data: [DONE]{}\n\n", "x".repeat(100_000));
    let pieces: Vec<&[u8]> = long.as_bytes().chunks(7).collect();
    assert_eq!(read(&pieces), (None, None));
    // The longest terminator that fits, and a line of one byte more.
    for (extra, found) in [(0, true), (1, false)] {
        let terminator = "x".repeat(MAX_PREFIX - "data: ".len());
        let line = format!("data: {terminator}{}\n", "x".repeat(extra));
        let mut stream = EventStreamReader::new(true);
        let is_found = line
            .as_bytes()
            .chunks(5)
            .any(|piece| stream.read(piece, Some(&terminator)).terminator);
        assert_eq!(is_found, found, "{extra}");
    }
}

#[test]
fn message_is_read_up_to_the_limit_wherever_the_stream_is_cut() {
    let message = "m".repeat(5_000);
    let stream = format!("data: {{\"error\":{{\"message\":\"{message}\"}}}}\n\n");
    let mut lengths = None;
    for size in [1, 100, 10_000] {
        let pieces: Vec<&[u8]> = stream.as_bytes().chunks(size).collect();
        let (found, _) = read(&pieces);
        let found = found.and_then(|error| error.message).expect("a message");
        assert_eq!(
            *lengths.get_or_insert(found.len()),
            found.len(),
            "in pieces of {size}"
        );
        assert!(
            message.starts_with(&found) && found.len() > 900,
            "{}",
            found.len()
        );
    }
}

#[test]
fn content_type_and_encoding_decide_what_is_an_event_stream() {
    for (content_type, encoding, expected) in [
        (Some("text/event-stream"), None, true),
        (Some("text/event-stream; charset=utf-8"), None, true),
        (Some("Text/Event-Stream;charset=utf-8"), None, true),
        (Some("text/event-stream"), Some("identity"), true),
        (Some("text/event-stream"), Some("gzip"), false),
        (Some("text/event-streams"), None, false),
        (Some("text/event"), None, false),
        (Some("application/json"), None, false),
        (None, None, false),
    ] {
        let mut headers = HeaderMap::new();
        for (name, value) in [(CONTENT_TYPE, content_type), (CONTENT_ENCODING, encoding)] {
            if let Some(value) = value {
                headers.insert(name, http::HeaderValue::from_static(value));
            }
        }
        assert_eq!(
            ContentType::from_headers(&headers).is_some_and(|it| is_event_stream(it, &headers)),
            expected,
            "{content_type:?} {encoding:?}"
        );
    }
}

#[test]
fn errors_are_not_found_unless_they_are_read() {
    let mut stream = EventStreamReader::new(false);
    let found = stream.read(b"event: error\ndata: {\"error\":1}\n\ndata: [DONE]\n", DONE);
    assert_eq!((found.error, found.terminator), (None, true));
}
