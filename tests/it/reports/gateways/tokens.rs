//! The first token: which content counts.

use super::exchange::{Case, run_all};

const CHAT: [(&str, &str); 2] = [("response.id", "c"), ("response.model", "m")];
const TOOL_CALLS: (&str, &str) = ("response.finish_reasons", r#"["tool_calls"]"#);
const CALLED: &str = r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}"#;

const CUSTOM_TOOLS: &[Case] = &[
    Case::events("the name and the input of a custom tool", &[
        r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":null,"tool_calls":[{"index":0,"id":"call_1","type":"custom","custom":{"name":"run","input":""}}]},"finish_reason":null}]}"#,
        CALLED,
        "[DONE]",
    ])
    .has(&[CHAT[0], CHAT[1], TOOL_CALLS])
    .token(),
    Case::events("its input alone", &[
        r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"custom":{"input":"ls"}}]},"finish_reason":null}]}"#,
        CALLED,
        "[DONE]",
    ])
    .has(&[CHAT[0], CHAT[1], TOOL_CALLS])
    .token(),
    Case::events("an empty custom tool beside a function without a name", &[
        r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"type":"function","custom":{},"function":{"name":"","arguments":""}}]},"finish_reason":null}]}"#,
        CALLED,
        "[DONE]",
    ])
    .has(&[CHAT[0], CHAT[1], TOOL_CALLS]),
];

#[tokio::test]
async fn a_custom_tool_is_a_token_as_a_function_is() {
    run_all(CUSTOM_TOOLS).await;
}

const THINKING: &[Case] = &[
    Case::events("redacted thinking, and nothing else", &[
        r#"{"type":"message_start","message":{"id":"c","type":"message","model":"m","usage":{"input_tokens":9}}}"#,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"redacted_thinking","data":"EmwKAhgB"}}"#,
        r#"{"type":"content_block_stop","index":0}"#,
        r#"{"type":"message_delta","delta":{"stop_reason":"max_tokens"},"usage":{"output_tokens":64}}"#,
        r#"{"type":"message_stop"}"#,
    ])
    .has(&[
        CHAT[0],
        CHAT[1],
        ("response.finish_reasons", r#"["max_tokens"]"#),
        ("usage.input_tokens", "9"),
        ("usage.output_tokens", "64"),
    ]),
    Case::events("empty reasoning beside content", &[
        r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"content":"","reasoning_content":""},"finish_reason":null}]}"#,
        r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"content":"OK","reasoning_content":""},"finish_reason":"stop"}]}"#,
        "[DONE]",
    ])
    .has(&[
        CHAT[0],
        CHAT[1],
        ("response.finish_reasons", r#"["stop"]"#),
    ])
    .token(),
];

#[tokio::test]
async fn reasoning_is_a_token_if_it_has_text() {
    run_all(THINKING).await;
}

const CUSTOM_INPUT: &[Case] = &[Case::events("the input of a custom tool in responses", &[
    r#"{"type":"response.created","response":{"id":"c","model":"m","status":"in_progress"}}"#,
    r#"{"type":"response.custom_tool_call_input.delta","item_id":"ctc_1","output_index":0,"delta":"ls","sequence_number":3}"#,
    r#"{"type":"response.completed","response":{"id":"c","status":"completed"}}"#,
])
.has(&[
    CHAT[0],
    CHAT[1],
    ("response.finish_reasons", r#"["completed"]"#),
])
.token()];

#[tokio::test]
async fn the_input_of_a_custom_tool_in_responses_is_a_token() {
    run_all(CUSTOM_INPUT).await;
}

#[tokio::test]
async fn an_image_of_two_megabytes_in_a_chunk_hides_nothing_behind_it() {
    let image = "iVBORw0KGgo".repeat(200_000);
    let chunk = format!(
        r#"{{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{{"index":0,"delta":{{"role":"assistant","content":"Here","images":[{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{image}"}}}}]}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":8,"completion_tokens":1290}}}}"#
    );
    let events: &'static [&'static str] =
        Box::leak(Box::new([&*Box::leak(chunk.into_boxed_str()), "[DONE]"]));
    let case = Case::events("an image", events)
        .has(&[
            CHAT[0],
            CHAT[1],
            ("response.finish_reasons", r#"["stop"]"#),
            ("usage.input_tokens", "8"),
            ("usage.output_tokens", "1290"),
        ])
        .token();
    case.run().await;
}
