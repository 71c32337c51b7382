//! The ends of streams, and streams without their end.

use super::super::{Framing, Settings, read};
use super::{data, read_all, typed};

#[test]
fn a_stream_ends_with_the_byte_that_makes_its_end_certain() {
    let done = "data: {\"choices\":[]}\n\ndata: [DONE]";
    let stop = "event: message_stop\ndata: {\"type\":\"message_stop\" }";
    for (name, before, after) in [
        ("a terminator", done, "\n\n"),
        ("CRLF", "data: {}\r\n\r\ndata: [DONE]", "\r\n\r\n"),
        ("CR", "data: {}\r\rdata:[DONE]", "\r\r"),
        ("a byte order mark", "\u{feff}data: [DONE]", "\n"),
        ("a second line", "data: [DONE]", "\ndata: x\n\n"),
        ("messages", stop, "\n\n"),
        ("more after it", stop, "\ndata: x\n\n"),
        ("only a name", "event: message_stop\n", "\n"),
        (
            "a name behind the data",
            "data: {}\nevent: response.completed\n",
            "\n",
        ),
        (
            "a type and a name behind the data",
            "data: {\"type\":\"response.completed\"}",
            "\nevent: response.completed\n\n",
        ),
        (
            "several lines of data",
            "event: response.failed\ndata: {\ndata: \"response\":{}}",
            "\n\n",
        ),
        ("Ollama", "data: {\"done\":true}", "\n"),
    ] {
        let body = format!("{before}{after}");
        let reading = read_all(&body, Framing::Events);
        assert_eq!(reading.end, Some(before.len() + 1), "{name}");
        assert!(!reading.is_truncated, "{name}");
        let reading = read(before.as_bytes(), Framing::Events, false, &Settings::llm());
        assert_eq!(reading.end, None, "{name}: before that byte");
        let reading = read_all(before, Framing::Events);
        assert_eq!(
            reading.end,
            Some(before.len()),
            "{name}: at the end of the body"
        );
    }
}

#[test]
fn what_looks_like_an_end_is_none() {
    for body in [
        "data: x\ndata: [DONE]\n\n",
        "data: [DONE] \n\n",
        "data:  [DONE]\n\n",
        "event: [DONE]\n\n",
        ": [DONE]\n\n",
        // The type in the data counts.
        "event: message_stop\ndata: {\"type\":\"content_block_stop\"}\n\n",
        "data: {\"choices\":[{\"delta\":{\"content\":\"[DONE]\"}}]}\n\n",
        // The format is another.
        "data: {\"choices\":[]}\n\nevent: message_stop\n\n",
        "data: {\"candidates\":[]}\n\ndata: {\"done\":true}\n\n",
    ] {
        assert_eq!(read_all(body, Framing::Events).end, None, "{body:?}");
    }
}

#[test]
fn a_terminator_by_name_ends_the_event() {
    let settings = Settings {
        terminator_event: Some("done"),
        ..Settings::default()
    };
    for (body, expected) in [
        ("event: done\ndata: 1\ndata: 2\n\n", Some(20)),
        ("event: done\n\n", Some(13)),
        ("data: 1\nevent: done\n\n", Some(21)),
        ("event: done\nevent: not\n\n", None),
        ("data: done\n\n", None),
    ] {
        let reading = read(body.as_bytes(), Framing::Events, true, &settings);
        assert_eq!(reading.end, expected, "{body:?}");
    }
}

#[test]
fn a_stream_without_its_end_is_truncated() {
    let choice = |index, reason: &str| {
        format!("{{\"choices\":[{{\"index\":{index},\"finish_reason\":{reason}}}]}}")
    };
    let [open, open_1, stop, empty] = [
        choice(0, "null"),
        choice(1, "null"),
        choice(0, "\"stop\""),
        choice(0, "\"\""),
    ];
    let usage = "{\"choices\":[],\"usage\":{}}";
    for (name, body, expected) in [
        ("chat", data(&[&open]), true),
        ("with a finish reason", data(&[&open, &stop, usage]), false),
        ("an empty finish reason", data(&[&empty]), true),
        ("one of two choices", data(&[&open, &open_1, &stop]), true),
        ("no choice", data(&[usage]), true),
        ("with the terminator", data(&[&open, "[DONE]"]), false),
        ("messages", typed(&[("message_start", "")]), true),
        ("responses", typed(&[("response.created", "")]), true),
        ("Ollama", data(&["{\"done\":false}"]), true),
        ("Gemini", data(&["{\"candidates\":[]}"]), false),
        ("no format", data(&["{}"]), false),
        ("nothing", String::new(), true),
        ("no event", ": a\n\nid: 7\nevent: a\n\n".to_owned(), true),
    ] {
        let reading = read_all(&body, Framing::Events);
        assert_eq!(reading.is_truncated, expected, "{name}");
        let reading = read(body.as_bytes(), Framing::Events, true, &Settings::default());
        assert!(!reading.is_truncated, "{name}: no formats");
    }
    for (body, expected) in [
        ("{\"done\":false}\n", true),
        ("{\"done\":true}", false),
        ("\n \n", true),
        ("7\n", false),
    ] {
        let reading = read_all(body, Framing::Lines);
        assert_eq!(reading.is_truncated, expected, "{body:?}");
    }
}
