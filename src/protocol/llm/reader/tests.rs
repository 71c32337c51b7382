use super::*;
use crate::protocol::llm::{Failure, LlmFormat};

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
