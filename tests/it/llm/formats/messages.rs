//! Messages: text, thinking, usage, ends and failures.

use super::row::Row;

/// The blanks before the last brace are the service's own.
pub(super) const START: &str = r#"{"type":"message_start","message":{"model":"claude-opus-4-5-20251101","id":"msg_E1","type":"message","role":"assistant","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":25,"cache_creation_input_tokens":10,"cache_read_input_tokens":100,"cache_creation":{"ephemeral_5m_input_tokens":10,"ephemeral_1h_input_tokens":0},"output_tokens":1,"service_tier":"standard"}}             }"#;
pub(super) const BLOCK: &str =
    r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}  }"#;
const PING: &str = r#"{"type": "ping"}"#;
pub(super) const DELTA: &str = r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Rivers"}      }"#;
pub(super) const BLOCK_STOP: &str = r#"{"type":"content_block_stop","index":0 }"#;
const END_TURN: &str = r#"{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":15}   }"#;
pub(super) const STOP: &str = r#"{"type":"message_stop"   }"#;
const OVERLOADED: &str = r#"{"type":"error","error":{"details":null,"type":"overloaded_error","message":"Overloaded"},"request_id":"req_E9"}"#;

/// Id, model and usage of [`START`].
pub(super) const SEEN: [(&str, &str); 5] = [
    ("response.id", "msg_E1"),
    ("response.model", "claude-opus-4-5-20251101"),
    ("usage.input_tokens", "135"),
    ("usage.cache_creation.input_tokens", "10"),
    ("usage.cache_read.input_tokens", "100"),
];
const ENDED: [(&str, &str); 7] = [
    SEEN[0],
    SEEN[1],
    SEEN[2],
    SEEN[3],
    SEEN[4],
    ("response.finish_reasons", r#"["end_turn"]"#),
    ("usage.output_tokens", "15"),
];
const PLAIN: &str = r#"{"type":"message_start","message":{"id":"msg_E1","type":"message","role":"assistant","model":"claude-opus-4-5-20251101","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":25,"output_tokens":4}}}"#;

pub(super) fn rows() -> Vec<Row> {
    [TEXT_ROWS, USAGE_ROWS, ENDS_ROWS, FAILURES_ROWS].concat()
}

const TEXT_ROWS: &[Row] = &[
        Row::messages("text", &[START, BLOCK, PING, DELTA, DELTA, BLOCK_STOP, END_TURN, STOP])
            .has(&ENDED)
            .first(3)
            .ended(7),
        Row::messages("no content at all", &[START, END_TURN, STOP])
            .has(&ENDED)
            .ended(2),
        Row::messages("text in the start of a block", &[
            START,
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":"Rivers"}}"#,
            END_TURN,
            STOP,
        ])
        .has(&ENDED)
        .first(1)
        .ended(3),
        Row::messages("text that looks like an end, an error and usage", &[
            START,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"event: message_stop\ndata: {\"type\":\"error\",\"error\":{\"message\":\"no\"},\"usage\":{\"output_tokens\":1}}\n\n[DONE]"}}"#,
            END_TURN,
            STOP,
        ])
        .has(&ENDED)
        .first(1)
        .ended(3),
        Row::messages("thinking, its signature, and redacted thinking", &[
            START,
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"redacted_thinking","data":"EmwKAhgBEgy3"}}"#,
            r#"{"type":"content_block_start","index":1,"content_block":{"type":"thinking","thinking":"","signature":""}}"#,
            r#"{"type":"content_block_delta","index":1,"delta":{"type":"thinking_delta","thinking":""}}"#,
            r#"{"type":"content_block_delta","index":1,"delta":{"type":"thinking_delta","thinking":"Let me"}}"#,
            r#"{"type":"content_block_delta","index":1,"delta":{"type":"signature_delta","signature":"EqQBCgIYAhIM"}}"#,
            DELTA,
            END_TURN,
            STOP,
        ])
        .has(&ENDED)
        .first(4)
        .ended(8),
        Row::messages("a ping before everything, and names of events that say nothing", &[
            PING,
            "event: ping\ndata: {}",
            START,
            PING,
            DELTA,
            END_TURN,
            STOP,
        ])
        .has(&ENDED)
        .first(4)
        .ended(6),];

const USAGE_ROWS: &[Row] = &[
    Row::messages("zeros in the last event do not replace counts: all are totals", &[
        START,
        DELTA,
        r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"input_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":15}}"#,
        STOP,
    ])
    .has(&ENDED)
    .first(1)
    .ended(3),
        Row::messages("usage again in the last event: each last member counts, all input is summed", &[
            START,
            DELTA,
            r#"{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"input_tokens":40,"cache_creation_input_tokens":10,"cache_read_input_tokens":100,"output_tokens":15,"server_tool_use":{"web_search_requests":1}},"context_management":{"applied_edits":[]}}"#,
            STOP,
        ])
        .has(&[
            SEEN[0],
            SEEN[1],
            ("usage.input_tokens", "150"),
            ("usage.cache_creation.input_tokens", "10"),
            ("usage.cache_read.input_tokens", "100"),
            ("response.finish_reasons", r#"["end_turn"]"#),
            ("usage.output_tokens", "15"),
        ])
        .first(1)
        .ended(3),
        Row::messages("output tokens are totals: the last ones count", &[
            PLAIN,
            DELTA,
            r#"{"type":"message_delta","delta":{"stop_reason":null},"usage":{"output_tokens":9}}"#,
            r#"{"type":"message_delta","delta":{"stop_reason":"max_tokens","stop_sequence":null},"usage":{"output_tokens":30}}"#,
            STOP,
        ])
        .has(&[
            SEEN[0],
            SEEN[1],
            ("usage.input_tokens", "25"),
            ("response.finish_reasons", r#"["max_tokens"]"#),
            ("usage.output_tokens", "30"),
        ])
        .first(1)
        .ended(4),
        Row::messages("all input in the last event", &[
            r#"{"type":"message_start","message":{"id":"msg_E1","model":"claude-opus-4-5-20251101","usage":{"input_tokens":0,"output_tokens":0}}}"#,
            DELTA,
            r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"input_tokens":25,"cache_creation_input_tokens":10,"cache_read_input_tokens":100,"output_tokens":15}}"#,
            STOP,
        ])
        .has(&ENDED)
        .first(1)
        .ended(3),
        Row::messages("nulls change nothing", &[
            START,
            DELTA,
            r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"input_tokens":null,"cache_creation_input_tokens":null,"cache_read_input_tokens":null,"output_tokens":15}}"#,
            STOP,
        ])
        .has(&ENDED)
        .first(1)
        .ended(3),
        Row::messages("metrics of a host beside the last event", &[
            START,
            DELTA,
            END_TURN,
            r#"{"type":"message_stop","amazon-bedrock-invocationMetrics":{"inputTokenCount":1,"outputTokenCount":2,"invocationLatency":900,"firstByteLatency":400}}"#,
        ])
        .has(&ENDED)
        .first(1)
        .ended(3),];

const ENDS_ROWS: &[Row] = &[
    Row::messages("an end that is cut behind its name", &[
        START,
        DELTA,
        "event: message_stop\ndata: {\"type\":\"mess",
    ])
    .has(&SEEN)
    .first(1)
    .unfinished()
    .truncated(),
        Row::messages("a terminator behind the end", &[START, DELTA, END_TURN, STOP, "[DONE]"])
            .has(&ENDED)
            .first(1)
            .ended(3),
        Row::messages("a stop reason without an end", &[START, DELTA, END_TURN])
            .has(&ENDED)
            .first(1)
            .truncated(),
        Row::messages("cut inside a block: the output tokens of the start are none", &[START, BLOCK, DELTA])
            .has(&SEEN)
            .first(2)
            .truncated(),
        Row::messages("cut before a block", &[START]).has(&SEEN).truncated(),
        Row::messages("an end in a line without a line end", &[START, DELTA, END_TURN, STOP])
            .has(&ENDED)
            .first(1)
            .unfinished(),
        Row::messages("an end by the name of the event", &[
            START,
            DELTA,
            END_TURN,
            "event: message_stop\ndata: {}",
        ])
        .has(&ENDED)
        .first(1)
        .ended(3),
        Row::messages("an end by the name of the event, without data", &[
            START,
            DELTA,
            END_TURN,
            "event: message_stop",
        ])
        .has(&ENDED)
        .first(1)
        .ended(3),
        Row::messages("a block's end and a nested type are no end", &[
            START,
            BLOCK_STOP,
            r#"{"message":{"type":"message_stop"},"type":"message_delta","delta":{"type":"message_stop"}}"#,
            "event: message_stopped\ndata: {}",
        ])
        .has(&SEEN)
        .truncated(),
        Row::messages("names of events alone show the format", &[
            "event: message_start\ndata: {\"message\":{\"id\":\"msg_E1\",\"model\":\"claude-opus-4-5-20251101\"}}",
            "event: content_block_delta\ndata: {\"delta\":{\"text\":\"Hi\"}}",
        ])
        .has(&[SEEN[0], SEEN[1]])
        .first(1)
        .truncated(),];

const FAILURES_ROWS: &[Row] = &[
        Row::messages("overloaded, and no end", &[START, BLOCK, DELTA, OVERLOADED])
            .has(&SEEN)
            .first(2)
            .fails(3, Some("Overloaded"), Some("overloaded_error")),
        Row::messages("overloaded, and then the rest", &[START, OVERLOADED, DELTA, END_TURN, STOP])
            .has(&ENDED)
            .first(2)
            .fails(1, Some("Overloaded"), Some("overloaded_error"))
            .ended(4),
        Row::events("overloaded at once", &[
            "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}",
        ])
        .fails(0, Some("Overloaded"), Some("overloaded_error")),
        Row::messages("an error in a line without a line end", &[START, OVERLOADED])
            .has(&SEEN)
            .fails(1, Some("Overloaded"), Some("overloaded_error"))
            .unfinished(),
        Row::messages("an error that is a text", &[
            START,
            r#"{"type":"error","error":"Overloaded"}"#,
        ])
        .has(&SEEN)
        .fails(1, Some("Overloaded"), None),
        Row::messages("an error whose members say nothing", &[
            START,
            r#"{"type":"error","error":{"type":"","message":""}}"#,
        ])
        .has(&SEEN)
        .fails(1, None, None),
        Row::messages("an error of a gateway, without a type", &[
            START,
            DELTA,
            r#"{"error":{"message":"upstream closed","code":"502"}}"#,
        ])
        .has(&SEEN)
        .first(1)
        .fails(2, Some("upstream closed"), Some("502")),
        Row::messages("an error in an event of a known type is none", &[
            START,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi"},"error":{"message":"no"}}"#,
            END_TURN,
            STOP,
        ])
        .has(&ENDED)
        .first(1)
        .ended(3),];
