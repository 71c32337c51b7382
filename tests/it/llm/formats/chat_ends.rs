//! Chat completions: with and without a terminator and a finish reason.

use super::chat::{DONE, FINISH, ROLE, SEEN, STOP, STOPPED, TEXT, USAGE};
use super::row::Row;

const SHORT: [(&str, &str); 2] = [("response.id", "c"), ("response.model", "m")];
const HALF_FIRST: &str = r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}"#;
const HALF_SECOND: &str = r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":1,"delta":{"content":"b"},"finish_reason":null}]}"#;
const STOP_FIRST: &str = r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
const STOP_SECOND: &str = r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":1,"delta":{},"finish_reason":"stop"}]}"#;
const EMPTY: &str = r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":" Hello"},"finish_reason":""}]}"#;

pub(super) fn rows() -> Vec<Row> {
    [
        ONE_CHOICE_ROWS,
        TWO_CHOICES_ROWS,
        LAST_LINES_ROWS,
        NO_REASONS_ROWS,
    ]
    .concat()
}

const ONE_CHOICE_ROWS: &[Row] = &[
    Row::chat("a finish reason without a terminator", &[ROLE, TEXT, STOP])
        .has(&STOPPED)
        .first(1),
    Row::chat("a terminator without a finish reason", &[ROLE, TEXT, DONE])
        .has(&SEEN)
        .first(1)
        .ended(2),
    Row::chat("neither", &[ROLE, TEXT, TEXT])
        .has(&SEEN)
        .first(1)
        .truncated(),
    Row::chat("neither, and no token", &[ROLE])
        .has(&SEEN)
        .truncated(),
    Row::chat("neither, and usage", &[ROLE, TEXT, USAGE])
        .has(&[
            SEEN[0],
            SEEN[1],
            ("usage.input_tokens", "21"),
            ("usage.output_tokens", "9"),
            ("usage.cache_read.input_tokens", "16"),
            ("usage.reasoning.output_tokens", "4"),
        ])
        .first(1)
        .truncated(),
    Row::chat("usage alone", &[USAGE])
        .has(&[
            SEEN[0],
            SEEN[1],
            ("usage.input_tokens", "21"),
            ("usage.output_tokens", "9"),
            ("usage.cache_read.input_tokens", "16"),
            ("usage.reasoning.output_tokens", "4"),
        ])
        .truncated(),
];

const TWO_CHOICES_ROWS: &[Row] = &[
    Row::chat(
        "both have a reason, no terminator",
        &[HALF_FIRST, HALF_SECOND, STOP_SECOND, STOP_FIRST],
    )
    .has(&[
        SHORT[0],
        SHORT[1],
        ("response.finish_reasons", r#"["stop","stop"]"#),
    ])
    .first(0),
    Row::chat(
        "the second one has no reason, no terminator",
        &[HALF_FIRST, HALF_SECOND, STOP_FIRST],
    )
    .has(&[SHORT[0], SHORT[1], FINISH])
    .first(0)
    .truncated(),
    Row::chat(
        "the first one has no reason, but a terminator",
        &[HALF_FIRST, HALF_SECOND, STOP_SECOND, DONE],
    )
    .has(&[SHORT[0], SHORT[1], FINISH])
    .first(0)
    .ended(3),
];

const LAST_LINES_ROWS: &[Row] = &[
        Row::chat("a terminator without a line end", &[ROLE, TEXT, STOP, DONE])
            .has(&STOPPED)
            .first(1)
            .unfinished(),
        Row::chat("a finish reason in a line without an end", &[ROLE, TEXT, STOP])
            .has(&STOPPED)
            .first(1)
            .unfinished(),
        Row::chat("a last line that is cut", &[
            ROLE,
            TEXT,
            r#"{"id":"chatcmpl-A1","object":"chat.completion.chunk","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]"#,
        ])
        .has(&SEEN)
        .first(1)
        .unfinished()
        .truncated(),
        Row::chat("a chunk that is no JSON, and one with more behind it", &[
            ROLE,
            r#"{"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":stop}]}"#,
            r#"{"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}]} {}"#,
            TEXT,
        ])
        .has(&SEEN)
        .first(3)
        .truncated(),
        Row::chat("a terminator with a space, in quotes, and of other case are none", &[
            ROLE,
            "data: [DONE] ",
            r#"["DONE"]"#,
            "data: \"[DONE]\"",
            "data: [done]",
        ])
        .has(&SEEN)
        .truncated(),
        Row::chat("a terminator in the second data line is none", &[
            ROLE,
            "data: \ndata: [DONE]",
        ])
        .has(&SEEN)
        .truncated(),
        Row::chat("a terminator with fields around it", &[
            ROLE,
            TEXT,
            "id: 7\nevent: message\ndata: [DONE]\nretry: 10",
        ])
        .has(&SEEN)
        .first(1)
        .ended(2),];

const NO_REASONS_ROWS: &[Row] = &[
        Row::chat("empty finish reasons, cut", &[EMPTY, EMPTY])
            .has(&SHORT)
            .first(0)
            .truncated(),
        Row::chat("empty finish reasons, terminated", &[EMPTY, EMPTY, DONE])
            .has(&SHORT)
            .first(0)
            .ended(2),
        Row::chat("empty finish reasons, and a true one", &[EMPTY, STOP_FIRST])
            .has(&[SHORT[0], SHORT[1], FINISH])
            .first(0),
        Row::chat("a finish reason, and then none in a later chunk", &[
            HALF_FIRST,
            STOP_FIRST,
            HALF_FIRST,
        ])
        .has(&[SHORT[0], SHORT[1], FINISH])
        .first(0),
        Row::chat("finish reasons left out until the last chunk", &[
            r#"{"id":"c","created":1764300001,"model":"m","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"?"}}],"stream_options":{"include_usage":true}}"#,
            r#"{"id":"c","created":1764300001,"model":"m","object":"chat.completion.chunk","choices":[{"finish_reason":"stop","index":0,"delta":{}}],"stream_options":{"include_usage":true}}"#,
            DONE,
        ])
        .has(&[SHORT[0], SHORT[1], FINISH])
        .first(0)
        .ended(2),];
