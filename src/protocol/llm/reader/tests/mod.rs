use super::*;
use crate::protocol::llm::{Failure, LlmFormat};

mod deviations;
mod skipped;

const TERMINATORS: Terminators<'static> = Terminators {
    data: Some("[DONE]"),
    event: Some("finish"),
};

fn all() -> Reads {
    Reads {
        formats: LlmFormat::ALL.into_iter().collect(),
        failures: true,
        facts: true,
    }
}

/// What was read in an answer, and after how many bytes.
#[derive(Debug, Default, PartialEq)]
struct Seen {
    failure: Option<Failure>,
    over_at: Option<usize>,
    token_at: Option<usize>,
    is_truncated: bool,
    facts: String,
}

/// Reads the pieces and the end of a body.
fn read(framing: Framing, pieces: &[&[u8]]) -> Seen {
    let mut reader = AnswerReader::new(framing);
    let (mut seen, mut at) = (Seen::default(), 0);
    for piece in pieces {
        let rest = reader.skip_known(piece, TERMINATORS.data);
        let found = reader.read(rest, all(), TERMINATORS);
        at += piece.len();
        if seen.failure.is_none() {
            seen.failure = found.failure.map(|failure| *failure);
        }
        if reader.answer().has_token {
            seen.token_at.get_or_insert(at);
        }
        if found.is_over {
            seen.over_at = Some(at);
            break;
        }
    }
    if seen.over_at.is_none() {
        let found = reader.finish(all(), TERMINATORS);
        let failure = found.failure.map(|failure| *failure);
        seen.failure = seen.failure.or(failure);
        if found.is_over {
            seen.over_at = Some(at);
        } else {
            seen.is_truncated = reader.is_truncated(all().formats);
        }
        if reader.answer().has_token {
            seen.token_at.get_or_insert(at);
        }
    }
    let answer = reader.answer();
    seen.facts = format!(
        "{:?} {:?} {:?} {:?} {:?}",
        answer.format, answer.id, answer.model, answer.finish_reasons, answer.usage
    );
    seen
}

/// Reads a body in one piece, and byte by byte. Returns where the token and the end were found, byte by byte.
fn read_both(framing: Framing, body: &str) -> Seen {
    let whole = read(framing, &[body.as_bytes()]);
    let bytes: Vec<_> = body.as_bytes().chunks(1).collect();
    let by_byte = read(framing, &bytes);
    let without_places = |seen: &Seen| {
        let places = (seen.over_at.is_some(), seen.token_at.is_some());
        (
            format!("{:?} {}", seen.failure, seen.facts),
            seen.is_truncated,
            places,
        )
    };
    assert_eq!(without_places(&whole), without_places(&by_byte), "{body}");
    by_byte
}

#[expect(clippy::unnecessary_wraps, reason = "compared with what was read")]
fn failure(message: &str, code: &str) -> Option<Failure> {
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Some(Failure {
        message: text(message),
        code: text(code),
    })
}

#[test]
fn streams_end_with_their_formats_end() {
    for (body, end) in [
        (
            "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\ndata: [DONE]\n",
            "data: [DONE]\n",
        ),
        (
            "event: response.created\ndata: {\"type\":\"response.created\"}\n\nevent: response.completed\ndata: {\"type\":\"response.completed\"}\n\n",
            "completed\"}\n",
        ),
        (
            "data: {\"type\":\"response.incomplete\"}\n\n",
            "incomplete\"}\n",
        ),
        (
            "data: {\"response\":{\"status\":\"failed\"},\"type\":\"response.failed\"}\n\n",
            "failed\"}\n",
        ),
        (
            "event: message_stop\ndata: {\"type\":\"message_stop\" }\n\n",
            "\" }\n",
        ),
        (
            "data: {\"a\":\ndata: 1}\nevent: message_stop\n\n: late",
            "message_stop\n\n",
        ),
        ("event: message_stop\n\n", "message_stop\n\n"),
        ("event: finish\ndata: 1\n\n", "data: 1\n"),
        ("data: 1\nevent: finish\n\n", "finish\n\n"),
        ("event: message\rdata: [DONE]\r\rdata: late\r", "[DONE]\r"),
        ("\u{feff}data:[DONE]\n", "[DONE]\n"),
    ] {
        let seen = read_both(Framing::EventStream, body);
        let expected = body.find(end).map(|at| at + end.len());
        assert_eq!(seen.over_at, expected, "{body}");
    }
    let seen = read_both(
        Framing::Lines,
        "{\"done\":false}\n{\"done\":true}\r\n{\"error\":\"late\"}\n",
    );
    assert_eq!((seen.over_at, seen.failure), (Some(30), None));
}

#[test]
fn a_stream_without_its_end_is_truncated() {
    const CHAT: &str =
        "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":null}]}\n\n";
    let stop = CHAT.replace("null", "\"stop\"");
    let second = CHAT.replace(":0", ":1");
    for (body, expected) in [
        (String::new(), true),
        (": ping\n\nevent: ping\n\n".to_owned(), true),
        ("data: hello\n\n".to_owned(), false),
        (CHAT.to_owned(), true),
        (CHAT.to_owned() + &stop, false),
        (CHAT.to_owned() + &second + &stop, true),
        ("data: {\"type\":\"message_start\"}\n\n".to_owned(), true),
        ("data: {\"type\":\"response.created\"}\n\n".to_owned(), true),
        ("data: {\"candidates\":[]}\n\n".to_owned(), false),
        ("data: [DONE]".to_owned(), false),
    ] {
        let seen = read_both(Framing::EventStream, &body);
        assert_eq!(seen.is_truncated, expected, "{body}");
    }
    for (body, expected) in [
        ("", true),
        ("{\"done\":false}\n", true),
        ("{\"done\":true}", false),
        ("{}", false),
    ] {
        assert_eq!(
            read_both(Framing::Lines, body).is_truncated,
            expected,
            "{body}"
        );
    }
    assert!(!read_both(Framing::Whole, "").is_truncated);
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn failures_are_read_wherever_they_are() {
    for (body, expected) in [
        (
            "data: {\"error\":{\"message\":\"out\",\"code\":\"x\"}}\n\n",
            failure("out", "x"),
        ),
        (
            "data: {\"id\":\"1\",\"choices\":[],\"error\":{\"type\":\"t\",\"code\":null,\"message\":\"out\"}}\n\n",
            failure("out", "t"),
        ),
        (
            "data: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n",
            failure("Overloaded", "overloaded_error"),
        ),
        (
            "data: {\"message\":\"late name\"}\nevent: error\n\n",
            failure("late name", ""),
        ),
        (
            "event: error\ndata: {\"message\":\ndata: \"two \\u00e4\\ud83d\\ude00\"}\n\n",
            failure("two ä😀", ""),
        ),
        (
            "event: error\ndata: plain\ndata: text\n\n",
            failure("plain\ntext", ""),
        ),
        ("data: [DO\nevent: error\n\n", failure("[DO", "")),
        ("event: error\n\n", failure("", "")),
        ("event: error\ndata: [DONE]\n\n", failure("[DONE]", "")),
        (
            "event: error\ndata: {\"type\":\"server_error\",\"message\":\"flat\"}\n\n",
            failure("flat", ""),
        ),
        (
            "data: {\"object\":\"error\",\"message\":\"old\",\"code\":40001}\n\n",
            failure("old", "40001"),
        ),
        (
            "data: {\"type\":\"response.failed\",\"response\":{\"error\":{\"code\":\"c\",\"message\":\"m\"}}}\n\n",
            failure("m", "c"),
        ),
        (
            "data: {\"choices\":[{\"finish_reason\":\"error\"}]}\n\n",
            failure("", ""),
        ),
        (
            "error: {\"code\":500,\"message\":\"oops\",\"type\":\"server_error\"}\n\n",
            failure("oops", "500"),
        ),
        (
            "error: {\"error\":{\"message\":\"nested\"}}\n",
            failure("nested", ""),
        ),
        ("error: words\n", failure("words", "")),
        ("data: {\"error\":\"text\"}", failure("text", "")),
        (
            "data: {\"error\":true,\"message\":\"m\"}\n\n",
            failure("m", ""),
        ),
        ("data: {\"error\":[0,{\"a\":\"b\"}]}\n\n", failure("", "")),
        ("data: {\"error\":null}\n\n", None),
        ("data: {\"error\":0}\n\n", None),
        ("data: {\"error\":0.03}\n\n", None),
        ("data: {\"error\":false}\n\n", None),
        ("data: {\"error\":\"\"}\n\n", None),
        ("data: {\"error\":{}}\n\n", None),
        ("data: {\"error\":[]}\n\n", None),
        (
            "data: {\"error\":{\"message\":\"\",\"code\":null,\"n\":0}}\n\n",
            None,
        ),
        (
            "data: {\"object\":\"fine_tuning.job\",\"error\":{\"message\":\"m\"}}\n\n",
            None,
        ),
        (
            "data: {\"choices\":[{\"delta\":{\"content\":\"{\\\"error\\\":\\\"no\\\"}\"}}]}\n\n",
            None,
        ),
        ("data: {\"error\":\"cut\n\n", None),
        ("data: {\"error\":\"x\"} trailing\n\n", None),
        ("error:\n\n", None),
        ("error: null\n\n", None),
        ("error: {}\n\n", None),
        ("error: 0.5\n\n", None),
        ("event: ping\nerror: words\n\n", failure("words", "")),
    ] {
        assert_eq!(
            read_both(Framing::EventStream, body).failure,
            expected,
            "{body}"
        );
    }
    for (body, expected) in [
        (
            "{\"object\":\"response\",\"status\":\"failed\",\"error\":{\"code\":\"c\",\"message\":\"m\"}}",
            failure("m", "c"),
        ),
        (
            "{\"object\":\"response\",\"status\":\"failed\",\"error\":null}",
            failure("", ""),
        ),
        ("{\"status\":\"failed\"}", None),
        (
            "{\"error\":{\"code\":503,\"message\":\"m\",\"status\":\"UNAVAILABLE\"}}",
            failure("m", "503"),
        ),
        (
            "[{\"candidates\":[]},{\"error\":{\"message\":\"m\",\"status\":\"S\"}}]",
            failure("m", "S"),
        ),
        ("[1,2]", None),
    ] {
        assert_eq!(read_both(Framing::Whole, body).failure, expected, "{body}");
    }
    let seen = read_both(Framing::Lines, "{\"done\":false}\n{\"error\":\"gone\"}\n");
    assert_eq!(seen.failure, failure("gone", ""));
}

#[test]
fn the_first_token_is_the_first_content() {
    for (before, token) in [
        (
            ": ping\n\ndata: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n",
            "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n",
        ),
        (
            "data: {\"choices\":[{\"delta\":{\"content\":null}}]}\n\n",
            "data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"a\"}}]}\n",
        ),
        (
            "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"function\":{\"name\":\"\"}}]}}]}\n\n",
            "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"function\":{\"arguments\":\"{\"}}]}}]}\n",
        ),
        (
            "",
            "data: {\"choices\":[{\"delta\":{\"content\":[{\"type\":\"text\",\"text\":\"a\"}]}}]}\n",
        ),
        (
            "data: {\"choices\":[{\"text\":\"\"}]}\n\n",
            "data: {\"choices\":[{\"text\":\"a\"}]}\n",
        ),
        (
            "data: {\"type\":\"response.created\",\"delta\":\"x\"}\n\n",
            "data: {\"delta\":\"a\",\"type\":\"response.output_text.delta\"}\n",
        ),
        (
            "data: {\"type\":\"response.output_item.added\",\"item\":{\"type\":\"message\"}}\n\n",
            "data: {\"type\":\"response.output_item.added\",\"item\":{\"type\":\"function_call\",\"name\":\"f\"}}\n",
        ),
        (
            "data: {\"type\":\"message_start\"}\n\ndata: {\"type\":\"ping\"}\n\ndata: {\"type\":\"content_block_start\",\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
            "data: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"thinking_delta\",\"thinking\":\"a\"}}\n",
        ),
        (
            "data: {\"type\":\"message_start\"}\n\n",
            "event: content_block_start\ndata: {\"content_block\":{\"type\":\"tool_use\",\"name\":\"f\"}}\n",
        ),
        (
            "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"\"}]}}]}\n\n",
            "data: {\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"name\":\"f\"}}]}}]}\n",
        ),
    ] {
        let body = [before, token, "\n"].concat();
        let seen = read_both(Framing::EventStream, &body);
        assert_eq!(seen.token_at, Some(before.len() + token.len()), "{body}");
        assert_eq!(
            read_both(Framing::EventStream, before).token_at,
            None,
            "{before}"
        );
    }
    for (before, token) in [
        (
            "{\"message\":{\"content\":\"\",\"tool_calls\":[]},\"done\":false}\n",
            "{\"message\":{\"content\":\"a\"},\"done\":false}\n",
        ),
        (
            "",
            "{\"message\":{\"tool_calls\":[{\"function\":{}}]},\"done\":false}\n",
        ),
        (
            "{\"response\":\"\",\"done\":false}\n",
            "{\"response\":\"a\",\"done\":false}\n",
        ),
    ] {
        let seen = read_both(Framing::Lines, &[before, token].concat());
        assert_eq!(seen.token_at, Some(before.len() + token.len()), "{token}");
    }
}

#[test]
fn the_format_is_the_first_that_is_shown() {
    use LlmFormat as Format;
    for (json, expected) in [
        (
            "{\"object\":\"chat.completion\"}",
            Some(Format::ChatCompletions),
        ),
        (
            "{\"object\":\"text_completion\",\"choices\":[]}",
            Some(Format::Completions),
        ),
        ("{\"choices\":[{\"text\":\"\"}]}", Some(Format::Completions)),
        ("{\"choices\":[]}", Some(Format::ChatCompletions)),
        ("{\"object\":\"response\"}", Some(Format::Responses)),
        ("{\"type\":\"message\"}", Some(Format::Messages)),
        ("{\"modelVersion\":\"g\"}", Some(Format::Gemini)),
        ("{\"usageMetadata\":{}}", Some(Format::Gemini)),
        ("{\"model\":\"m\",\"done\":true}", Some(Format::Ollama)),
        ("{\"message\":{},\"done\":true}", Some(Format::Ollama)),
        ("{\"response\":\"\",\"done\":true}", Some(Format::Ollama)),
        ("{\"name\":\"operations/1\",\"done\":true}", None),
        ("{\"done\":1}", None),
        ("{\"choices\":{}}", None),
        (
            "{\"nested\":{\"choices\":[],\"done\":true,\"object\":\"response\"}}",
            None,
        ),
        ("{\"type\":\"ping\"}", None),
        ("{\"choices\":[]", None),
        ("", None),
    ] {
        let mut reader = AnswerReader::new(Framing::Whole);
        reader.read(json.as_bytes(), all(), TERMINATORS);
        reader.finish(all(), TERMINATORS);
        assert_eq!(reader.answer().format, expected, "{json}");
        let mut reader = AnswerReader::new(Framing::Whole);
        let without = expected.map_or_else(
            || all().formats,
            |format| {
                LlmFormat::ALL
                    .into_iter()
                    .filter(|it| *it != format)
                    .collect()
            },
        );
        let reads = Reads {
            formats: without,
            ..all()
        };
        reader.read(json.as_bytes(), reads, TERMINATORS);
        reader.finish(reads, TERMINATORS);
        assert_eq!(reader.answer().format, None, "{json}");
    }
}

/// Streams in which an event after many like it says something.
#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn what_an_event_says_is_read_though_it_resembles_others() {
    let chat = |content: &str, more: &str| {
        format!(
            "data: {{\"id\":\"c\",\"model\":\"m\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":{content}}},\
             \"finish_reason\":null}}]{more}}}\n\n"
        )
    };
    let typed = |name: &str, event_type: &str, number: u32, text: &str| {
        format!(
            "event: {name}\ndata: {{\"type\":\"{event_type}\",\"sequence_number\":{number},\"delta\":\"{text}\"}}\n\n"
        )
    };
    let delta = "response.output_text.delta";
    let deltas = |to: u32| {
        (1..=to).map(move |number| typed(delta, delta, number, &"x".repeat(number as usize)))
    };
    let line = |at: u32, text: &str, more: &str| {
        format!(
            "{{\"model\":\"m\",\"created_at\":\"{at}\",\"message\":{{\"content\":\"{text}\"}},\"done\":false{more}}}\n"
        )
    };
    let tokens =
        |to: usize| (1..=to).map(|length| chat(&format!("\"{}\"", "x".repeat(length)), ""));
    let chats = |last: String| tokens(5).chain([last]).chain(tokens(3)).collect::<Vec<_>>();
    for (case, framing, events) in [
        (
            "an error",
            Framing::EventStream,
            chats(chat("\"x\"", ",\"error\":{\"message\":\"m\"}")),
        ),
        (
            "an error in a text",
            Framing::EventStream,
            chats(chat("\"x\\\",\\\"error\\\":\\\"y\"", "")),
        ),
        (
            "an escape",
            Framing::EventStream,
            chats(chat("\"\\u00e4\\n\"", "")),
        ),
        (
            "a text that ends early",
            Framing::EventStream,
            chats(chat("\"x\"},\"error\":{\"a\":\"b\"}", "")),
        ),
        (
            "usage",
            Framing::EventStream,
            chats(chat("\"x\"", ",\"usage\":{\"prompt_tokens\":3}")),
        ),
        (
            "a reason",
            Framing::EventStream,
            chats(chat("\"x\"", "").replace("null", "\"stop\"")),
        ),
        (
            "a terminator",
            Framing::EventStream,
            chats("data: [DONE]\n\n".to_owned()),
        ),
        (
            "a terminator in a text",
            Framing::EventStream,
            chats(chat("\"x\ndata: [DONE]\n\"", "")),
        ),
        (
            "and after CR",
            Framing::EventStream,
            chats(chat("\"x\rdata: [DONE]\r\"", "")),
        ),
        (
            "CRLF",
            Framing::EventStream,
            chats(chat("\"x\"", ",\"error\":\"y\""))
                .iter()
                .map(|it| it.replace('\n', "\r\n"))
                .collect(),
        ),
        (
            "a late name",
            Framing::EventStream,
            chats(chat("\"x\"", "").replace("\n\n", "\nevent: error\n\n")),
        ),
        (
            "an event between",
            Framing::EventStream,
            chats(": ping\n\ndata: 5\n\nevent: ping\n\n".to_owned()),
        ),
        (
            "usage, another in two lines, and the first again",
            Framing::EventStream,
            chats(chat("\"x\"", ",\"usage\":{\"prompt_tokens\":3}"))
                .into_iter()
                .chain(["data: {\"usage\":{\ndata: \"prompt_tokens\":4}}\n\n".to_owned()])
                .chain([chat("\"x\"", ",\"usage\":{\"prompt_tokens\":3}")])
                .collect(),
        ),
        (
            "usage twice, another in two lines, and the first again",
            Framing::EventStream,
            std::iter::repeat_n(chat("\"x\"", ",\"usage\":{\"prompt_tokens\":3}"), 3)
                .chain(["data: {\"usage\":{\ndata: \"prompt_tokens\":4}}\n\n".to_owned()])
                .chain([chat("\"x\"", ",\"usage\":{\"prompt_tokens\":3}")])
                .collect(),
        ),
        (
            "a reason, another in two lines, and the first again",
            Framing::EventStream,
            std::iter::repeat_n(chat("\"x\"", "").replace("null", "\"stop\""), 3)
                .chain([
                    "data: {\"choices\":[{\ndata: \"finish_reason\":\"length\"}]}\n\n".to_owned(),
                ])
                .chain([chat("\"x\"", "").replace("null", "\"stop\"")])
                .collect(),
        ),
        (
            "an event that says something only once the format is known",
            Framing::EventStream,
            [
                "data: {\"status\":\"failed\"}\n\n",
                "data: {\"type\":\"response.created\"}\n\n",
                "data: {\"status\":\"failed\"}\n\n",
            ]
            .map(str::to_owned)
            .to_vec(),
        ),
        (
            "a line that says something only once the format is known",
            Framing::Lines,
            [
                "{\"message\":{\"content\":\"x\"}}\n",
                "{\"model\":\"m\",\"done\":false}\n",
                "{\"message\":{\"content\":\"x\"}}\n",
            ]
            .map(str::to_owned)
            .to_vec(),
        ),
        (
            "a name that counts if the data is malformed",
            Framing::EventStream,
            ["1", "2", ""]
                .map(|number| {
                    format!("event: message_stop\ndata: {{\"type\":\"content_block_stop\",\"n\":{number}}}\n\n")
                })
                .to_vec(),
        ),
        (
            "a line end behind a backslash",
            Framing::EventStream,
            ["x\"}", "y\"}", "\\\nevent: response.z\"}"]
                .map(|text| format!("data: {{\"t\":\"{text}\n\n"))
                .to_vec(),
        ),
        (
            "text, then JSON",
            Framing::EventStream,
            ["data: one\n\n".to_owned(), "data: two\n\n".to_owned()]
                .into_iter()
                .chain(chats("data: three\n\n".to_owned()))
                .collect(),
        ),
        ("typed", Framing::EventStream, deltas(9).collect()),
        (
            "typed, a failure",
            Framing::EventStream,
            deltas(5)
                .chain([typed("response.failed", "response.failed", 6, "x")])
                .collect(),
        ),
        (
            "typed, another name",
            Framing::EventStream,
            deltas(5).chain([typed("error", delta, 6, "x")]).collect(),
        ),
        (
            "typed, an end",
            Framing::EventStream,
            deltas(5)
                .chain([typed(delta, "response.completed", 6, "x")])
                .collect(),
        ),
        (
            "a negative number",
            Framing::EventStream,
            deltas(5).map(|it| it.replace(":3,", ":-3,")).collect(),
        ),
        (
            "text",
            Framing::EventStream,
            vec![
                "data: one\n\n".to_owned(),
                "data: two\n\n".to_owned(),
                "data: [DONE]\n\n".to_owned(),
            ],
        ),
        (
            "text, a failure",
            Framing::EventStream,
            vec![
                "data: one\n\n".to_owned(),
                "data: two\nevent: error\n\n".to_owned(),
            ],
        ),
        (
            "lines",
            Framing::Lines,
            (1..9)
                .map(|at| line(at, "x", ""))
                .chain([line(9, "x", ",\"error\":\"y\"")])
                .collect(),
        ),
        (
            "lines, an end",
            Framing::Lines,
            (1..9)
                .map(|at| line(at, "x", ""))
                .chain([line(9, "", "").replace("false", "true")])
                .collect(),
        ),
    ] {
        let by_event: Vec<_> = events.iter().map(String::as_bytes).collect();
        let all = events.concat();
        let by_byte: Vec<_> = all.as_bytes().chunks(1).collect();
        let facts = |pieces: &[&[u8]]| {
            let seen = read(framing, pieces);
            let is_found = (seen.over_at.is_some(), seen.token_at.is_some());
            format!(
                "{:?} {is_found:?} {} {}",
                seen.failure, seen.is_truncated, seen.facts
            )
        };
        let expected = facts(&by_byte);
        assert_eq!(facts(&by_event), expected, "{case}, by event");
        assert_eq!(facts(&[all.as_bytes()]), expected, "{case}, whole");
        for size in [2, 7, 100, 300] {
            let pieces: Vec<_> = all.as_bytes().chunks(size).collect();
            assert_eq!(facts(&pieces), expected, "{case}, by {size}");
        }
    }
}
