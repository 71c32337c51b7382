//! Chat completions: text, tools, reasoning, audio, usage, several choices.

use super::row::Row;

pub(super) const DONE: &str = "[DONE]";
pub(super) const ROLE: &str = r#"{"id":"chatcmpl-A1","object":"chat.completion.chunk","created":1764300001,"model":"gpt-4.1-2025-04-14","service_tier":"default","system_fingerprint":"fp_a1b2c3","choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"k3Jd0s"}"#;
pub(super) const TEXT: &str = r#"{"id":"chatcmpl-A1","object":"chat.completion.chunk","created":1764300001,"model":"gpt-4.1-2025-04-14","service_tier":"default","system_fingerprint":"fp_a1b2c3","choices":[{"index":0,"delta":{"content":"Rivers"},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"Wq"}"#;
pub(super) const STOP: &str = r#"{"id":"chatcmpl-A1","object":"chat.completion.chunk","created":1764300001,"model":"gpt-4.1-2025-04-14","service_tier":"default","system_fingerprint":"fp_a1b2c3","choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}],"usage":null,"obfuscation":""}"#;
pub(super) const USAGE: &str = r#"{"id":"chatcmpl-A1","object":"chat.completion.chunk","created":1764300001,"model":"gpt-4.1-2025-04-14","service_tier":"default","system_fingerprint":"fp_a1b2c3","choices":[],"usage":{"prompt_tokens":21,"completion_tokens":9,"total_tokens":30,"prompt_tokens_details":{"cached_tokens":16,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":4,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}},"obfuscation":"Zz0"}"#;

/// Id and model of the chunks above.
pub(super) const SEEN: [(&str, &str); 2] = [
    ("response.id", "chatcmpl-A1"),
    ("response.model", "gpt-4.1-2025-04-14"),
];
/// The same, and that they stopped.
pub(super) const STOPPED: [(&str, &str); 3] = [SEEN[0], SEEN[1], FINISH];
pub(super) const FINISH: (&str, &str) = ("response.finish_reasons", r#"["stop"]"#);
const USED: [(&str, &str); 7] = [
    SEEN[0],
    SEEN[1],
    FINISH,
    ("usage.input_tokens", "21"),
    ("usage.output_tokens", "9"),
    ("usage.cache_read.input_tokens", "16"),
    ("usage.reasoning.output_tokens", "4"),
];
const SHORT: [(&str, &str); 2] = [("response.id", "c"), ("response.model", "m")];
const TOOL: [(&str, &str); 3] = [
    SHORT[0],
    SHORT[1],
    ("response.finish_reasons", r#"["tool_calls"]"#),
];

pub(super) fn rows() -> Vec<Row> {
    [
        TEXT_ROWS,
        CHOICES_ROWS,
        TOOLS_ROWS,
        OTHER_OUTPUT_ROWS,
        USAGE_ROWS,
    ]
    .concat()
}

const TEXT_ROWS: &[Row] = &[
        Row::chat("text", &[ROLE, TEXT, TEXT, STOP, DONE])
            .has(&STOPPED)
            .first(1)
            .ended(4),
        Row::chat("text and usage", &[ROLE, TEXT, STOP, USAGE, DONE])
            .has(&USED)
            .first(1)
            .ended(4),
        Row::chat("no token", &[ROLE, STOP, DONE]).has(&STOPPED).ended(2),
        Row::chat("text that looks like an end, an error and usage", &[
            ROLE,
            r#"{"id":"chatcmpl-A1","object":"chat.completion.chunk","created":1764300001,"model":"gpt-4.1-2025-04-14","choices":[{"index":0,"delta":{"content":"data: [DONE]\n\nevent: error\ndata: {\"error\":{\"message\":\"no\"},\"usage\":{\"prompt_tokens\":1},\"type\":\"response.failed\",\"done\":true}\n\n[DONE]"},"finish_reason":null}]}"#,
            STOP,
            DONE,
        ])
        .has(&STOPPED)
        .first(1)
        .ended(3),
        Row::chat("log probabilities whose tokens look like errors", &[
            r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"content":"error"},"logprobs":{"content":[{"token":"error","logprob":-0.2,"bytes":[101],"top_logprobs":[{"token":"[DONE]","logprob":-3.5,"bytes":null}]}],"refusal":null},"finish_reason":null}]}"#,
            r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]}"#,
            DONE,
        ])
        .has(&[SHORT[0], SHORT[1], FINISH])
        .first(0)
        .ended(2),
        Row::chat("characters of several bytes, and escapes", &[
            r#"{"id":"chatcmpl-\u00e9\ud83d\ude00","object":"chat.completion.chunk","model":"mod\u00e8le","choices":[{"index":0,"delta":{"content":"æ—¥æœ¬ 日本 \ud83d\ude00"},"finish_reason":null}]}"#,
            r#"{"id":"x","object":"chat.completion.chunk","model":"y","choices":[{"index":0,"delta":{},"finish_reason":"st\u006fp"}]}"#,
            DONE,
        ])
        .has(&[
            ("response.id", "chatcmpl-é😀"),
            ("response.model", "modèle"),
            FINISH,
        ])
        .first(0)
        .ended(2),
        Row::chat("keys with escapes and in another order", &[
            r#"{"choices":[{"finish_reason":null,"delta":{"con\u0074ent":"Hi"},"index":0}],"mode\u006c":"m","\u0069d":"c"}"#,
            r#"{"choices":[{"finish\u005freason":"stop","delta":{},"index":0}]}"#,
            DONE,
        ])
        .has(&[SHORT[0], SHORT[1], FINISH])
        .first(0)
        .ended(2),
        Row::chat("the last one of two keys counts", &[
            r#"{"id":"first","id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"length","finish_reason":"stop"}],"error":{"message":"no"},"error":null}"#,
            DONE,
        ])
        .has(&[SHORT[0], SHORT[1], FINISH])
        .first(0)
        .ended(1),];

const CHOICES_ROWS: &[Row] = &[
        Row::chat("two choices, the second one stops first", &[
            r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#,
            r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":1,"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#,
            r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":1,"delta":{"content":"Hi"},"finish_reason":null}]}"#,
            r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":1,"delta":{},"finish_reason":"length"}]}"#,
            r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"content":"Hello"},"finish_reason":null}]}"#,
            r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
            DONE,
        ])
        .has(&[
            SHORT[0],
            SHORT[1],
            ("response.finish_reasons", r#"["stop","length"]"#),
        ])
        .first(2)
        .ended(6),
        Row::chat("two choices in one chunk, behind each other", &[
            r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"delta":{"content":"b"},"finish_reason":"length","index":1},{"delta":{"content":"a"},"finish_reason":"stop","index":0}]}"#,
            DONE,
        ])
        .has(&[
            SHORT[0],
            SHORT[1],
            ("response.finish_reasons", r#"["stop","length"]"#),
        ])
        .first(0)
        .ended(1),
        Row::chat("ids and models of nested objects are not those of the answer", &[
            r#"{"object":"chat.completion.chunk","choices":[{"id":"inner","model":"inner","index":0,"delta":{"id":"inner","content":"Hi"},"finish_reason":null}]}"#,
            r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"finish_reason":"inner"},"finish_reason":"stop"}]}"#,
            DONE,
        ])
        .has(&[SHORT[0], SHORT[1], FINISH])
        .first(0)
        .ended(2),];

const TOOLS_ROWS: &[Row] = &[
        Row::chat("a tool call, with arguments that look like an end", &[
            r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":null,"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"find","arguments":""}}],"refusal":null},"logprobs":null,"finish_reason":null}]}"#,
            r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"q\":\"[DONE]\",\"error\":{\"message\":\"x\"}}"}}]},"logprobs":null,"finish_reason":null}]}"#,
            r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"tool_calls"}]}"#,
            DONE,
        ])
        .has(&TOOL)
        .first(0)
        .ended(3),
        Row::chat("a tool call whose name comes behind an empty one", &[
            r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"","tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"","arguments":""}}]},"finish_reason":null}]}"#,
            r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"call_1","type":"function"}]},"finish_reason":null}]}"#,
            r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{}},{"index":1,"function":{"arguments":"{}"}}]},"finish_reason":"tool_calls"}]}"#,
            DONE,
        ])
        .has(&TOOL)
        .first(2)
        .ended(3),
        Row::chat("a function call of the older kind", &[
            r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":null,"function_call":{"name":"","arguments":""}},"finish_reason":null}]}"#,
            r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"function_call":{"arguments":"{"}},"finish_reason":null}]}"#,
            r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"function_call"}]}"#,
            DONE,
        ])
        .has(&[
            SHORT[0],
            SHORT[1],
            ("response.finish_reasons", r#"["function_call"]"#),
        ])
        .first(1)
        .ended(3),
        Row::chat("the name of an older function call", &[
            r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"function_call":{"name":"find"}},"finish_reason":"stop"}]}"#,
            DONE,
        ])
        .has(&[SHORT[0], SHORT[1], FINISH])
        .first(0)
        .ended(1),];

const OTHER_OUTPUT_ROWS: &[Row] = &[
        Row::chat("a refusal", &[
            ROLE,
            r#"{"id":"chatcmpl-A1","object":"chat.completion.chunk","model":"gpt-4.1-2025-04-14","choices":[{"index":0,"delta":{"refusal":""},"logprobs":null,"finish_reason":null}]}"#,
            r#"{"id":"chatcmpl-A1","object":"chat.completion.chunk","model":"gpt-4.1-2025-04-14","choices":[{"index":0,"delta":{"refusal":"I can't"},"logprobs":null,"finish_reason":null}]}"#,
            STOP,
            DONE,
        ])
        .has(&STOPPED)
        .first(2)
        .ended(4),
        Row::chat("audio without text", &[
            r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"role":"assistant","refusal":null,"audio":{"id":"audio_1","transcript":""}},"finish_reason":null}]}"#,
            r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"audio":{"transcript":"Hi"}},"finish_reason":null}]}"#,
            r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"audio":{"data":"AAAA"}},"finish_reason":null}]}"#,
            r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"audio":{"expires_at":1764303601}},"finish_reason":"stop"}]}"#,
            DONE,
        ])
        .has(&[SHORT[0], SHORT[1], FINISH])
        .first(1)
        .ended(4),
        Row::chat("reasoning before the text, beside null and empty content", &[
            r#"{"id":"c","object":"chat.completion.chunk","created":1764300001,"model":"m","system_fingerprint":"fp_d","choices":[{"index":0,"delta":{"role":"assistant","content":null,"reasoning_content":""},"logprobs":null,"finish_reason":null}]}"#,
            r#"{"id":"c","object":"chat.completion.chunk","created":1764300001,"model":"m","system_fingerprint":"fp_d","choices":[{"index":0,"delta":{"content":null,"reasoning_content":"Well"},"logprobs":null,"finish_reason":null}]}"#,
            r#"{"id":"c","object":"chat.completion.chunk","created":1764300001,"model":"m","system_fingerprint":"fp_d","choices":[{"index":0,"delta":{"content":"Hi","reasoning_content":null},"logprobs":null,"finish_reason":null}]}"#,
            r#"{"id":"c","object":"chat.completion.chunk","created":1764300001,"model":"m","system_fingerprint":"fp_d","choices":[{"index":0,"delta":{"content":"","reasoning_content":null},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":12,"completion_tokens":40,"total_tokens":52,"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":33},"prompt_cache_hit_tokens":0,"prompt_cache_miss_tokens":12}}"#,
            DONE,
        ])
        .has(&[
            SHORT[0],
            SHORT[1],
            FINISH,
            ("usage.input_tokens", "12"),
            ("usage.output_tokens", "40"),
            ("usage.cache_read.input_tokens", "0"),
            ("usage.reasoning.output_tokens", "33"),
        ])
        .first(1)
        .ended(4),
        Row::chat("reasoning alone, cut by the limit", &[
            r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"","reasoning":"We","reasoning_details":[{"type":"reasoning.text","text":"We","format":"unknown","index":0}]},"finish_reason":null,"native_finish_reason":null,"logprobs":null}]}"#,
            r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":"length","native_finish_reason":"length","logprobs":null}]}"#,
            DONE,
        ])
        .has(&[
            SHORT[0],
            SHORT[1],
            ("response.finish_reasons", r#"["length"]"#),
        ])
        .first(0)
        .ended(2),
        Row::chat("content in parts", &[
            r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":[]},"finish_reason":null}]}"#,
            r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"content":[{"type":"text","text":""}]},"finish_reason":null}]}"#,
            r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"content":[{"type":"text","text":"Hi"}]},"finish_reason":"stop"}]}"#,
            DONE,
        ])
        .has(&[SHORT[0], SHORT[1], FINISH])
        .first(2)
        .ended(3),];

const USAGE_ROWS: &[Row] = &[
        Row::chat("usage in every chunk: the last one counts", &[
            r#"{"id":"c","object":"chat.completion.chunk","created":1764300001,"model":"m","choices":[{"index":0,"delta":{"content":"Co","role":"assistant"}}],"usage":{"prompt_tokens":38,"completion_tokens":1,"total_tokens":39,"prompt_tokens_details":{"text_tokens":38,"audio_tokens":0,"image_tokens":0,"cached_tokens":5}},"system_fingerprint":"fp_x"}"#,
            r#"{"id":"c","object":"chat.completion.chunk","created":1764300001,"model":"m","choices":[{"index":0,"delta":{"content":"la","role":"assistant"}}],"usage":{"prompt_tokens":38,"completion_tokens":2,"total_tokens":40,"prompt_tokens_details":{"text_tokens":38,"audio_tokens":0,"image_tokens":0,"cached_tokens":5}},"system_fingerprint":"fp_x"}"#,
            r#"{"id":"c","object":"chat.completion.chunk","created":1764300001,"model":"m","choices":[{"index":0,"delta":{"content":"","role":"assistant"},"finish_reason":"stop"}],"usage":{"prompt_tokens":38,"completion_tokens":2,"total_tokens":40},"system_fingerprint":"fp_x"}"#,
            DONE,
        ])
        .has(&[
            SHORT[0],
            SHORT[1],
            FINISH,
            ("usage.input_tokens", "38"),
            ("usage.output_tokens", "2"),
            ("usage.cache_read.input_tokens", "5"),
        ])
        .first(0)
        .ended(3),
        Row::chat("usage before the finish reason, without choices", &[
            r#"{"id":"c","object":"chat.completion.chunk","model":"m","usage":{"completion_tokens":3,"prompt_tokens":4}}"#,
            r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}],"usage":null}"#,
            DONE,
        ])
        .has(&[
            SHORT[0],
            SHORT[1],
            FINISH,
            ("usage.input_tokens", "4"),
            ("usage.output_tokens", "3"),
        ])
        .first(1)
        .ended(2),
        Row::chat("numbers that are no counts", &[
            r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":-1,"completion_tokens":1.5,"prompt_tokens_details":{"cached_tokens":"3"},"completion_tokens_details":{"reasoning_tokens":9007199254740993}}}"#,
            r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[],"usage":{"prompt_tokens":null,"completion_tokens":[],"prompt_tokens_details":null,"completion_tokens_details":"none"}}"#,
            DONE,
        ])
        .has(&[SHORT[0], SHORT[1], FINISH])
        .first(0)
        .ended(2),
        Row::chat("the largest count", &[
            r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9007199254740992,"completion_tokens":0}}"#,
            DONE,
        ])
        .has(&[
            SHORT[0],
            SHORT[1],
            FINISH,
            ("usage.input_tokens", "9007199254740992"),
            ("usage.output_tokens", "0"),
        ])
        .first(0)
        .ended(1),
        Row::chat("usage elsewhere than at the top and in a choice is not that of the answer", &[
            r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop","usages":{"prompt_tokens":1,"completion_tokens":1}}],"metadata":{"usage":{"prompt_tokens":5}},"usages":{"prompt_tokens":6}}"#,
            DONE,
        ])
        .has(&[SHORT[0], SHORT[1], FINISH])
        .first(0)
        .ended(1),];
