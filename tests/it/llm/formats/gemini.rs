//! Gemini, with `alt=sse`: the end is that of the body.

use super::row::Row;

const TEXT: &str = r#"{"candidates": [{"content": {"parts": [{"text": "Rivers"}],"role": "model"},"index": 0}],"usageMetadata": {"promptTokenCount": 8,"candidatesTokenCount": 1,"totalTokenCount": 9,"promptTokensDetails": [{"modality": "TEXT","tokenCount": 8}]},"modelVersion": "gemini-2.5-flash","responseId": "F1"}"#;
const STOP: &str = r#"{"candidates": [{"content": {"parts": [{"text": " flow"}],"role": "model"},"finishReason": "STOP","index": 0}],"usageMetadata": {"promptTokenCount": 8,"candidatesTokenCount": 3,"totalTokenCount": 104,"promptTokensDetails": [{"modality": "TEXT","tokenCount": 8}],"thoughtsTokenCount": 93},"modelVersion": "gemini-2.5-flash","responseId": "F1"}"#;
const SEEN: [(&str, &str); 2] = [
    ("response.id", "F1"),
    ("response.model", "gemini-2.5-flash"),
];
const FINISH: (&str, &str) = ("response.finish_reasons", r#"["STOP"]"#);
const STOPPED: [(&str, &str); 6] = [
    SEEN[0],
    SEEN[1],
    FINISH,
    ("usage.input_tokens", "8"),
    ("usage.output_tokens", "96"),
    ("usage.reasoning.output_tokens", "93"),
];
const BEGUN: [(&str, &str); 4] = [
    SEEN[0],
    SEEN[1],
    ("usage.input_tokens", "8"),
    ("usage.output_tokens", "1"),
];
const MODEL: [(&str, &str); 2] = [("response.model", "m"), FINISH];

pub(super) fn rows() -> Vec<Row> {
    [TEXT_ROWS, PARTS_ROWS, USAGE_ROWS, FAILURES_ROWS].concat()
}

const TEXT_ROWS: &[Row] = &[
        Row::gemini("text", &[TEXT, STOP]).has(&STOPPED).first(0),
        Row::gemini("no finish reason: the end of the body is the end", &[TEXT])
            .has(&BEGUN)
            .first(0),
        Row::gemini("a terminator of a gateway", &[TEXT, STOP, "[DONE]"])
            .has(&STOPPED)
            .first(0)
            .ended(2),
        Row::gemini("a choice of another format", &[
            TEXT,
            r#"{"choices":[{"index":1,"finish_reason":"length"}]}"#,
            STOP,
        ])
        .has(&STOPPED)
        .first(0),
        Row::gemini("a last line that is cut", &[
            TEXT,
            r#"{"candidates": [{"content": {"parts": [{"text": "x"}]},"finishReason": "STOP"}]"#,
        ])
        .has(&BEGUN)
        .first(0)
        .unfinished(),
        Row::gemini("a last line without a line end", &[TEXT, STOP])
            .has(&STOPPED)
            .first(0)
            .unfinished(),
        Row::gemini("text that looks like an end, an error and usage", &[
            r#"{"candidates":[{"content":{"parts":[{"text":"[DONE]\n\ndata: {\"error\":{\"message\":\"no\"},\"usageMetadata\":{\"promptTokenCount\":1}}"}]},"finishReason":"STOP"}],"modelVersion":"m"}"#,
        ])
        .has(&MODEL)
        .first(0),
        Row::gemini("two candidates, without an index and with one", &[
            r#"{"candidates":[{"content":{"parts":[{"text":"a"}]}},{"content":{"parts":[{"text":"b"}]},"finishReason":"MAX_TOKENS"}],"modelVersion":"m"}"#,
            r#"{"candidates":[{"index":0,"finishReason":"STOP"}]}"#,
        ])
        .has(&[
            ("response.model", "m"),
            ("response.finish_reasons", r#"["STOP","MAX_TOKENS"]"#),
        ])
        .first(0),];

const PARTS_ROWS: &[Row] = &[
        Row::gemini("an empty text with a signature, and then a thought", &[
            r#"{"candidates":[{"content":{"parts":[{"text":"","thoughtSignature":"CrYB"}],"role":"model"},"index":0}],"modelVersion":"m"}"#,
            r#"{"candidates":[{"content":{"parts":[{"text":"**Think**","thought":true}],"role":"model"},"index":0}],"modelVersion":"m"}"#,
            r#"{"candidates":[{"content":{"parts":[{"text":"Hi"}],"role":"model"},"finishReason":"STOP","index":0}],"modelVersion":"m"}"#,
        ])
        .has(&MODEL)
        .first(1),
        Row::gemini("a call of a function", &[
            r#"{"candidates":[{"content":{"role":"model"},"index":0}],"modelVersion":"m"}"#,
            r#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"find","args":{"error":"no"}},"thoughtSignature":"CrYB"}],"role":"model"},"finishReason":"STOP","index":0}],"modelVersion":"m"}"#,
        ])
        .has(&MODEL)
        .first(1),
        Row::gemini("a second part with text", &[
            r#"{"candidates":[{"content":{"parts":[{"text":""},{"text":"Hi"}]},"finishReason":"STOP"}],"modelVersion":"m"}"#,
        ])
        .has(&MODEL)
        .first(0),
        Row::gemini("an image, and text elsewhere, are no tokens", &[
            r#"{"candidates":[{"content":{"parts":[{"inlineData":{"mimeType":"image/png","data":"iVBO","text":"x"}}],"text":"x"},"finishReason":"STOP","finishMessage":"error","text":"x"}],"modelVersion":"m"}"#,
        ])
        .has(&MODEL),
        Row::gemini("a prompt that is blocked, without a candidate", &[
            r#"{"promptFeedback":{"blockReason":"PROHIBITED_CONTENT"},"usageMetadata":{"promptTokenCount":8,"totalTokenCount":8},"modelVersion":"m","responseId":"F2"}"#,
        ])
        .has(&[
            ("response.id", "F2"),
            ("response.model", "m"),
            ("usage.input_tokens", "8"),
        ]),];

const USAGE_ROWS: &[Row] = &[
        Row::gemini("usage in every chunk is a total: the last one counts", &[
            r#"{"usageMetadata":{"promptTokenCount":8,"toolUsePromptTokenCount":5,"thoughtsTokenCount":10,"cachedContentTokenCount":6}}"#,
            r#"{"candidates":[{"content":{"parts":[{"text":"a"}]}}],"usageMetadata":{"promptTokenCount":8,"candidatesTokenCount":2,"toolUsePromptTokenCount":5,"thoughtsTokenCount":12,"cachedContentTokenCount":6}}"#,
            r#"{"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":9,"candidatesTokenCount":4}}"#,
        ])
        .has(&[
            FINISH,
            ("usage.input_tokens", "14"),
            ("usage.output_tokens", "16"),
            ("usage.cache_read.input_tokens", "6"),
            ("usage.reasoning.output_tokens", "12"),
        ])
        .first(1),
        Row::gemini("thoughts alone are output", &[
            r#"{"candidates":[{"finishReason":"MAX_TOKENS","index":0}],"usageMetadata":{"promptTokenCount":3,"thoughtsTokenCount":50},"modelVersion":"m"}"#,
        ])
        .has(&[
            ("response.model", "m"),
            ("response.finish_reasons", r#"["MAX_TOKENS"]"#),
            ("usage.input_tokens", "3"),
            ("usage.output_tokens", "50"),
            ("usage.reasoning.output_tokens", "50"),
        ]),];

const FAILURES_ROWS: &[Row] = &[
        Row::gemini("an error midway", &[
            TEXT,
            r#"{"error": {"code": 503,"message": "The model is overloaded.","status": "UNAVAILABLE"}}"#,
        ])
        .has(&BEGUN)
        .first(0)
        .fails(1, Some("The model is overloaded."), Some("503")),
        Row::gemini("an error with a status alone, and details", &[
            TEXT,
            r#"{"error":{"message":"Quota","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.example.org/QuotaFailure","message":"inner","code":1}]}}"#,
        ])
        .has(&BEGUN)
        .first(0)
        .fails(1, Some("Quota"), Some("RESOURCE_EXHAUSTED")),
        Row::gemini("an error in a line without a line end", &[
            TEXT,
            r#"{"error":{"code":500,"message":"Internal"}}"#,
        ])
        .has(&BEGUN)
        .first(0)
        .fails(1, Some("Internal"), Some("500"))
        .unfinished(),
        Row::gemini("an error beside a candidate", &[
            r#"{"candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":"OTHER"}],"modelVersion":"m","error":{"message":"late"}}"#,
        ])
        .has(&[
            ("response.model", "m"),
            ("response.finish_reasons", r#"["OTHER"]"#),
        ])
        .first(0)
        .fails(0, Some("late"), None),
        Row::gemini("finish reasons that are failures of the model are none of the answer", &[
            r#"{"candidates":[{"content":{},"finishReason":"MALFORMED_FUNCTION_CALL","finishMessage":"error: no such function","index":0}],"modelVersion":"m"}"#,
        ])
        .has(&[
            ("response.model", "m"),
            ("response.finish_reasons", r#"["MALFORMED_FUNCTION_CALL"]"#),
        ]),];
