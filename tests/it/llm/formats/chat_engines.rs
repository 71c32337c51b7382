//! Chat completions as other services, engines and gateways send them.

use super::chat::{DONE, FINISH};
use super::row::Row;

const SHORT: [(&str, &str); 2] = [("response.id", "c"), ("response.model", "m")];
const SHORT_STOPPED: [(&str, &str); 3] = [SHORT[0], SHORT[1], FINISH];
const TEXT: &str = r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":null}]}"#;
const STOP: &str = r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;

const AZURE_ROLE: &str = r#"{"choices":[{"content_filter_results":{},"delta":{"content":"","refusal":null,"role":"assistant"},"finish_reason":null,"index":0,"logprobs":null}],"created":1764300002,"id":"c","model":"m","object":"chat.completion.chunk","system_fingerprint":"fp_z"}"#;
const AZURE_TEXT: &str = r#"{"choices":[{"content_filter_results":{"hate":{"filtered":false,"severity":"safe"},"violence":{"filtered":false,"severity":"safe"}},"delta":{"content":"Hi"},"finish_reason":null,"index":0,"logprobs":null}],"created":1764300002,"id":"c","model":"m","object":"chat.completion.chunk","system_fingerprint":"fp_z"}"#;
const AZURE_STOP: &str = r#"{"choices":[{"content_filter_results":{},"delta":{},"finish_reason":"stop","index":0,"logprobs":null}],"created":1764300002,"id":"c","model":"m","object":"chat.completion.chunk","system_fingerprint":"fp_z"}"#;

pub(super) fn rows() -> Vec<Row> {
    [AZURE_ROWS, ENGINES_ROWS, ROUTERS_ROWS, SERVICES_ROWS].concat()
}

/// The first chunk has no choice, no id and no model, in three orders.
const AZURE_ROWS: &[Row] = &[
        Row::chat("prompt filter results first", &[
            r#"{"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":[{"prompt_index":0,"content_filter_results":{"hate":{"filtered":false,"severity":"safe"},"jailbreak":{"filtered":false,"detected":false}}}]}"#,
            AZURE_ROLE,
            AZURE_TEXT,
            AZURE_STOP,
            DONE,
        ])
        .has(&SHORT_STOPPED)
        .first(2)
        .ended(4),
        Row::chat("prompt annotations first, and usage last", &[
            r#"{"id":"","object":"","created":0,"model":"","prompt_annotations":[{"prompt_index":0,"content_filter_results":{"hate":{"filtered":false,"severity":"safe"}}}],"choices":[],"usage":null}"#,
            AZURE_TEXT,
            AZURE_STOP,
            r#"{"choices":[],"created":1764300002,"id":"c","model":"m","object":"chat.completion.chunk","system_fingerprint":"fp_z","usage":{"completion_tokens":2,"prompt_tokens":8,"total_tokens":10}}"#,
            DONE,
        ])
        .has(&[
            SHORT[0],
            SHORT[1],
            FINISH,
            ("usage.input_tokens", "8"),
            ("usage.output_tokens", "2"),
        ])
        .first(1)
        .ended(4),
        Row::chat("an asynchronous filter, whose results have offsets and no delta", &[
            r#"{"id":"","choices":[],"created":0,"model":"","object":"","system_fingerprint":null,"prompt_filter_results":[]}"#,
            AZURE_TEXT,
            r#"{"id":"","object":"","created":0,"model":"","choices":[{"index":0,"finish_reason":null,"content_filter_results":{"hate":{"filtered":false,"severity":"safe"}},"content_filter_offsets":{"check_offset":44,"start_offset":44,"end_offset":198}}]}"#,
            AZURE_STOP,
            r#"{"id":"","object":"","created":0,"model":"","choices":[{"index":0,"finish_reason":null,"content_filter_results":{},"content_filter_offsets":{"check_offset":506,"start_offset":44,"end_offset":571}}]}"#,
            DONE,
        ])
        .has(&SHORT_STOPPED)
        .first(1)
        .ended(5),
        Row::chat("content filtered, with an error in its results", &[
            AZURE_TEXT,
            r#"{"id":"c","object":"chat.completion.chunk","created":1764300002,"model":"m","choices":[{"index":0,"finish_reason":"content_filter","content_filter_results":{"error":{"code":"content_filter_error","message":"The contents are not filtered"}},"delta":{}}]}"#,
            DONE,
        ])
        .has(&[
            SHORT[0],
            SHORT[1],
            ("response.finish_reasons", r#"["content_filter"]"#),
        ])
        .first(0)
        .ended(2),
];

const ENGINES_ROWS: &[Row] = &[
        Row::chat("a stop reason and token ids beside the finish reason", &[
            r#"{"id":"c","object":"chat.completion.chunk","created":1764300003,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}],"prompt_token_ids":null}"#,
            r#"{"id":"c","object":"chat.completion.chunk","created":1764300003,"model":"m","choices":[{"index":0,"delta":{"content":"Hi"},"logprobs":null,"finish_reason":null,"token_ids":null}]}"#,
            r#"{"id":"c","object":"chat.completion.chunk","created":1764300003,"model":"m","choices":[{"index":0,"delta":{"content":""},"logprobs":null,"finish_reason":"stop","stop_reason":128009,"token_ids":null}]}"#,
            r#"{"id":"c","object":"chat.completion.chunk","created":1764300003,"model":"m","choices":[],"usage":{"prompt_tokens":5,"total_tokens":7,"completion_tokens":2,"prompt_tokens_details":null}}"#,
            DONE,
        ])
        .has(&[
            SHORT[0],
            SHORT[1],
            FINISH,
            ("usage.input_tokens", "5"),
            ("usage.output_tokens", "2"),
        ])
        .first(1)
        .ended(4),
        Row::chat("the choices first, and timings last", &[
            r#"{"choices":[{"finish_reason":null,"index":0,"delta":{"role":"assistant","content":null}}],"created":1764300004,"id":"c","model":"m","system_fingerprint":"b7000-a1b2c3","object":"chat.completion.chunk"}"#,
            r#"{"choices":[{"finish_reason":null,"index":0,"delta":{"content":"Hi"}}],"created":1764300004,"id":"c","model":"m","system_fingerprint":"b7000-a1b2c3","object":"chat.completion.chunk"}"#,
            r#"{"choices":[{"finish_reason":"stop","index":0,"delta":{}}],"created":1764300004,"id":"c","model":"m","system_fingerprint":"b7000-a1b2c3","object":"chat.completion.chunk","usage":{"completion_tokens":2,"prompt_tokens":9,"total_tokens":11},"timings":{"prompt_n":9,"prompt_ms":30.5,"predicted_n":2,"predicted_ms":40.25}}"#,
            DONE,
        ])
        .has(&[
            SHORT[0],
            SHORT[1],
            FINISH,
            ("usage.input_tokens", "9"),
            ("usage.output_tokens", "2"),
        ])
        .first(1)
        .ended(3),
        Row::chat("a null delta, and choices that are null", &[
            r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":null}"#,
            r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":null,"finish_reason":null}]}"#,
            TEXT,
            STOP,
        ])
        .has(&SHORT_STOPPED)
        .first(2),
        Row::chat("a finish reason in the form of the text null", &[
            r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"null"}]}"#,
            STOP,
            DONE,
        ])
        .has(&SHORT_STOPPED)
        .first(0)
        .ended(2),
        Row::chat("no object, no id", &[
            r#"{"model":"m","choices":[{"delta":{"content":"Hi"},"index":0}]}"#,
            r#"{"model":"m","choices":[{"delta":{},"index":0,"finish_reason":"stop"}]}"#,
        ])
        .has(&[SHORT[1], FINISH])
        .first(0),];

const ROUTERS_ROWS: &[Row] = &[
        Row::chat("cached tokens named twice, which are part of the prompt's", &[
            TEXT,
            STOP,
            r#"{"id":"c","created":1764300005,"model":"m","object":"chat.completion.chunk","choices":[{"index":0,"delta":{}}],"usage":{"completion_tokens":4,"prompt_tokens":100,"total_tokens":104,"prompt_tokens_details":{"audio_tokens":null,"cached_tokens":80,"cache_creation_tokens":12},"cache_creation_input_tokens":12,"cache_read_input_tokens":80}}"#,
            DONE,
        ])
        .has(&[
            SHORT[0],
            SHORT[1],
            FINISH,
            ("usage.input_tokens", "100"),
            ("usage.output_tokens", "4"),
            ("usage.cache_read.input_tokens", "80"),
            ("usage.cache_creation.input_tokens", "12"),
        ])
        .first(0)
        .ended(3),
        Row::chat("comments until the first token", &[
            ": OPENROUTER PROCESSING",
            ": OPENROUTER PROCESSING",
            r#"{"id":"c","provider":"Nebula","model":"m","object":"chat.completion.chunk","created":1764300005,"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null,"native_finish_reason":null,"logprobs":null}]}"#,
            ": OPENROUTER PROCESSING",
            r#"{"id":"c","provider":"Nebula","model":"m","object":"chat.completion.chunk","created":1764300005,"choices":[{"index":0,"delta":{"role":"assistant","content":"Hi"},"finish_reason":null,"native_finish_reason":null,"logprobs":null}]}"#,
            r#"{"id":"c","provider":"Nebula","model":"m","object":"chat.completion.chunk","created":1764300005,"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":"stop","native_finish_reason":"STOP","logprobs":null}]}"#,
            r#"{"id":"c","provider":"Nebula","model":"m","object":"chat.completion.chunk","created":1764300005,"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null,"native_finish_reason":null,"logprobs":null}],"usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10,"cost":0.0003,"is_byok":false,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"cost_details":{"upstream_inference_cost":null},"completion_tokens_details":{"reasoning_tokens":0,"image_tokens":0}}}"#,
            DONE,
        ])
        .has(&[
            SHORT[0],
            SHORT[1],
            FINISH,
            ("usage.input_tokens", "7"),
            ("usage.output_tokens", "3"),
            ("usage.cache_read.input_tokens", "0"),
            ("usage.reasoning.output_tokens", "0"),
        ])
        .first(4)
        .ended(7),
        Row::chat("names of events, ids and retry times", &[
            "retry: 3000",
            "id: 1\nevent: chat.completion.chunk\ndata: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"},\"finish_reason\":null}]}",
            STOP,
            "event: done\ndata: [DONE]",
        ])
        .has(&SHORT_STOPPED)
        .first(1)
        .ended(3),
        Row::chat("a type of no format, and pings", &[
            "event: ping\ndata: {\"type\":\"ping\"}",
            TEXT,
            r#"{"type":"heartbeat","object":"gateway.heartbeat","choices":[]}"#,
            STOP,
            DONE,
        ])
        .has(&SHORT_STOPPED)
        .first(1)
        .ended(4),];

const SERVICES_ROWS: &[Row] = &[
    Row::chat("thinking in parts of parts", &[
        r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"content":[{"type":"thinking","thinking":[{"type":"text","text":"Okay"}]}]},"finish_reason":null}]}"#,
        TEXT,
        STOP,
        DONE,
    ])
    .has(&SHORT_STOPPED)
    .first(0)
    .ended(3),
    Row::chat("members of another format are not read", &[
        TEXT,
        r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"prompt_eval_count":7,"eval_count":8,"usageMetadata":{"promptTokenCount":9},"message":{"usage":{"input_tokens":5}},"response":{"usage":{"input_tokens":6}}}"#,
        DONE,
    ])
    .has(&SHORT_STOPPED)
    .first(0)
    .ended(2),
        Row::chat("usage in a member of the service's own is not read", &[
            r#"{"id":"c","object":"chat.completion.chunk","created":1764300006,"model":"m","system_fingerprint":"fp_g","choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}],"x_groq":{"id":"req_01","seed":11}}"#,
            r#"{"id":"c","object":"chat.completion.chunk","created":1764300006,"model":"m","system_fingerprint":"fp_g","choices":[{"index":0,"delta":{"content":"Hi"},"logprobs":null,"finish_reason":null}]}"#,
            r#"{"id":"c","object":"chat.completion.chunk","created":1764300006,"model":"m","system_fingerprint":"fp_g","choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}],"x_groq":{"id":"req_01","usage":{"queue_time":0.01,"prompt_tokens":18,"prompt_time":0.001,"completion_tokens":4,"completion_time":0.02,"total_tokens":22,"total_time":0.021}}}"#,
            DONE,
        ])
        .has(&SHORT_STOPPED)
        .first(1)
        .ended(3),
        Row::chat("an error in a member of the service's own is not read", &[
            TEXT,
            r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"x_groq":{"id":"req_01","error":"over capacity"}}"#,
            DONE,
        ])
        .has(&SHORT_STOPPED)
        .first(0)
        .ended(2),
        Row::chat("padding, and usage with the finish reason", &[
            r#"{"id":"c","object":"chat.completion.chunk","created":1764300007,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}],"p":"abcdefgh"}"#,
            r#"{"id":"c","object":"chat.completion.chunk","created":1764300007,"model":"m","choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":null}],"p":"abc"}"#,
            r#"{"id":"c","object":"chat.completion.chunk","created":1764300007,"model":"m","choices":[{"index":0,"delta":{"content":""},"finish_reason":"length"}],"usage":{"prompt_tokens":6,"total_tokens":9,"completion_tokens":3},"p":"abcdefghijk"}"#,
            DONE,
        ])
        .has(&[
            SHORT[0],
            SHORT[1],
            ("response.finish_reasons", r#"["length"]"#),
            ("usage.input_tokens", "6"),
            ("usage.output_tokens", "3"),
        ])
        .first(1)
        .ended(3),
        Row::chat("citations and search results beside the choices", &[
            r#"{"id":"c","model":"m","created":1764300008,"usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4,"search_context_size":"low","cost":{"total_cost":0.006}},"citations":["https://example.org/error"],"search_results":[{"title":"error","url":"https://example.org"}],"object":"chat.completion.chunk","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"Hi"},"delta":{"role":"assistant","content":"Hi"}}]}"#,
        ])
        .has(&[
            SHORT[0],
            SHORT[1],
            FINISH,
            ("usage.input_tokens", "3"),
            ("usage.output_tokens", "1"),
        ])
        .first(0),];
