//! Events that a reader skips, because they say nothing new.

use super::*;

/// Returns what `skip_known` leaves of a piece, behind others.
fn left(framing: Framing, before: &[impl AsRef<str>], piece: &str, reads: Reads) -> String {
    let mut reader = AnswerReader::new(framing);
    for piece in before {
        reader.read(piece.as_ref().as_bytes(), reads, TERMINATORS);
    }
    let left = reader.skip_known(piece.as_bytes(), TERMINATORS.data);
    String::from_utf8_lossy(left).into_owned()
}

/// Only a whole event can be skipped, where an event can begin.
#[test]
fn events_from_which_nothing_is_learnt_are_skipped() {
    const TEXT: &str = "data: Hi\n\n";
    const CHUNK: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"Hi\"}}]}\n\n";
    const LINE: &str = "{\"model\":\"m\",\"response\":\"Hi\",\"done\":false}\n";
    let two = |event: &str| event.repeat(2);
    let cases: [(Framing, &[&str], String, &str); 14] = [
        (Framing::EventStream, &[TEXT], two(TEXT), ""),
        (
            Framing::EventStream,
            &[TEXT],
            format!("{TEXT}data: H"),
            "data: H",
        ),
        (Framing::EventStream, &[CHUNK, CHUNK], two(CHUNK), ""),
        (Framing::EventStream, &[], TEXT.to_owned(), TEXT),
        (Framing::EventStream, &[CHUNK], TEXT.to_owned(), TEXT),
        (
            Framing::EventStream,
            &["event: error\n", TEXT],
            TEXT.to_owned(),
            TEXT,
        ),
        (
            Framing::EventStream,
            &[TEXT, "event: error\n"],
            TEXT.to_owned(),
            TEXT,
        ),
        (
            Framing::EventStream,
            &[TEXT, "data: {\n"],
            TEXT.to_owned(),
            TEXT,
        ),
        (Framing::EventStream, &[TEXT, ": "], TEXT.to_owned(), TEXT),
        (
            Framing::EventStream,
            &[TEXT, "event"],
            TEXT.to_owned(),
            TEXT,
        ),
        (Framing::Lines, &[LINE, LINE], two(LINE), ""),
        (
            Framing::Lines,
            &[LINE, LINE, "{\"x\":"],
            LINE.to_owned(),
            LINE,
        ),
        (Framing::Lines, &["Hi\n"], TEXT.to_owned(), ""),
        (Framing::Whole, &["{}"], TEXT.to_owned(), TEXT),
    ];
    for (framing, before, piece, rest) in cases {
        let left = left(framing, before, &piece, all());
        assert_eq!(left, rest, "{framing:?} {before:?} {piece:?}");
    }
}

#[test]
fn events_that_differ_only_in_values_of_no_interest_are_skipped() {
    let chat = |id: &str, text: &str| {
        format!(
            "event: x\ndata: {{\"id\":\"{id}\",\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n"
        )
    };
    let response = |id: &str, model: &str| {
        format!(
            "data: {{\"type\":\"response.x\",\"response\":{{\"id\":\"{id}\",\"model\":\"{model}\"}}}}\n\n"
        )
    };
    let message = |text: &str| {
        format!(
            "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"delta\":{{\"text\":\"{text}\"}}}}\n\n"
        )
    };
    let first_token = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}],\"id\":\"a\"}\n\n";
    for (before, piece) in [
        (
            [first_token.to_owned(), chat("b", "b"), chat("cc", "cc")],
            chat("d", "say \\\"d\\\""),
        ),
        (
            [response("a", "a"), response("b", "b"), response("cc", "cc")],
            response("d", "d"),
        ),
        ([message("a"), message("b"), message("cc")], message("d")),
    ] {
        assert_eq!(
            left(Framing::EventStream, &before, &piece, all()),
            "",
            "{before:?}"
        );
    }
    let counts = |count: u32| {
        format!("data: {{\"choices\":[],\"usage\":{{\"prompt_tokens\":{count}}}}}\n\n")
    };
    let before = [counts(1), counts(2), counts(3)];
    let without_facts = Reads {
        facts: false,
        ..all()
    };
    assert_eq!(
        left(Framing::EventStream, &before, &counts(4), without_facts),
        ""
    );
    assert_eq!(
        left(Framing::EventStream, &before, &counts(4), all()),
        counts(4)
    );
}

#[test]
fn events_up_to_768_bytes_are_kept() {
    for (length, is_skipped) in [(767, true), (768, true), (769, false)] {
        let event = |name: char| {
            let empty = format!("data: {{\"choices\":[],\"{name}\":\"\"}}\n\n");
            empty.replace("\"\"", &format!("\"{}\"", "x".repeat(length - empty.len())))
        };
        // The first one shows the format.
        let left = left(
            Framing::EventStream,
            &[event('a'), event('b')],
            &event('b'),
            all(),
        );
        assert_eq!(left.is_empty(), is_skipped, "{length}");
    }
}

/// An event over several lines is never kept. So one that is like the last one kept can say something again.
#[test]
fn an_event_that_says_something_is_read_each_time() {
    let delta = "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"a\"}}\n\n";
    let other = "data: {\"type\":\"message_delta\",\ndata: \"delta\":{\"stop_reason\":\"b\"}}\n\n";
    let facts = read_both(Framing::EventStream, &[delta, delta, other, delta].concat()).facts;
    assert!(facts.contains(r#"[(0, "a")]"#), "{facts}");
}

/// A malformed value passes for one that differs. Then the name counts.
#[test]
fn an_event_whose_name_contradicts_its_type_is_read_each_time() {
    for (name, data_type, first) in [
        ("message_stop", "content_block_stop", ""),
        ("response.failed", "response.x", ""),
        ("message_start", "ping", ""),
        (
            "message_start",
            "ping",
            "data: {\"type\":\"response.x\"}\n\n",
        ),
    ] {
        let event = |number: &str| {
            format!("event: {name}\ndata: {{\"type\":\"{data_type}\",\"n\":{number}}}\n\n")
        };
        let events = ["1", "2", "3", "4", "01"].map(event).concat();
        read_both(Framing::EventStream, &format!("{first}{events}"));
    }
}

#[test]
fn a_field_error_counts_again_behind_the_first_data() {
    let event = "event: x\nerror: boom\ndata: {\"a\":1}\n\n";
    let seen = read_both(Framing::Whole, &format!(": c\n\n{event}{event}{event}"));
    assert_eq!(seen.failure, failure("boom", ""));
}
