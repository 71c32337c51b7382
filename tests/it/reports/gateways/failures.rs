//! Failures behind a head with status 200.

use super::exchange::{Case, JSON, run_all};

const CHAT: [(&str, &str); 2] = [("response.id", "c"), ("response.model", "m")];
const TEXT: &str = r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"Hi"},"finish_reason":null}]}"#;

const REASONS: &[Case] = &[
    Case::events("the engine aborts the request", &[
        TEXT,
        r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"abort"}]}"#,
        "[DONE]",
    ])
    .has(&[
        CHAT[0],
        CHAT[1],
        ("response.finish_reasons", r#"["abort"]"#),
    ])
    .token()
    .fails(None, None),
    Case::events("the service lacks resources", &[
        TEXT,
        r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"content":""},"finish_reason":"insufficient_system_resource"}],"usage":{"prompt_tokens":5,"completion_tokens":1}}"#,
        "[DONE]",
    ])
    .has(&[
        CHAT[0],
        CHAT[1],
        (
            "response.finish_reasons",
            r#"["insufficient_system_resource"]"#,
        ),
        ("usage.input_tokens", "5"),
        ("usage.output_tokens", "1"),
    ])
    .token()
    .fails(None, None),
    Case::frames("a whole answer", JSON, &[
        r#"{"id":"c","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"content":"Hi"},"finish_reason":"abort"}]}"#,
    ])
    .has(&[
        CHAT[0],
        CHAT[1],
        ("response.finish_reasons", r#"["abort"]"#),
    ])
    .fails(None, None),
    Case::events("reasons of the model are none", &[
        TEXT,
        r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"content_filter"}]}"#,
        "[DONE]",
    ])
    .has(&[
        CHAT[0],
        CHAT[1],
        ("response.finish_reasons", r#"["content_filter"]"#),
    ])
    .token(),
];

#[tokio::test]
async fn a_finish_reason_of_the_engine_s_own_failure_is_a_failure() {
    run_all(REASONS).await;
}

const BASE_RESP: &[Case] = &[
    Case::frames("a refusal in a whole answer", JSON, &[
        r#"{"id":"c","choices":null,"created":1764300001,"model":"m","object":"","usage":{"total_tokens":0},"input_sensitive":false,"base_resp":{"status_code":1008,"status_msg":"insufficient balance"}}"#,
    ])
    .fails(Some("insufficient balance"), Some("1008")),
    Case::frames("a good answer", JSON, &[
        r#"{"id":"c","choices":[{"index":0,"message":{"content":"Hi"},"finish_reason":"stop"}],"model":"m","object":"chat.completion","base_resp":{"status_code":0,"status_msg":"success"}}"#,
    ])
    .has(&[
        CHAT[0],
        CHAT[1],
        ("response.finish_reasons", r#"["stop"]"#),
    ]),
    Case::events("a limit in the last chunk", &[
        TEXT,
        r#"{"id":"c","choices":[],"model":"m","object":"chat.completion.chunk","base_resp":{"status_msg":"rate limit","status_code":1002}}"#,
    ])
    .has(&CHAT)
    .token()
    .fails(Some("rate limit"), Some("1002")),
];

#[tokio::test]
async fn a_status_beside_the_answer_is_a_failure_unless_it_is_0() {
    run_all(BASE_RESP).await;
}

const GEMINI: [(&str, &str); 4] = [
    ("response.id", "c"),
    ("response.model", "m"),
    ("usage.input_tokens", "8"),
    ("usage.output_tokens", "1"),
];
const CANDIDATE: &str = "data: {\"candidates\": [{\"content\": {\"parts\": [{\"text\": \"Hi\"}],\"role\": \"model\"},\"index\": 0}],\"usageMetadata\": {\"promptTokenCount\": 8,\"candidatesTokenCount\": 1},\"modelVersion\": \"m\",\"responseId\": \"c\"}\r\n\r\n";

const BARE: &[Case] = &[
    Case::frames("over several lines, behind a part of the answer", "text/event-stream", &[
        CANDIDATE,
        "{\n  \"error\": {\n    \"code\": 503,\n    \"message\": \"The model is overloaded.\",\n    \"status\": \"UNAVAILABLE\"\n  }\n}\n",
    ])
    .has(&GEMINI)
    .token()
    .fails(Some("The model is overloaded."), Some("503")),
    Case::frames("in frames that end inside its lines", "text/event-stream", &[
        CANDIDATE,
        "{",
        "\r\n  \"err",
        "or\": {\r\n    \"code\": 429,\r",
        "\n    \"message\": \"Slow: down\"\r\n  }\r\n}",
    ])
    .has(&GEMINI)
    .token()
    .fails(Some("Slow: down"), Some("429")),
    Case::frames("in one line, alone", "text/event-stream", &[
        "{\"error\":{\"message\":\"upstream\"}}",
    ])
    .fails(Some("upstream"), None),
    Case::frames("behind plain text, of which it is a part", "text/event-stream", &[
        CANDIDATE,
        "data: The service answers:\n\n",
        "{\"error\": {\"message\": \"no\"}}\n\n",
    ])
    .has(&GEMINI)
    .token(),
    Case::frames("an object that is no failure says nothing", "text/event-stream", &[
        CANDIDATE,
        "{\"heartbeat\": 1}\n\n",
        "{\"error\": null}\n\n",
        "{\"error\": {\n\n",
        "data: {\"candidates\": [{\"finishReason\": \"STOP\"}]}\r\n\r\n",
    ])
    .has(&[
        GEMINI[0],
        GEMINI[1],
        GEMINI[2],
        GEMINI[3],
        ("response.finish_reasons", r#"["STOP"]"#),
    ])
    .token(),
];

#[tokio::test]
async fn a_failure_as_bare_json_in_an_event_stream_is_read() {
    run_all(BARE).await;
}
