//! Answers as the APIs send them, and what must be read.

mod ends;
mod failures;
mod summaries;

use super::{Format, Framing, Reading, Settings, read};

/// Reads a body that is over, as the preset does.
fn read_all(body: &str, framing: Framing) -> Reading {
    read(body.as_bytes(), framing, true, &Settings::llm())
}

/// Returns an event stream of events with these data.
fn data(events: &[&str]) -> String {
    let lines = events.iter().map(|data| format!("data: {data}\n\n"));
    lines.collect()
}

/// Returns an event stream of events whose name is the type in their data.
fn typed(events: &[(&str, &str)]) -> String {
    let events = events.iter().map(|(name, members)| {
        let comma = if members.is_empty() { "" } else { "," };
        format!("event: {name}\ndata: {{\"type\":\"{name}\"{comma}{members}}}\n\n")
    });
    events.collect()
}

#[test]
fn the_first_event_that_shows_a_format_decides() {
    use Format::{ChatCompletions, Completions, Gemini, Messages, Ollama, Responses};
    for (body, expected) in [
        ("event: ping\ndata: {\"type\":\"ping\"}\n\n", None),
        ("event: error\ndata: {\"type\":\"error\"}\n\n", None),
        ("event: message_stop\n\n", Some(Messages)),
        (
            "event: message_stop\ndata: {\"type\":\"response.created\"}\n\n",
            Some(Responses),
        ),
        (
            "data: {\"delta\":\"\"}\nevent: response.text.delta\n\n",
            Some(Responses),
        ),
        (
            "data: {\"object\":\"text_completion\",\"choices\":[]}\n\n",
            Some(Completions),
        ),
        ("data: {\"object\":\"response\"}\n\n", Some(Responses)),
        (
            "data: {\"choices\":[{\"text\":\"\"}]}\n\n",
            Some(Completions),
        ),
        ("data: {\"choices\":[]}\n\n", Some(ChatCompletions)),
        ("data: {\"choices\":{}}\n\n", None),
        ("data: {\"modelVersion\":\"\"}\n\n", Some(Gemini)),
        ("data: {\"done\":false}\n\n", Some(Ollama)),
        ("data: {\"done\":\"no\"}\n\n", None),
        (
            "data: 1\n\ndata: {\"candidates\":[]}\n\ndata: {\"choices\":[]}\n\n",
            Some(Gemini),
        ),
        ("data: {\"choices\":[]\n\n", None),
    ] {
        assert_eq!(read_all(body, Framing::Events).format, expected, "{body}");
    }
    let settings = Settings {
        formats: &[Gemini],
        ..Settings::llm()
    };
    let body = b"data: {\"choices\":[]}\n\n";
    let reading = read(body, Framing::Events, true, &settings);
    assert_eq!(reading.format, None, "a format that is not listed");
}

#[test]
fn the_first_token_is_the_first_that_is_not_empty() {
    let chat = |delta: &str| format!("{{\"choices\":[{{\"delta\":{delta}}}]}}");
    let [role, text] = [
        "{\"role\":\"assistant\",\"content\":\"\"}",
        "{\"content\":\"a\"}",
    ]
    .map(chat);
    for (name, before, event) in [
        ("a role", data(&[&role]), data(&[&text])),
        (
            "reasoning",
            data(&[&role]),
            data(&[&chat("{\"reasoning_content\":\"a\"}")]),
        ),
        (
            "a content of parts",
            data(&[&chat("{\"content\":[{\"text\":\"\"}]}")]),
            data(&[&chat("{\"content\":[{},{\"text\":\"a\"}]}")]),
        ),
        (
            "a tool call",
            data(&[&chat(
                "{\"tool_calls\":[{\"function\":{\"arguments\":\"\"}}]}",
            )]),
            data(&[&chat("{\"tool_calls\":[{\"function\":{\"name\":\"f\"}}]}")]),
        ),
        (
            "completions",
            data(&["{\"choices\":[{\"text\":\"\"}]}"]),
            data(&["{\"choices\":[{\"text\":\"a\"}]}"]),
        ),
        (
            "responses",
            typed(&[
                ("response.created", ""),
                (
                    "response.output_item.added",
                    "\"item\":{\"type\":\"reasoning\"}",
                ),
                ("response.output_text.delta", "\"delta\":\"\""),
            ]),
            typed(&[("response.reasoning_summary_text.delta", "\"delta\":\"a\"")]),
        ),
        (
            "a tool call of responses",
            typed(&[("response.in_progress", "")]),
            typed(&[(
                "response.output_item.added",
                "\"item\":{\"type\":\"function_call\",\"name\":\"f\"}",
            )]),
        ),
        (
            "messages",
            typed(&[
                ("message_start", "\"message\":{}"),
                ("ping", ""),
                (
                    "content_block_start",
                    "\"content_block\":{\"type\":\"text\",\"text\":\"\"}",
                ),
                (
                    "content_block_delta",
                    "\"delta\":{\"type\":\"signature_delta\",\"signature\":\"a\"}",
                ),
            ]),
            typed(&[("content_block_delta", "\"delta\":{\"thinking\":\"a\"}")]),
        ),
        (
            "a tool call of messages",
            typed(&[("message_start", "\"message\":{}")]),
            typed(&[(
                "content_block_start",
                "\"content_block\":{\"type\":\"tool_use\",\"name\":\"f\"}",
            )]),
        ),
        (
            "Gemini",
            data(&["{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"\"}]}}]}"]),
            data(&["{\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{}}]}}]}"]),
        ),
        (
            "Ollama",
            data(&["{\"message\":{\"content\":\"\",\"tool_calls\":[]},\"done\":false}"]),
            data(&["{\"message\":{\"content\":\"\",\"thinking\":\"a\"},\"done\":false}"]),
        ),
    ] {
        let body = format!("{before}{event}{event}");
        // Up to the end of the event's last line of data.
        let expected = before.len() + event.len() - 1;
        let first = read_all(&body, Framing::Events).first_token;
        assert_eq!(first, Some(expected), "{name}");
        let first = read_all(&before, Framing::Events).first_token;
        assert_eq!(first, None, "{name}: without a token");
    }
}

#[test]
fn lines_and_whole_answers_are_read() {
    let lines = "{\"done\":false,\"response\":\"a\"}\r\n\n{\"done\":true}\n{\"error\":\"late\"}\n";
    let reading = read_all(lines, Framing::Lines);
    assert_eq!(reading.format, Some(Format::Ollama));
    assert_eq!(reading.first_token, Some(31));
    assert_eq!(reading.end, Some(46));
    assert_eq!(reading.failure, None);
    let body = "\n{\"type\":\"message\"}\n";
    let reading = read_all(body, Framing::Whole);
    assert_eq!(reading.format, Some(Format::Messages));
    assert_eq!((reading.end, reading.is_truncated), (None, false));
    let reading = read(
        &body.as_bytes()[..9],
        Framing::Whole,
        true,
        &Settings::llm(),
    );
    assert_eq!(reading.format, None, "an incomplete value");
}
