//! Whole answers: one JSON value, in any number of frames.

use super::row::Row;

const SHORT: [(&str, &str); 2] = [("response.id", "c"), ("response.model", "m")];
const FINISH: (&str, &str) = ("response.finish_reasons", r#"["stop"]"#);

pub(super) fn rows() -> Vec<Row> {
    [
        OPENAI_ROWS,
        RESPONSES_ROWS,
        OTHERS_ROWS,
        FAILURES_ROWS,
        NO_FAILURES_ROWS,
    ]
    .concat()
}

const OPENAI_ROWS: &[Row] = &[
        Row::whole("chat, with blanks", &[
            "{\n  \"id\": \"c\",\n  \"object\": \"chat.completion\",\n  \"created\": 1764300030,\n  \"model\": \"m\",\n",
            "  \"choices\": [\n    {\n      \"index\": 0,\n      \"message\": {\n        \"role\": \"assistant\",\n        \"content\": \"{\\\"error\\\":\\\"no\\\",\\\"usage\\\":{\\\"prompt_tokens\\\":1}}\",\n        \"refusal\": null,\n        \"annotations\": []\n      },\n      \"logprobs\": null,\n      \"finish_reason\": \"stop\"\n    }\n  ],\n",
            "  \"usage\": {\n    \"prompt_tokens\": 19,\n    \"completion_tokens\": 10,\n    \"total_tokens\": 29,\n    \"prompt_tokens_details\": {\n      \"cached_tokens\": 3\n    },\n    \"completion_tokens_details\": {\n      \"reasoning_tokens\": 0\n    }\n  },\n  \"service_tier\": \"default\"\n}\n",
        ])
        .of_chat()
        .has(&[
            SHORT[0],
            SHORT[1],
            FINISH,
            ("usage.input_tokens", "19"),
            ("usage.output_tokens", "10"),
            ("usage.cache_read.input_tokens", "3"),
            ("usage.reasoning.output_tokens", "0"),
        ]),
        Row::whole("chat with two choices, tools and no usage", &[
            r#"{"id":"c","object":"chat.completion","model":"m","choices":[{"index":1,"message":{"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"find","arguments":"{}"}}]},"finish_reason":"tool_calls"},{"index":0,"message":{"role":"assistant","content":"Hi"},"finish_reason":"length"}],"usage":null}"#,
        ])
        .of_chat()
        .has(&[
            SHORT[0],
            SHORT[1],
            ("response.finish_reasons", r#"["length","tool_calls"]"#),
        ]),
        Row::whole("chat without a finish reason is complete", &[
            r#"{"id":"c","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"content":"Hi"},"finish_reason":null}]}"#,
        ])
        .of_chat()
        .has(&SHORT),
        Row::whole("completions", &[
            r#"{"id":"c","object":"text_completion","created":1764300031,"model":"m","choices":[{"text":"Hi","index":0,"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":7,"total_tokens":12}}"#,
        ])
        .of_completions()
        .has(&[
            SHORT[0],
            SHORT[1],
            FINISH,
            ("usage.input_tokens", "5"),
            ("usage.output_tokens", "7"),
        ]),];

const RESPONSES_ROWS: &[Row] = &[
        Row::whole("responses", &[
            r#"{"id":"c","object":"response","created_at":1764300032,"status":"completed","background":false,"error":null,"incomplete_details":null,"#,
            r#""model":"m","output":[{"id":"msg_1","type":"message","status":"completed","model":"inner","content":[{"type":"output_text","text":"Hi"}],"role":"assistant"}],"usage":{"input_tokens":36,"input_tokens_details":{"cached_tokens":1},"output_tokens":87,"output_tokens_details":{"reasoning_tokens":2},"total_tokens":123},"metadata":{}}"#,
        ])
        .of_chat()
        .has(&[
            SHORT[0],
            SHORT[1],
            ("response.finish_reasons", r#"["completed"]"#),
            ("usage.input_tokens", "36"),
            ("usage.output_tokens", "87"),
            ("usage.cache_read.input_tokens", "1"),
            ("usage.reasoning.output_tokens", "2"),
        ]),
        Row::whole("responses, incomplete", &[
            r#"{"id":"c","object":"response","status":"incomplete","error":null,"incomplete_details":{"reason":"content_filter"},"model":"m","output":[]}"#,
        ])
        .of_chat()
        .has(&[
            SHORT[0],
            SHORT[1],
            ("response.finish_reasons", r#"["content_filter"]"#),
        ]),
        Row::whole("responses, failed", &[
            r#"{"id":"c","object":"response","status":"failed","error":{"code":"server_error","message":"The model failed"},"incomplete_details":null,"model":"m","output":[],"usage":null}"#,
        ])
        .of_chat()
        .has(&[
            SHORT[0],
            SHORT[1],
            ("response.finish_reasons", r#"["failed"]"#),
        ])
        .fails(0, Some("The model failed"), Some("server_error")),
        Row::whole("responses, failed, without an error", &[
            r#"{"id":"c","object":"response","model":"m","status":"failed","error":null}"#,
        ])
        .of_chat()
        .has(&[
            SHORT[0],
            SHORT[1],
            ("response.finish_reasons", r#"["failed"]"#),
        ])
        .fails(0, None, None),];

const OTHERS_ROWS: &[Row] = &[
        Row::whole("messages", &[
            r#"{"model":"m","id":"c","type":"message","role":"assistant","content":[{"type":"text","text":"Hi"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":8,"cache_creation_input_tokens":4,"cache_read_input_tokens":2,"cache_creation":{"ephemeral_5m_input_tokens":4,"ephemeral_1h_input_tokens":0},"output_tokens":6,"service_tier":"standard"}}"#,
        ])
        .of_messages()
        .has(&[
            SHORT[0],
            SHORT[1],
            ("response.finish_reasons", r#"["end_turn"]"#),
            ("usage.input_tokens", "14"),
            ("usage.output_tokens", "6"),
            ("usage.cache_read.input_tokens", "2"),
            ("usage.cache_creation.input_tokens", "4"),
        ]),
        Row::whole("Gemini", &[
            "{\n  \"candidates\": [\n    {\n      \"content\": {\"parts\": [{\"text\": \"Hi\"}], \"role\": \"model\"},\n      \"finishReason\": \"STOP\",\n      \"index\": 0\n    }\n  ],\n",
            "  \"usageMetadata\": {\"promptTokenCount\": 8, \"candidatesTokenCount\": 10, \"totalTokenCount\": 111, \"thoughtsTokenCount\": 93},\n  \"modelVersion\": \"m\",\n  \"responseId\": \"c\"\n}",
        ])
        .of_gemini()
        .has(&[
            SHORT[0],
            SHORT[1],
            ("response.finish_reasons", r#"["STOP"]"#),
            ("usage.input_tokens", "8"),
            ("usage.output_tokens", "103"),
            ("usage.reasoning.output_tokens", "93"),
        ]),
        Row::whole("Gemini, streamed as an array", &[
            "[{\n  \"candidates\": [{\"content\": {\"parts\": [{\"text\": \"Hi\"}]}}],\n  \"modelVersion\": \"m\"\n}\n",
            ",\r\n{\n  \"candidates\": [{\"finishReason\": \"STOP\"}],\n  \"usageMetadata\": {\"promptTokenCount\": 8}\n}\n",
            "]",
        ])
        .of_gemini()
        .has(&[
            SHORT[1],
            ("response.finish_reasons", r#"["STOP"]"#),
            ("usage.input_tokens", "8"),
        ]),
        Row::whole("Gemini, streamed as an array, with an error", &[
            "[{\n  \"candidates\": [{\"content\": {\"parts\": [{\"text\": \"Hi\"}]}}],\n  \"modelVersion\": \"m\"\n}\n",
            ",\r\n{\n  \"error\": {\"code\": 503, \"message\": \"Overloaded\", \"status\": \"UNAVAILABLE\"}\n}\n",
            "]",
        ])
        .of_gemini()
        .has(&[SHORT[1]])
        .fails(2, Some("Overloaded"), Some("503")),
        Row::whole("arrays of an application's own", &["[]"]),
        Row::whole("an array of objects without errors", &[
            r#"[{"id":1,"error":null},{"id":2,"error":{}},"error"]"#,
        ]),
        Row::whole("Ollama, chat", &[
            r#"{"model":"m","created_at":"2026-11-28T08:00:00Z","message":{"role":"assistant","content":"Hi"},"done":true,"done_reason":"stop","total_duration":9,"prompt_eval_count":26,"eval_count":12}"#,
        ])
        .of_ollama_chat()
        .has(&[
            SHORT[1],
            FINISH,
            ("usage.input_tokens", "26"),
            ("usage.output_tokens", "12"),
        ]),
        Row::whole("Ollama, generate", &[
            r#"{"model":"m","created_at":"2026-11-28T08:00:00Z","response":"{\"done\":false}","done":true,"done_reason":"stop","context":[1,2]}"#,
        ])
        .of_ollama_generate()
        .has(&[SHORT[1], FINISH]),];

const FAILURES_ROWS: &[Row] = &[
        Row::whole("an error", &[
            r#"{"error":{"message":"No capacity","type":"server_error","param":null,"code":"capacity"}}"#,
        ])
        .fails(0, Some("No capacity"), Some("capacity")),
        Row::whole("an error behind the choices", &[
            r#"{"id":"c","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":""},"finish_reason":"error"}],"#,
            r#""error":{"code":502,"message":"Upstream closed"}}"#,
        ])
        .of_chat()
        .has(&[
            SHORT[0],
            SHORT[1],
            ("response.finish_reasons", r#"["error"]"#),
        ])
        .fails(1, Some("Upstream closed"), Some("502")),
        Row::whole("an error that is a text", &[r#"{"error":"model not found"}"#])
            .fails(0, Some("model not found"), None),
        Row::whole("an error by its type", &[
            r#"{"type":"error","error":{"type":"api_error","message":"Internal"},"request_id":"req_1"}"#,
        ])
        .fails(0, Some("Internal"), Some("api_error")),
        Row::whole("an object error", &[
            r#"{"object":"error","message":"too long","type":"BadRequestError","param":null,"code":40303}"#,
        ])
        .fails(0, Some("too long"), Some("40303")),];

const NO_FAILURES_ROWS: &[Row] = &[
    Row::whole(
        "an array of records, one with an error",
        &[r#"[{"id":1,"error":null},{"id":2,"error":"timed out"}]"#],
    ),
    Row::whole(
        "an array of arrays",
        &[r#"[[{"error":"no","choices":[]}]]"#],
    ),
    Row::whole("nothing", &[" \n"]),
    Row::whole(
        "an application's own object",
        &[
            r#"{"status":"failed","errors":["no"],"id":"c","model":"m","usage":{"prompt_tokens":1}}"#,
        ],
    ),
    Row::whole(
        "errors that say nothing",
        &[r#"{"error":{"code":0,"message":""},"id":"c"}"#],
    ),
    Row::whole(
        "an error that is a number",
        &[r#"{"error":0.25,"error_rate":1}"#],
    ),
    Row::whole(
        "a job that failed",
        &[
            r#"{"object":"fine_tuning.job","id":"ftjob-1","model":"m","status":"failed","error":{"code":"invalid_file","message":"no"}}"#,
        ],
    ),
    Row::whole(
        "a list of jobs",
        &[r#"{"object":"list","data":[{"object":"batch","error":{"message":"no"}}],"error":"no"}"#],
    ),
    Row::whole(
        "an error and more behind it",
        &[r#"{"error":{"message":"no"}} {}"#],
    ),
    Row::whole("an error that is cut", &[r#"{"error":{"message":"no"}"#]),
    Row::whole(
        "a chat that is cut",
        &[
            r#"{"id":"c","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":5"#,
        ],
    ),
];
