//! Answers that deviate from their formats, limits, and terminators that frames cut.

use super::*;

#[test]
fn texts_are_cut_before_a_character_that_is_not_whole() {
    let text = |limit: usize| "a".repeat(limit - 3) + "\u{1f600}b";
    let kept = |limit: usize| "a".repeat(limit - 3);
    let (name, message) = (text(256), text(1_024));
    let body = format!("{{\"error\":{{\"message\":\"{message}\",\"code\":\"{name}\"}}}}");
    let found = read_both(Framing::Whole, &body).failure;
    assert_eq!(found, failure(&kept(1_024), &kept(256)));
    let body = format!("event: error\ndata: {message}\n\n");
    let found = read_both(Framing::EventStream, &body).failure;
    assert_eq!(found, failure(&kept(1_024), ""));
}

/// Small deviations, each with what is read all the same.
#[test]
fn what_deviates_is_read_as_far_as_it_says_something() {
    let chat =
        "{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}]}";
    let stopped = r#"Some(ChatCompletions) None None [(0, "stop")]"#;
    for (case, framing, body, facts) in [
        (
            "data behind a field `error` that says nothing",
            Framing::EventStream,
            format!("error: false\ndata: {chat}\n\n"),
            stopped,
        ),
        (
            "data behind bare JSON that is cut",
            Framing::EventStream,
            format!("{{\"error\": {{\ndata: {chat}\n\n"),
            stopped,
        ),
        (
            "a line end before an object within a whole answer",
            Framing::Whole,
            "{\"choices\":[\n{\"index\":0,\"message\":{},\"finish_reason\":\"stop\"}],\"id\":\"c\"}".to_owned(),
            r#"Some(ChatCompletions) Some("c") None [(0, "stop")]"#,
        ),
        (
            "an object behind a list: no JSON",
            Framing::Whole,
            "[{\"candidates\":[{\"finishReason\":\"STOP\"}]}]\n{\"candidates\":[{\"finishReason\":\"MAX\"}]}".to_owned(),
            "None None None []",
        ),
        (
            "a name alone",
            Framing::EventStream,
            "event: content_block_stop\ndata: {}\n\n".to_owned(),
            "Some(Messages) None None []",
        ),
        (
            "the index of a candidate",
            Framing::EventStream,
            "data: {\"candidates\":[{\"index\":3,\"finishReason\":\"STOP\"}]}\n\n".to_owned(),
            r#"Some(Gemini) None None [(3, "STOP")]"#,
        ),
        (
            "details of why a response is incomplete",
            Framing::Whole,
            "{\"object\":\"response\",\"incomplete_details\":{\"reason\":\"max\",\"other\":\"x\"},\"status\":\"incomplete\"}".to_owned(),
            r#"Some(Responses) None None [(0, "max")]"#,
        ),
    ] {
        let seen = read_both(framing, &body);
        assert!(seen.facts.starts_with(facts), "{case}: {seen:?}");
        assert_eq!(seen.failure, None, "{case}");
        assert!(framing != Framing::Whole || !seen.is_truncated, "{case}");
    }
}

#[test]
fn what_only_resembles_a_failure_or_a_token_is_none() {
    for data in [
        // A line end in a text makes the JSON malformed.
        "{\"error\":\"a\ndata: b\"}",
        "{\"a\":[[[[[[[[{\"message\":\"no\"}]]]]]]]]}",
        "{\"candidates\":[{\"citationMetadata\":{\"parts\":[{\"text\":\"x\"}]}}]}",
        "{\"candidates\":[{\"content\":{\"others\":[{\"text\":\"x\"}]}}]}",
    ] {
        let seen = read_both(Framing::EventStream, &format!("data: {data}\n\n"));
        assert_eq!((seen.failure, seen.token_at), (None, None), "{data}");
    }
    for (data, expected) in [
        (
            "{\"error\":{\"code\":\"c\"},\"base_resp\":{\"status_code\":0,\"status_msg\":\"success\"}}",
            failure("", "c"),
        ),
        (
            "{\"base_resp\":{\"status_code\":1008,\"status_msg\":\"out\",\"trace\":\"t\"}}",
            failure("out", "1008"),
        ),
        (
            "{\"error\":{\"code\":\"c\",\"error\":\"inner\"}}",
            failure("", "c"),
        ),
    ] {
        let seen = read_both(Framing::EventStream, &format!("data: {data}\n\n"));
        assert_eq!(seen.failure, expected, "{data}");
    }
}

/// Reads pieces with another terminator. Returns after how many of them the end was found.
fn over_after(pieces: &[&str], terminators: Terminators<'_>) -> Option<usize> {
    let mut reader = AnswerReader::new(Framing::EventStream);
    let is_over = |piece: &&str| reader.read(piece.as_bytes(), all(), terminators).is_over;
    pieces.iter().position(is_over).map(|at| at + 1)
}

#[test]
fn terminators_are_found_wherever_frames_end() {
    let named = |name| Terminators {
        data: None,
        event: Some(name),
    };
    let (long, longer) = ("n".repeat(64), "n".repeat(65));
    let line = |name: &str| format!("event: {name}\ndata: x\n\n");
    for (case, pieces, terminators, expected) in [
        (
            "the end of a format, without a setting",
            &["data: [DONE]\n"][..],
            Terminators::default(),
            Some(1),
        ),
        (
            "a name whose halves are equal",
            &["event: da", "da\n", "data: x\n\n"],
            named("dada"),
            Some(3),
        ),
        (
            "half of that name",
            &["event: da", "da\n", "data: x\n\n"],
            named("da"),
            None,
        ),
        (
            "a name before JSON of several lines",
            &["event: end\n", "data: {\"a\":\n", "data: 1}\n\n"],
            named("end"),
            Some(2),
        ),
        ("the longest name", &[&line(&long)], named(&long), Some(1)),
        (
            "a name that is longer",
            &[&line(&longer)],
            named(&long),
            None,
        ),
    ] {
        assert_eq!(over_after(pieces, terminators), expected, "{case}");
    }
}

/// An error beside members that no error has is data of another API.
#[test]
fn an_error_in_a_whole_body_may_have_details_beside_it() {
    let details = [
        "detail",
        "details",
        "param",
        "path",
        "request_id",
        "success",
        "timestamp",
        "user_id",
        "created",
        "created_at",
        "provider",
    ];
    for (keys, expected) in [(&details[..], failure("out", "")), (&["job"], None)] {
        for key in keys {
            let body = format!("{{\"{key}\":1,\"error\":{{\"message\":\"out\"}}}}");
            assert_eq!(read_both(Framing::Whole, &body).failure, expected, "{key}");
        }
    }
}
