//! Messages: tools, searches, citations, and stop reasons.

use super::messages::{BLOCK_STOP, DELTA, SEEN, START, STOP};
use super::row::Row;

const TOOL_USE: &str = r#"{"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":80}}"#;
const CALLED: [(&str, &str); 7] = [
    SEEN[0],
    SEEN[1],
    SEEN[2],
    SEEN[3],
    SEEN[4],
    ("response.finish_reasons", r#"["tool_use"]"#),
    ("usage.output_tokens", "80"),
];

pub(super) fn rows() -> Vec<Row> {
    ROWS.to_vec()
}

const ROWS: &[Row] = &[
        Row::messages("the name of a tool", &[
            START,
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"toolu_E2","name":"find","input":{}}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":""}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"error\": \"message_stop\"}"}}"#,
            BLOCK_STOP,
            TOOL_USE,
            STOP,
        ])
        .has(&CALLED)
        .first(1)
        .ended(6),
        Row::messages("the input of a tool without a name", &[
            START,
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"toolu_E2","name":"","input":{}}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta"}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"partial_json":"{","type":"input_json_delta"}}"#,
            TOOL_USE,
            STOP,
        ])
        .has(&CALLED)
        .first(3)
        .ended(5),
        Row::messages("a search of the service, whose result is an error", &[
            START,
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"server_tool_use","id":"srvtoolu_E3","name":"web_search","input":{}}}"#,
            r#"{"type":"content_block_start","index":1,"content_block":{"type":"web_search_tool_result","tool_use_id":"srvtoolu_E3","content":{"type":"web_search_tool_result_error","error_code":"max_uses_exceeded"}}}"#,
            r#"{"type":"content_block_start","index":2,"content_block":{"type":"text","text":"","citations":[]}}"#,
            r#"{"type":"content_block_delta","index":2,"delta":{"type":"citations_delta","citation":{"type":"web_search_result_location","cited_text":"error","url":"https://example.org","title":"error","encrypted_index":"Eo8"}}}"#,
            DELTA,
            r#"{"type":"message_delta","delta":{"stop_reason":"pause_turn","stop_sequence":null},"usage":{"output_tokens":80,"server_tool_use":{"web_search_requests":1}}}"#,
            STOP,
        ])
        .has(&[
            SEEN[0],
            SEEN[1],
            SEEN[2],
            SEEN[3],
            SEEN[4],
            ("response.finish_reasons", r#"["pause_turn"]"#),
            ("usage.output_tokens", "80"),
        ])
        .first(1)
        .ended(7),
        Row::messages("citations and results alone are no tokens", &[
            START,
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"web_search_tool_result","tool_use_id":"srvtoolu_E3","content":[{"type":"web_search_result","title":"Rivers","name":"Rivers"}]}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"citations_delta","citation":{"text":"Rivers","cited_text":"Rivers"}}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"Eo8"}}"#,
            TOOL_USE,
            STOP,
        ])
        .has(&CALLED)
        .ended(5),
        Row::messages("a refusal, with a stop sequence that looks like a reason", &[
            START,
            DELTA,
            r#"{"type":"message_delta","delta":{"stop_sequence":"stop_reason","stop_reason":"refusal"},"usage":{"output_tokens":80}}"#,
            STOP,
        ])
        .has(&[
            SEEN[0],
            SEEN[1],
            SEEN[2],
            SEEN[3],
            SEEN[4],
            ("response.finish_reasons", r#"["refusal"]"#),
            ("usage.output_tokens", "80"),
        ])
        .first(1)
        .ended(3),
];
