//! Endpoints that generate no text, and formats that are not read.

use bytes::Bytes;

use super::exchange::{Answer, Case, JSON, exchange, post, run_all};

const OTHERS: &[Case] = &[
    Case::frames(
        "the tokens of a prompt, counted",
        JSON,
        &[r#"{"input_tokens":728384}"#],
    ),
    Case::frames(
        "the tokens of a prompt, counted by Gemini",
        JSON,
        &[r#"{"totalTokens":31,"promptTokensDetails":[{"modality":"TEXT","tokenCount":31}]}"#],
    ),
    Case::frames(
        "embeddings",
        JSON,
        &[
            r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.1,-2e-3]}],"model":"m","usage":{"prompt_tokens":8,"total_tokens":8}}"#,
        ],
    ),
    Case::frames(
        "a rerank",
        JSON,
        &[
            r#"{"id":"c","model":"m","usage":{"total_tokens":56},"results":[{"index":0,"document":{"text":"a"},"relevance_score":0.9}]}"#,
        ],
    ),
    Case::frames(
        "models",
        JSON,
        &[r#"{"object":"list","data":[{"id":"m","object":"model","created":1,"owned_by":"o"}]}"#],
    ),
    Case::frames(
        "a batch with an error in its record",
        JSON,
        &[
            r#"{"id":"batch_1","object":"batch","endpoint":"/v1/chat/completions","errors":{"object":"list","data":[{"code":"x","message":"no"}]},"status":"failed"}"#,
        ],
    ),
];

#[tokio::test]
async fn other_endpoints_have_no_attributes_of_an_answer() {
    run_all(OTHERS).await;
}

#[tokio::test]
async fn an_answer_of_gemini_s_own_api_has_model_and_usage() {
    let request = post(
        "/v1/projects/p/locations/global/publishers/google/models/gemini-2.5-flash:generateContent",
        r#"{"contents":[{"role":"user","parts":[{"text":"Hi"}]}],"tools":[{"google_search":{}}]}"#,
    );
    let answer = Answer {
        content_type: "application/json; charset=UTF-8",
        frames: vec![Bytes::from_static(
            br#"{"candidates":[{"content":{"role":"model","parts":[{"text":"Hi"}]},"finishReason":"STOP","groundingMetadata":{"webSearchQueries":["a"]}}],"usageMetadata":{"promptTokenCount":5,"candidatesTokenCount":2,"totalTokenCount":60,"toolUsePromptTokenCount":11,"thoughtsTokenCount":42},"modelVersion":"gemini-2.5-flash","responseId":"c"}"#,
        )],
        stays_open: false,
    };
    let shown = exchange(answer, &request, None).await;
    let read = shown.attributes();
    let read: Vec<_> = read.iter().map(|(key, value)| (&**key, &**value)).collect();
    assert_eq!(
        read,
        [
            ("response.finish_reasons", r#"["STOP"]"#),
            ("response.id", "c"),
            ("response.model", "gemini-2.5-flash"),
            ("usage.input_tokens", "16"),
            ("usage.output_tokens", "44"),
            ("usage.reasoning.output_tokens", "42"),
        ]
    );
}

#[tokio::test]
async fn a_binary_event_stream_is_passed_through_unread() {
    // A message of Amazon's event streams: lengths, a checksum, headers, a payload, and a checksum.
    const EXCEPTION: &[u8] = b"\x00\x00\x00\x7a\x00\x00\x00\x4c\xde\xad\xbe\xef\x0d:message-type\x07\x00\x09exception\x0f:exception-type\x07\x00\x13throttlingException{\"message\":\"Too many\"}\xca\xfe\xba\xbe";
    let answer = Answer {
        content_type: "application/vnd.amazon.eventstream",
        frames: vec![Bytes::from_static(EXCEPTION)],
        stays_open: false,
    };
    let request = post("/model/m/converse-stream", r#"{"messages":[]}"#);
    let shown = exchange(answer, &request, None).await;
    assert_eq!(shown.span.outcome(), "DEPARTED");
    assert!(shown.attributes().is_empty(), "{:?}", shown.attributes());
    let first = shown.span.value("gen_ai.response.time_to_first_chunk");
    assert_eq!(first, None, "no token is made up");
}
