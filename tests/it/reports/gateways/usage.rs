//! Numbers of tokens: where services put them, and what they count.

use super::exchange::{Case, JSON, run_all};

const CHAT: [(&str, &str); 3] = [
    ("response.id", "c"),
    ("response.model", "m"),
    ("response.finish_reasons", r#"["stop"]"#),
];
const TEXT: &str = r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"Hi"},"finish_reason":null}]}"#;
const STOP: &str = r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;

const IN_CHOICES: &[Case] = &[
    Case::events("in the choice that stops", &[
        TEXT,
        r#"{"id":"c","object":"chat.completion.chunk","created":1764300001,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop","usage":{"prompt_tokens":19,"completion_tokens":21,"total_tokens":40}}],"system_fingerprint":"fp_k"}"#,
        "[DONE]",
    ])
    .has(&[
        CHAT[0],
        CHAT[1],
        CHAT[2],
        ("usage.input_tokens", "19"),
        ("usage.output_tokens", "21"),
    ])
    .token(),
    Case::events("in the choice, and at the top", &[
        TEXT,
        r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop","usage":{"prompt_tokens":19,"completion_tokens":21}}]}"#,
        r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[],"usage":{"prompt_tokens":20,"completion_tokens":22}}"#,
        "[DONE]",
    ])
    .has(&[
        CHAT[0],
        CHAT[1],
        CHAT[2],
        ("usage.input_tokens", "20"),
        ("usage.output_tokens", "22"),
    ])
    .token(),
    Case::events("at the top of the chunk with the choice, in both orders", &[
        TEXT,
        r#"{"id":"c","object":"chat.completion.chunk","model":"m","usage":{"prompt_tokens":20},"choices":[{"index":0,"delta":{},"finish_reason":"stop","usage":{"prompt_tokens":7}}]}"#,
        r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{},"usage":{"completion_tokens":7}}],"usage":{"completion_tokens":22}}"#,
        "[DONE]",
    ])
    .has(&[
        CHAT[0],
        CHAT[1],
        CHAT[2],
        ("usage.input_tokens", "20"),
        ("usage.output_tokens", "22"),
    ])
    .token(),
];

#[tokio::test]
async fn usage_in_a_choice_counts_unless_there_is_one_at_the_top() {
    run_all(IN_CHOICES).await;
}

const CACHED: &[Case] = &[
    Case::events("prompt_cache_hit_tokens", &[
        TEXT,
        STOP,
        r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[],"usage":{"prompt_tokens":100,"completion_tokens":4,"total_tokens":104,"prompt_cache_hit_tokens":64,"prompt_cache_miss_tokens":36}}"#,
        "[DONE]",
    ])
    .has(&[
        CHAT[0],
        CHAT[1],
        CHAT[2],
        ("usage.input_tokens", "100"),
        ("usage.output_tokens", "4"),
        ("usage.cache_read.input_tokens", "64"),
    ])
    .token(),
    Case::frames("cached_tokens beside the others", JSON, &[
        r#"{"id":"c","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":19,"completion_tokens":13,"total_tokens":32,"cached_tokens":12}}"#,
    ])
    .has(&[
        CHAT[0],
        CHAT[1],
        CHAT[2],
        ("usage.input_tokens", "19"),
        ("usage.output_tokens", "13"),
        ("usage.cache_read.input_tokens", "12"),
    ]),
    Case::frames("named twice, in details and beside them, with 0", JSON, &[
        r#"{"id":"c","object":"chat.completion","model":"m","choices":[{"index":0,"message":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":19,"completion_tokens":13,"prompt_tokens_details":{"cached_tokens":12},"prompt_cache_hit_tokens":0}}"#,
    ])
    .has(&[
        CHAT[0],
        CHAT[1],
        CHAT[2],
        ("usage.input_tokens", "19"),
        ("usage.output_tokens", "13"),
        ("usage.cache_read.input_tokens", "12"),
    ]),
];

#[tokio::test]
async fn cached_tokens_are_read_under_each_of_their_names() {
    run_all(CACHED).await;
}

const REASONING: &[Case] = &[
    Case::events("beside the output, by the total", &[
        TEXT,
        STOP,
        r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[],"usage":{"prompt_tokens":10120,"completion_tokens":1499,"total_tokens":14428,"prompt_tokens_details":{"cached_tokens":128},"completion_tokens_details":{"reasoning_tokens":2809}}}"#,
        "[DONE]",
    ])
    .has(&[
        CHAT[0],
        CHAT[1],
        CHAT[2],
        ("usage.input_tokens", "10120"),
        ("usage.output_tokens", "4308"),
        ("usage.cache_read.input_tokens", "128"),
        ("usage.reasoning.output_tokens", "2809"),
    ])
    .token(),
    Case::events("part of the output, by the total", &[
        TEXT,
        STOP,
        r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[],"usage":{"prompt_tokens":10,"completion_tokens":30,"total_tokens":40,"completion_tokens_details":{"reasoning_tokens":20}}}"#,
        "[DONE]",
    ])
    .has(&[
        CHAT[0],
        CHAT[1],
        CHAT[2],
        ("usage.input_tokens", "10"),
        ("usage.output_tokens", "30"),
        ("usage.reasoning.output_tokens", "20"),
    ])
    .token(),
    Case::events("a total that fits neither, and none", &[
        TEXT,
        r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":10,"completion_tokens":30,"total_tokens":61,"completion_tokens_details":{"reasoning_tokens":20}}}"#,
        "[DONE]",
    ])
    .has(&[
        CHAT[0],
        CHAT[1],
        CHAT[2],
        ("usage.input_tokens", "10"),
        ("usage.output_tokens", "30"),
        ("usage.reasoning.output_tokens", "20"),
    ])
    .token(),
    Case::frames("more than the output, without a total", JSON, &[
        r#"{"id":"c","object":"chat.completion","model":"m","choices":[{"index":0,"message":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":12,"completion_tokens":2,"completion_tokens_details":{"reasoning_tokens":317}}}"#,
    ])
    .has(&[
        CHAT[0],
        CHAT[1],
        CHAT[2],
        ("usage.input_tokens", "12"),
        ("usage.output_tokens", "319"),
        ("usage.reasoning.output_tokens", "317"),
    ]),
];

#[tokio::test]
async fn reasoning_that_a_service_counts_beside_the_output_is_added_to_it() {
    run_all(REASONING).await;
}

const FRACTIONS: &[Case] = &[
    Case::events("of messages, with a fraction of 0", &[
        r#"{"type":"message_start","message":{"id":"c","type":"message","model":"m","usage":{"input_tokens":0.0,"output_tokens":0.0}}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi"}}"#,
        r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"input_tokens":12.0,"cache_read_input_tokens":2.56e2,"output_tokens":7.0}}"#,
        r#"{"type":"message_stop"}"#,
    ])
    .has(&[
        CHAT[0],
        CHAT[1],
        ("response.finish_reasons", r#"["end_turn"]"#),
        ("usage.input_tokens", "268"),
        ("usage.output_tokens", "7"),
        ("usage.cache_read.input_tokens", "256"),
    ])
    .token(),
    Case::events("a fraction of a token is no count", &[
        TEXT,
        r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":20.6,"completion_tokens":7}}"#,
        "[DONE]",
    ])
    .has(&[CHAT[0], CHAT[1], CHAT[2], ("usage.output_tokens", "7")])
    .token(),
];

#[tokio::test]
async fn counts_that_are_written_with_a_fraction_of_0_are_read() {
    run_all(FRACTIONS).await;
}

const NAMES: &[Case] = &[
    Case::events("chat completions whose usage has the names of responses", &[
        TEXT,
        r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"input_tokens":11,"output_tokens":5,"total_tokens":16,"prompt_tps":21.55,"generation_tps":81.56}}"#,
        "[DONE]",
    ])
    .has(&[
        CHAT[0],
        CHAT[1],
        CHAT[2],
        ("usage.input_tokens", "11"),
        ("usage.output_tokens", "5"),
    ])
    .token(),
    Case::events("messages that repeat the cache's numbers in the last event", &[
        r#"{"type":"message_start","message":{"id":"c","type":"message","model":"m","usage":{"input_tokens":9,"cache_read_input_tokens":1,"cache_creation_input_tokens":0,"output_tokens":0}}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi"}}"#,
        r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"input_tokens":9,"cache_read_input_tokens":1,"cache_creation_input_tokens":0,"output_tokens":16}}"#,
        r#"{"type":"message_stop"}"#,
    ])
    .has(&[
        CHAT[0],
        CHAT[1],
        ("response.finish_reasons", r#"["end_turn"]"#),
        ("usage.input_tokens", "10"),
        ("usage.output_tokens", "16"),
        ("usage.cache_read.input_tokens", "1"),
        ("usage.cache_creation.input_tokens", "0"),
    ])
    .token(),
    Case::events("responses: usage in the last event alone", &[
        r#"{"type":"response.created","response":{"id":"c","model":"m","status":"in_progress","usage":null}}"#,
        r#"{"type":"response.output_text.delta","delta":"Hi"}"#,
        r#"{"type":"response.completed","response":{"id":"c","model":"m","status":"completed","usage":{"input_tokens":76,"output_tokens":73,"total_tokens":149}}}"#,
    ])
    .has(&[
        CHAT[0],
        CHAT[1],
        ("response.finish_reasons", r#"["completed"]"#),
        ("usage.input_tokens", "76"),
        ("usage.output_tokens", "73"),
    ])
    .token(),
];

#[tokio::test]
async fn usage_is_read_once_under_the_names_of_either_api() {
    run_all(NAMES).await;
}
