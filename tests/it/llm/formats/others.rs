//! Event streams of no format, of too many bytes, and of none.

use super::row::Row;

const SHORT: [(&str, &str); 2] = [("response.id", "c"), ("response.model", "m")];

pub(super) fn rows() -> Vec<Row> {
    [NO_EVENTS_ROWS, NO_FORMAT_ROWS, &limits()].concat()
}

const NO_EVENTS_ROWS: &[Row] = &[
    Row::events("nothing", &[]).truncated(),
    Row::events("comments", &[": hello", ": [DONE]"]).truncated(),
    Row::events(
        "fields without data",
        &[
            "event: response.created",
            "id: 1\nretry: 3000",
            "dat: {\"choices\":[]}\nDATA: [DONE]\n data: [DONE]",
        ],
    )
    .of_chat()
    .truncated(),
    Row::events(
        "an error as bare JSON, which is no line of an event stream",
        &["\n{\"error\": {\"message\":\"upstream\"}}"],
    )
    .fails(0, Some("upstream"), None),
    Row::lines("empty lines", &["", " ", "\t"])
        .first(0)
        .truncated(),
];

const NO_FORMAT_ROWS: &[Row] = &[
    Row::events("an error that says something at any depth", &[
        r#"{"error":{"a":{"b":{"c":{"d":{"e":{"f":{"g":{"h":{"i":"deep"}}}}}}}}}}"#,
    ])
    .fails(0, None, None),
        Row::events("plain text", &["data: Rivers", "data: flow", "data: ."]).first(0),
        Row::events("plain text behind a name and a comment", &[
            ": hi",
            "event: token",
            "event: token\ndata: Rivers",
        ])
        .first(2),
        Row::events("a terminator alone", &["[DONE]"]).ended(0),
        Row::events("an application's own end is not the layer's", &[
            "data: {\"progress\":50}",
            "event: done\ndata: {}",
            "event: end",
        ])
        .first(0),
        Row::events("runs of assistants", &[
            "event: thread.run.created\ndata: {\"id\":\"run_1\",\"object\":\"thread.run\",\"status\":\"queued\",\"last_error\":null,\"model\":\"m\",\"usage\":null}",
            "event: thread.message.delta\ndata: {\"id\":\"msg_1\",\"object\":\"thread.message.delta\",\"delta\":{\"content\":[{\"index\":0,\"type\":\"text\",\"text\":{\"value\":\"Hi\",\"annotations\":[]}}]}}",
            "event: thread.run.failed\ndata: {\"id\":\"run_1\",\"object\":\"thread.run\",\"status\":\"failed\",\"last_error\":{\"code\":\"server_error\",\"message\":\"no\"},\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2}}",
            "event: done\ndata: [DONE]",
        ])
        .first(0)
        .ended(3),
        Row::events("types with hyphens", &[
            r#"{"id":"c","type":"message-start","delta":{"message":{"role":"assistant","content":[]}}}"#,
            r#"{"type":"content-delta","index":0,"delta":{"message":{"content":{"text":"Hi"}}}}"#,
            r#"{"type":"message-end","delta":{"error":null,"finish_reason":"COMPLETE","usage":{"tokens":{"input_tokens":9,"output_tokens":2}}}}"#,
        ])
        .first(0),
        Row::events("an answer to a remote procedure call that failed", &[
            r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32603,"message":"Internal error"}}"#,
        ])
        .fails(0, Some("Internal error"), Some("-32603")),
        Row::events("members of formats in the wrong place or of the wrong type", &[
            r#"{"type":7,"object":["chat.completion.chunk"],"choices":{"text":"a"},"done":"false"}"#,
            r#"{"data":{"object":"chat.completion.chunk","choices":[],"candidates":[],"done":false}}"#,
            r#"[{"object":"chat.completion.chunk","choices":[]}]"#,
        ])
        .first(0),];

fn limits() -> Vec<Row> {
    vec![
        Row::chat("id, model and finish reason are cut at 256 bytes", one(&format!(
            r#"{{"id":"{0}","object":"chat.completion.chunk","model":"x{0}","choices":[{{"index":0,"delta":{{"content":"Hi"}},"finish_reason":"{1}"}}]}}"#,
            "é".repeat(200),
            "r".repeat(300),
        )))
        .has(leak(vec![
            ("response.id", text("é".repeat(128))),
            ("response.model", text(format!("x{}", "é".repeat(127)))),
            ("response.finish_reasons", text(format!("[\"{}\"]", "r".repeat(256)))),
        ]))
        .first(0),
        Row::events("a message is cut at 1,024 bytes, a code at 256", one(&format!(
            r#"{{"error":{{"message":"x{}","code":"{}"}}}}"#,
            r"\u20ac".repeat(500),
            "c".repeat(300),
        )))
        .fails(
            0,
            Some(text(format!("x{}", "€".repeat(341)))),
            Some(text("c".repeat(256))),
        ),
        Row::chat("deep nesting, and long keys", one(&format!(
            r#"{{"a":{0}{1},"{2}":{{"error":{0}1{1}}},"error":null,"id":"c","object":"chat.completion.chunk","model":"m","choices":[{{"index":0,"delta":{{"content":"Hi","x":{0}{1}}},"finish_reason":"stop"}}]}}"#,
            "[".repeat(100),
            "]".repeat(100),
            "error".repeat(200),
        )))
        .has(&[
            SHORT[0],
            SHORT[1],
            ("response.finish_reasons", r#"["stop"]"#),
        ])
        .first(0),
        Row::events("an error that says nothing, and one that does, inside others", &[
            r#"{"error":[[[[{"a":[{}]}]]]]}"#,
            r#"{"error":[[[[{"a":["deep"]}]]]]}"#,
        ])
        .first(0)
        .fails(1, None, None),
    ]
}

fn text(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

fn leak<T>(all: Vec<T>) -> &'static [T] {
    Box::leak(all.into_boxed_slice())
}

fn one(piece: &str) -> &'static [&'static str] {
    leak(vec![text(piece.to_owned())])
}
