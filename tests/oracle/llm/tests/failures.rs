//! Failures in the content, and what only resembles one.

use super::super::{Framing, Settings, read};
use super::{data, read_all, typed};

#[expect(clippy::too_many_lines, reason = "a table")]
#[test]
fn a_failure_has_its_message_and_its_code() {
    for (name, body, message, code) in [
        (
            "OpenAI",
            data(&["{\"error\":{\"message\":\"m\",\"type\":\"server_error\",\"code\":null}}"]),
            "m",
            "server_error",
        ),
        (
            "a router",
            data(
                &["{\"id\":\"1\",\"error\":{\"code\":502,\"message\":\"m\"},\
                \"choices\":[{\"finish_reason\":\"error\"}]}"],
            ),
            "m",
            "502",
        ),
        (
            "only a finish reason",
            data(&["{\"choices\":[{\"finish_reason\":\"error\"}]}"]),
            "",
            "",
        ),
        (
            "an older engine",
            data(&["{\"object\":\"error\",\"message\":\"m\",\"type\":\"t\",\"code\":400}"]),
            "m",
            "400",
        ),
        (
            "a field line",
            "error: {\"code\":500,\"message\":\"m\",\"type\":\"server_error\"}\n\n".to_owned(),
            "m",
            "500",
        ),
        (
            "a field line around it",
            "error: {\"error\":{\"message\":\"m\",\"type\":\"t\"}}\ndata: {}\n\n".to_owned(),
            "m",
            "t",
        ),
        ("a field line of text", "error: m\n".to_owned(), "m", ""),
        (
            "responses",
            typed(&[(
                "response.failed",
                "\"response\":{\"error\":{\"code\":\"rate_limit_exceeded\",\"message\":\"m\"}}",
            )]),
            "m",
            "rate_limit_exceeded",
        ),
        (
            "an error event of responses",
            typed(&[("error", "\"code\":\"c\",\"message\":\"m\",\"param\":null")]),
            "m",
            "c",
        ),
        (
            "messages",
            typed(&[(
                "error",
                "\"error\":{\"type\":\"overloaded_error\",\"message\":\"m\"}",
            )]),
            "m",
            "overloaded_error",
        ),
        (
            "without the event line",
            data(&["{\"type\":\"error\",\"error\":{\"type\":\"t\",\"message\":\"m\"} }"]),
            "m",
            "t",
        ),
        (
            "Gemini",
            data(&["{\"error\":{\"message\":\"m\",\"status\":\"UNAVAILABLE\"}}"]),
            "m",
            "UNAVAILABLE",
        ),
        ("Ollama", data(&["{\"error\":\"m\"}"]), "m", ""),
        ("text", "event: error\ndata: m\n\n".to_owned(), "m", ""),
        (
            "two lines",
            "event: error\ndata: m\ndata\n\n".to_owned(),
            "m\n",
            "",
        ),
        (
            "a name behind",
            "data: m\nevent: error\n\n".to_owned(),
            "m",
            "",
        ),
        ("only a name", "event: error\n\n".to_owned(), "", ""),
        (
            "escapes",
            data(&["{\"\\u0065rror\":\"\\ud83d\\ude00 \\ud83d \\\\ud83d\"}"]),
            "\u{1f600} \u{fffd} \\ud83d",
            "",
        ),
        (
            "several lines",
            "data: {\"n\":1,\r\ndata: \"error\":\ndata: \"m\"}\n\n".to_owned(),
            "m",
            "",
        ),
        (
            "equal keys",
            data(&["{\"error\":\"a\",\"error\":\"m\"}"]),
            "m",
            "",
        ),
        (
            "in the last line",
            "data: {\"error\":\"m\"}".to_owned(),
            "m",
            "",
        ),
        (
            "two failures",
            data(&["{\"error\":\"m\"}", "{\"error\":\"b\"}"]),
            "m",
            "",
        ),
    ] {
        let failure = read_all(&body, Framing::Events).failure;
        let failure = failure.unwrap_or_else(|| panic!("{name}: no failure"));
        assert_eq!(failure.message.as_deref().unwrap_or(""), message, "{name}");
        assert_eq!(failure.code.as_deref().unwrap_or(""), code, "{name}");
        let reading = read(body.as_bytes(), Framing::Events, true, &Settings::default());
        assert_eq!(reading.failure, None, "{name}: not read");
    }
}

#[test]
fn what_looks_like_a_failure_is_none() {
    for body in [
        "{\"error\":0}",
        "{\"error\":0.03}",
        "{\"error\":7}",
        "{\"error\":null}",
        "{\"error\":false}",
        "{\"error\":\"\"}",
        "{\"error\":{}}",
        "{\"error\":[]}",
        "{\"error\":{\"code\":0,\"message\":\"\",\"details\":[null,false,{}]}}",
        "{\"object\":\"fine_tuning.job\",\"error\":{\"message\":\"m\"}}",
        "{\"type\":\"response.completed\",\"error\":{\"message\":\"m\"}}",
        "{\"type\":\"response.completed\",\"response\":{\"error\":{\"message\":\"m\"}}}",
        "{\"error\":\"cut off",
        "{\"error\":\"m\"} and more",
        "{\"choices\":[{\"delta\":{\"content\":\"{\\\"error\\\":\\\"m\\\"}\"}}]}",
        "{\"of\":{\"error\":\"m\"}}",
    ] {
        let reading = read_all(&data(&[body]), Framing::Events);
        assert_eq!(reading.failure, None, "{body}");
        let reading = read_all(body, Framing::Whole);
        assert_eq!(reading.failure, None, "{body}");
    }
    let late = data(&["[DONE]", "{\"error\":\"m\"}"]);
    assert_eq!(
        read_all(&late, Framing::Events).failure,
        None,
        "after the end"
    );
}

#[test]
fn a_whole_answer_and_a_line_can_report_a_failure() {
    for (framing, body) in [
        (Framing::Lines, "{\"done\":false}\n{\"error\":\"m\"}\n"),
        (Framing::Whole, "{\"error\":{\"message\":\"m\"}}"),
        (
            Framing::Whole,
            "{\"object\":\"response\",\"status\":\"failed\",\"error\":{\"message\":\"m\"}}",
        ),
    ] {
        let failure = read_all(body, framing).failure.expect("a failure");
        assert_eq!(failure.message.as_deref(), Some("m"), "{body}");
    }
    let failed = "{\"object\":\"response\",\"status\":\"failed\",\"error\":null}";
    let failure = read_all(failed, Framing::Whole).failure;
    assert_eq!(failure, Some(super::super::Failure::default()));
}
