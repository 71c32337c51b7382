//! Responses: text, reasoning, tools, and the ends that are no failure.

use super::row::Row;

pub(super) const CREATED: &str = r#"{"type":"response.created","sequence_number":0,"response":{"id":"resp_D1","object":"response","created_at":1764300020,"status":"in_progress","background":false,"error":null,"incomplete_details":null,"instructions":null,"max_output_tokens":null,"model":"gpt-5-2025-08-07","output":[],"parallel_tool_calls":true,"reasoning":{"effort":"medium","summary":"detailed"},"store":true,"temperature":1.0,"text":{"format":{"type":"text"},"verbosity":"medium"},"tools":[],"usage":null,"user":null,"metadata":{}}}"#;
pub(super) const IN_PROGRESS: &str = r#"{"type":"response.in_progress","sequence_number":1,"response":{"id":"resp_D1","object":"response","status":"in_progress","error":null,"model":"gpt-5-2025-08-07","output":[],"usage":null}}"#;
const MESSAGE: &str = r#"{"type":"response.output_item.added","sequence_number":2,"output_index":0,"item":{"id":"msg_D2","type":"message","status":"in_progress","content":[],"role":"assistant"}}"#;
const PART: &str = r#"{"type":"response.content_part.added","sequence_number":3,"item_id":"msg_D2","output_index":0,"content_index":0,"part":{"type":"output_text","annotations":[],"logprobs":[],"text":""}}"#;
pub(super) const DELTA: &str = r#"{"type":"response.output_text.delta","sequence_number":4,"item_id":"msg_D2","output_index":0,"content_index":0,"delta":"Rivers","logprobs":[],"obfuscation":"a1B2c3"}"#;
const TEXT_DONE: &str = r#"{"type":"response.output_text.done","sequence_number":5,"item_id":"msg_D2","output_index":0,"content_index":0,"text":"Rivers","logprobs":[]}"#;
const ITEM_DONE: &str = r#"{"type":"response.output_item.done","sequence_number":7,"output_index":0,"item":{"id":"msg_D2","type":"message","status":"completed","content":[{"type":"output_text","annotations":[],"logprobs":[],"text":"Rivers"}],"role":"assistant"}}"#;
pub(super) const COMPLETED: &str = r#"{"type":"response.completed","sequence_number":8,"response":{"id":"resp_D1","object":"response","created_at":1764300020,"status":"completed","background":false,"error":null,"incomplete_details":null,"model":"gpt-5-2025-08-07","output":[{"id":"msg_D2","type":"message","status":"completed","content":[{"type":"output_text","text":"Rivers"}],"role":"assistant"}],"usage":{"input_tokens":31,"input_tokens_details":{"cached_tokens":16},"output_tokens":120,"output_tokens_details":{"reasoning_tokens":64},"total_tokens":151},"user":null,"metadata":{}}}"#;

/// Id and model of the events above.
pub(super) const SEEN: [(&str, &str); 2] = [
    ("response.id", "resp_D1"),
    ("response.model", "gpt-5-2025-08-07"),
];
pub(super) const FINISH: (&str, &str) = ("response.finish_reasons", r#"["completed"]"#);
pub(super) const USED: [(&str, &str); 7] = [
    SEEN[0],
    SEEN[1],
    FINISH,
    ("usage.input_tokens", "31"),
    ("usage.output_tokens", "120"),
    ("usage.cache_read.input_tokens", "16"),
    ("usage.reasoning.output_tokens", "64"),
];
const UNUSED: [(&str, &str); 3] = [SEEN[0], SEEN[1], FINISH];
const BARE: &str = r#"{"type":"response.completed","sequence_number":9,"response":{"id":"resp_D1","status":"completed"}}"#;

pub(super) fn rows() -> Vec<Row> {
    [
        TEXT_ROWS,
        OUTPUT_ROWS,
        TOOLS_ROWS,
        ENDS_ROWS,
        SHAPES_ROWS,
        &[big()],
    ]
    .concat()
}

const TEXT_ROWS: &[Row] = &[
        Row::responses("text", &[
            CREATED, IN_PROGRESS, MESSAGE, PART, DELTA, TEXT_DONE, ITEM_DONE, COMPLETED,
        ])
        .has(&USED)
        .first(4)
        .ended(7),
        Row::responses("no token", &[CREATED, IN_PROGRESS, COMPLETED])
            .has(&USED)
            .ended(2),
        Row::responses("a terminator behind the end", &[CREATED, DELTA, COMPLETED, "[DONE]"])
            .has(&USED)
            .first(1)
            .ended(2),
        Row::responses("a terminator without an end", &[CREATED, DELTA, "[DONE]"])
            .has(&SEEN)
            .first(1)
            .ended(2),
        Row::responses("text that looks like an end, an error and usage", &[
            CREATED,
            r#"{"type":"response.output_text.delta","sequence_number":4,"delta":"event: response.completed\ndata: {\"type\":\"response.failed\",\"error\":{\"message\":\"no\"}}\n\n[DONE]"}"#,
            r#"{"type":"response.output_text.done","text":"{\"type\":\"response.completed\",\"response\":{\"usage\":{\"input_tokens\":1}}}"}"#,
            BARE,
        ])
        .has(&UNUSED)
        .first(1)
        .ended(3),];

const OUTPUT_ROWS: &[Row] = &[
        Row::responses("a summary of the reasoning", &[
            CREATED,
            r#"{"type":"response.output_item.added","output_index":0,"item":{"id":"rs_D3","type":"reasoning","encrypted_content":"gAAAA","summary":[]},"sequence_number":2}"#,
            r#"{"type":"response.reasoning_summary_part.added","item_id":"rs_D3","output_index":0,"summary_index":0,"part":{"type":"summary_text","text":""},"sequence_number":3}"#,
            r#"{"type":"response.reasoning_summary_text.delta","item_id":"rs_D3","output_index":0,"summary_index":0,"delta":"","sequence_number":4,"obfuscation":"xYz"}"#,
            r#"{"type":"response.reasoning_summary_text.delta","item_id":"rs_D3","output_index":0,"summary_index":0,"delta":"**Think**","sequence_number":5,"obfuscation":"Q"}"#,
            r#"{"type":"response.reasoning_summary_text.done","item_id":"rs_D3","output_index":0,"summary_index":0,"text":"**Think**","sequence_number":6}"#,
            DELTA,
            COMPLETED,
        ])
        .has(&USED)
        .first(4)
        .ended(7),
        Row::responses("the reasoning itself", &[
            CREATED,
            r#"{"type":"response.reasoning_text.delta","item_id":"rs_D3","output_index":0,"content_index":0,"delta":"First","sequence_number":4}"#,
            BARE,
        ])
        .has(&UNUSED)
        .first(1)
        .ended(2),
        Row::responses("a refusal", &[
            CREATED,
            r#"{"type":"response.refusal.delta","item_id":"msg_D2","output_index":0,"content_index":0,"delta":"I can't","sequence_number":4}"#,
            r#"{"type":"response.refusal.done","item_id":"msg_D2","output_index":0,"content_index":0,"refusal":"I can't","sequence_number":5}"#,
            BARE,
        ])
        .has(&UNUSED)
        .first(1)
        .ended(3),
        Row::responses("audio", &[
            CREATED,
            r#"{"type":"response.audio.delta","sequence_number":1,"response_id":"resp_D1","delta":"UklGRg=="}"#,
            r#"{"type":"response.audio.transcript.delta","sequence_number":2,"response_id":"resp_D1","delta":"Hi"}"#,
            BARE,
        ])
        .has(&UNUSED)
        .first(1)
        .ended(3),
        Row::responses("deltas that are no text, and images", &[
            CREATED,
            r#"{"type":"response.output_text.delta","delta":{"text":"Hi"}}"#,
            r#"{"type":"response.output_text.delta","delta":null}"#,
            r#"{"type":"response.output_text.delta"}"#,
            r#"{"type":"response.image_generation_call.partial_image","item_id":"ig_1","partial_image_b64":"AAAA","partial_image_index":0}"#,
            BARE,
        ])
        .has(&UNUSED)
        .ended(5),];

const TOOLS_ROWS: &[Row] = &[
        Row::responses("a function call", &[
            CREATED,
            r#"{"type":"response.output_item.added","sequence_number":2,"output_index":0,"item":{"id":"fc_D4","type":"function_call","status":"in_progress","arguments":"","call_id":"call_1","name":"find"}}"#,
            r#"{"type":"response.function_call_arguments.delta","sequence_number":3,"item_id":"fc_D4","output_index":0,"delta":"{\"error\":","obfuscation":"w"}"#,
            r#"{"type":"response.function_call_arguments.done","sequence_number":4,"item_id":"fc_D4","output_index":0,"arguments":"{\"error\":\"[DONE]\"}"}"#,
            BARE,
        ])
        .has(&UNUSED)
        .first(1)
        .ended(4),
        Row::responses("a function call without a name", &[
            CREATED,
            r#"{"type":"response.output_item.added","item":{"name":"","type":"function_call","arguments":""}}"#,
            r#"{"type":"response.output_item.done","item":{"name":"find","type":"function_call"}}"#,
            r#"{"type":"response.function_call_arguments.delta","item_id":"fc_D4","delta":"{}"}"#,
            BARE,
        ])
        .has(&UNUSED)
        .first(3)
        .ended(4),
        Row::responses("a failed call of a tool is not a failure of the answer", &[
            CREATED,
            r#"{"type":"response.mcp_call.in_progress","sequence_number":2,"item_id":"mcp_1","output_index":0}"#,
            r#"{"type":"response.mcp_call_arguments.delta","sequence_number":3,"item_id":"mcp_1","output_index":0,"delta":"{}"}"#,
            r#"{"type":"response.mcp_call.failed","sequence_number":4,"item_id":"mcp_1","output_index":0,"error":{"message":"no such tool"}}"#,
            r#"{"type":"response.output_item.done","sequence_number":5,"output_index":0,"item":{"id":"mcp_1","type":"mcp_call","status":"failed","error":{"type":"mcp_tool_execution_error","content":"no"}},"error":"no"}"#,
            DELTA,
            BARE,
        ])
        .has(&UNUSED)
        .first(2)
        .ended(6),
        Row::responses("a search on the web, and code", &[
            CREATED,
            r#"{"type":"response.web_search_call.searching","sequence_number":2,"output_index":0,"item_id":"ws_1"}"#,
            r#"{"type":"response.output_text.annotation.added","sequence_number":3,"annotation":{"type":"url_citation","url":"https://example.org"}}"#,
            r#"{"type":"response.code_interpreter_call_code.delta","sequence_number":4,"output_index":0,"item_id":"ci_1","delta":"import"}"#,
            BARE,
        ])
        .has(&UNUSED)
        .first(3)
        .ended(4),];

const ENDS_ROWS: &[Row] = &[
        Row::responses("names beside the response are not its own", &[
            r#"{"type":"response.queued","id":"evt_1","model":"router","message":{"id":"m","model":"n"}}"#,
            CREATED,
            DELTA,
            COMPLETED,
        ])
        .has(&USED)
        .first(2)
        .ended(3),
    Row::responses("an end that is cut behind its name", &[
        CREATED,
        DELTA,
        r#"{"type":"response.completed","response":{"id":"resp_D1","status":"completed","usage":{"input_tokens":31}"#,
    ])
    .has(&SEEN)
    .first(1)
    .unfinished()
    .truncated(),
        Row::responses("incomplete, with usage", &[
            CREATED,
            DELTA,
            r#"{"type":"response.incomplete","sequence_number":9,"response":{"id":"resp_D1","object":"response","status":"incomplete","error":null,"incomplete_details":{"reason":"max_output_tokens"},"model":"gpt-5-2025-08-07","output":[],"usage":{"input_tokens":9,"input_tokens_details":{"cached_tokens":0},"output_tokens":16,"output_tokens_details":{"reasoning_tokens":16},"total_tokens":25}}}"#,
        ])
        .has(&[
            SEEN[0],
            SEEN[1],
            ("response.finish_reasons", r#"["max_output_tokens"]"#),
            ("usage.input_tokens", "9"),
            ("usage.output_tokens", "16"),
            ("usage.cache_read.input_tokens", "0"),
            ("usage.reasoning.output_tokens", "16"),
        ])
        .first(1)
        .ended(2),
        Row::responses("incomplete without details", &[
            CREATED,
            r#"{"type":"response.incomplete","response":{"id":"resp_D1","status":"incomplete","incomplete_details":null,"usage":null}}"#,
        ])
        .has(&[
            SEEN[0],
            SEEN[1],
            ("response.finish_reasons", r#"["incomplete"]"#),
        ])
        .ended(1),
        Row::responses("cancelled", &[
            CREATED,
            DELTA,
            r#"{"type":"response.cancelled","response":{"id":"resp_D1","status":"cancelled","error":null}}"#,
        ])
        .has(&[
            SEEN[0],
            SEEN[1],
            ("response.finish_reasons", r#"["cancelled"]"#),
        ])
        .first(1)
        .ended(2),
        Row::responses("no end", &[CREATED, DELTA, TEXT_DONE, ITEM_DONE])
            .has(&SEEN)
            .first(1)
            .truncated(),
        Row::responses("no end and no token", &[CREATED, IN_PROGRESS])
            .has(&SEEN)
            .truncated(),
        Row::responses("an end in a line without a line end", &[CREATED, DELTA, COMPLETED])
            .has(&USED)
            .first(1)
            .unfinished(),];

const SHAPES_ROWS: &[Row] = &[
        Row::responses("the name of the event alone", &[
            "event: response.created\ndata: {\"response\":{\"id\":\"resp_D1\",\"model\":\"gpt-5-2025-08-07\"}}",
            "event: response.output_text.delta\ndata: {\"delta\":\"Hi\"}",
            "event: response.completed\ndata: {\"response\":{\"status\":\"completed\"}}",
        ])
        .has(&UNUSED)
        .first(1)
        .ended(2),
        Row::responses("the name of the event without data", &[
            CREATED,
            "event: response.completed",
        ])
        .has(&SEEN)
        .ended(1),
        Row::responses("the type in the data counts, not the name of the event", &[
            CREATED,
            "event: response.completed\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"Hi\"}",
            "event: response.output_text.delta\ndata: {\"type\":\"response.completed\",\"response\":{\"status\":\"completed\"}}",
        ])
        .has(&UNUSED)
        .first(1)
        .ended(2),
        Row::responses("types that only begin or end like an end", &[
            CREATED,
            r#"{"type":"response.completed.soon"}"#,
            r#"{"type":"my.response.completed"}"#,
            r#"{"type":"response.output_item.done"}"#,
            r#"{"response":{"type":"response.completed"}}"#,
        ])
        .has(&SEEN)
        .truncated(),
        Row::responses("a keep-alive of the service, first and in between", &[
            r#"{"type":"keepalive","sequence_number":0}"#,
            CREATED,
            r#"{"type":"keepalive","sequence_number":3}"#,
            DELTA,
            COMPLETED,
        ])
        .has(&USED)
        .first(3)
        .ended(4),
        Row::responses("the type last, and queued first", &[
            r#"{"response":{"model":"gpt-5-2025-08-07","status":"queued","id":"resp_D1"},"sequence_number":0,"type":"response.queued"}"#,
            r#"{"delta":"Hi","sequence_number":1,"type":"response.output_text.delta"}"#,
            r#"{"response":{"usage":{"output_tokens":2,"input_tokens":1},"status":"completed"},"type":"response.completed"}"#,
        ])
        .has(&[
            SEEN[0],
            SEEN[1],
            FINISH,
            ("usage.input_tokens", "1"),
            ("usage.output_tokens", "2"),
        ])
        .first(1)
        .ended(2),
];

/// Returns an answer whose last event has a long text that looks like anything, and usage behind it.
fn big() -> Row {
    let text = r#"[DONE] {\"error\":{\"message\":\"no\"}} \n\ndata: "#.repeat(2_000);
    let end = COMPLETED.replace(r#""text":"Rivers""#, &format!(r#""text":"{text}""#));
    assert!(end.len() > 90_000 && end.contains("usage"));
    let pieces = Box::leak(Box::new([CREATED, &*Box::leak(end.into_boxed_str())]));
    Row::responses("an end of 100 kilobytes", pieces)
        .has(&USED)
        .ended(1)
}
