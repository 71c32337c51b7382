//! The end of an answer, and clients that do not wait for it.

use super::exchange::{Case, JSON, run_all};

const NAMES: [(&str, &str); 2] = [("response.id", "c"), ("response.model", "m")];
const CREATED: &str =
    r#"{"type":"response.created","response":{"id":"c","model":"m","status":"in_progress"}}"#;
const DELTA: &str = r#"{"type":"response.output_text.delta","delta":"Hi"}"#;

const DONE: &[Case] = &[
    Case::events("response.done", &[
        CREATED,
        DELTA,
        r#"{"type":"response.done","response":{"id":"c","status":"completed","usage":{"input_tokens":3,"output_tokens":2}}}"#,
    ])
    .has(&[
        NAMES[0],
        NAMES[1],
        ("response.finish_reasons", r#"["completed"]"#),
        ("usage.input_tokens", "3"),
        ("usage.output_tokens", "2"),
    ])
    .token(),
    Case::events("response.done, and a client that leaves then", &[
        CREATED,
        DELTA,
        r#"{"type":"response.done","response":{"id":"c","status":"completed"}}"#,
    ])
    .has(&[
        NAMES[0],
        NAMES[1],
        ("response.finish_reasons", r#"["completed"]"#),
    ])
    .token()
    .left_after("response.done"),
    Case::events("response.done of a response that failed", &[
        CREATED,
        r#"{"type":"response.done","response":{"id":"c","status":"failed","error":{"code":"server_error","message":"no"}}}"#,
    ])
    .has(&[
        NAMES[0],
        NAMES[1],
        ("response.finish_reasons", r#"["failed"]"#),
    ])
    .fails(Some("no"), Some("server_error")),
];

#[tokio::test]
async fn responses_end_with_response_done_too() {
    run_all(DONE).await;
}

const BACKGROUND: &[Case] = &[
    Case::frames("queued", JSON, &[
        r#"{"id":"c","object":"response","model":"m","status":"queued","background":true,"error":null,"incomplete_details":null,"output":[],"usage":null}"#,
    ])
    .has(&NAMES),
    Case::frames("in progress", JSON, &[
        r#"{"id":"c","object":"response","model":"m","status":"in_progress","background":true,"error":null,"output":[],"usage":null}"#,
    ])
    .has(&NAMES),
    Case::frames("cancelled", JSON, &[
        r#"{"id":"c","object":"response","model":"m","status":"cancelled","background":true,"error":null,"output":[],"usage":null}"#,
    ])
    .has(&[
        NAMES[0],
        NAMES[1],
        ("response.finish_reasons", r#"["cancelled"]"#),
    ]),
];

#[tokio::test]
async fn a_response_that_has_not_finished_has_no_finish_reason() {
    run_all(BACKGROUND).await;
}

const LEFT: &[Case] = &[
    Case::events("a client that stops reading after the first token", &[
        r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":null}],"usage":{"prompt_tokens":5,"completion_tokens":1}}"#,
    ])
    .has(&[
        NAMES[0],
        NAMES[1],
        ("usage.input_tokens", "5"),
        ("usage.output_tokens", "1"),
    ])
    .token()
    .outcome("ABORTED(client_disconnect)")
    .left_after("Hi"),
    Case::events("a client that closes after the terminator, while the server lingers", &[
        r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}]}"#,
        "[DONE]",
    ])
    .has(&[
        NAMES[0],
        NAMES[1],
        ("response.finish_reasons", r#"["stop"]"#),
    ])
    .token()
    .left_after("[DONE]"),
    Case::events("items that are done, and no end of the response", &[
        CREATED,
        DELTA,
        r#"{"type":"response.output_item.done","output_index":0,"item":{"id":"msg_1","type":"message","status":"completed","content":[{"type":"output_text","text":"Hi"}]}}"#,
    ])
    .has(&NAMES)
    .token()
    .outcome("ABORTED(truncated_stream)"),
    Case::events("a turn without content", &[
        r#"{"type":"message_start","message":{"id":"c","type":"message","model":"m","content":[],"usage":{"input_tokens":9,"output_tokens":1}}}"#,
        r#"{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":2}}"#,
        r#"{"type":"message_stop"}"#,
    ])
    .has(&[
        NAMES[0],
        NAMES[1],
        ("response.finish_reasons", r#"["end_turn"]"#),
        ("usage.input_tokens", "9"),
        ("usage.output_tokens", "2"),
    ]),
];

#[tokio::test]
async fn each_way_to_stop_reading_ends_the_span_once() {
    run_all(LEFT).await;
}
