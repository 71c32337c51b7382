//! Responses: failures, in all shapes that services and gateways send.

use super::responses::{COMPLETED, CREATED, DELTA, SEEN, USED};
use super::row::Row;

const FAILED: &str = r#"{"type":"response.failed","sequence_number":6,"response":{"id":"resp_D1","object":"response","created_at":1764300020,"status":"failed","background":false,"error":{"code":"server_error","message":"The model failed"},"incomplete_details":null,"model":"gpt-5-2025-08-07","output":[],"usage":null}}"#;
const FINISH: (&str, &str) = ("response.finish_reasons", r#"["failed"]"#);
const ENDED: [(&str, &str); 3] = [SEEN[0], SEEN[1], FINISH];

pub(super) fn rows() -> Vec<Row> {
    [FAILED_ROWS, ERRORS_ROWS].concat()
}

const FAILED_ROWS: &[Row] = &[
        Row::responses("failed", &[CREATED, DELTA, FAILED])
            .has(&ENDED)
            .first(1)
            .fails(2, Some("The model failed"), Some("server_error"))
            .ended(2),
        Row::responses("failed at once", &[FAILED])
            .has(&ENDED)
            .fails(0, Some("The model failed"), Some("server_error"))
            .ended(0),
        Row::responses("failed in a line without a line end", &[CREATED, FAILED])
            .has(&ENDED)
            .fails(1, Some("The model failed"), Some("server_error"))
            .unfinished(),
        Row::responses("failed, with usage, the error behind the output", &[
            CREATED,
            DELTA,
            r#"{"response":{"output":[{"error":{"message":"inner"}}],"usage":{"input_tokens":7,"output_tokens":3},"status":"failed","error":{"message":"outer","code":"rate_limit_exceeded"}},"type":"response.failed"}"#,
        ])
        .has(&[
            SEEN[0],
            SEEN[1],
            FINISH,
            ("usage.input_tokens", "7"),
            ("usage.output_tokens", "3"),
        ])
        .first(1)
        .fails(2, Some("outer"), Some("rate_limit_exceeded"))
        .ended(2),
        Row::responses("failed without an error", &[
            CREATED,
            r#"{"type":"response.failed","response":{"id":"resp_D1","status":"failed","error":null}}"#,
        ])
        .has(&ENDED)
        .fails(1, None, None)
        .ended(1),
        Row::responses("failed, by the name of the event", &[
            CREATED,
            "event: response.failed\ndata: {\"response\":{\"status\":\"failed\",\"error\":{\"code\":\"server_error\",\"message\":\"no\"}}}",
        ])
        .has(&ENDED)
        .fails(1, Some("no"), Some("server_error"))
        .ended(1),
        Row::responses("failed, by the name of the event behind the data", &[
            CREATED,
            "data: {\"response\":{\"status\":\"failed\",\"error\":{\"code\":\"server_error\",\"message\":\"no\"}}}\nevent: response.failed",
        ])
        .has(&ENDED)
        .fails(1, Some("no"), Some("server_error"))
        .ended(1),
        Row::responses("a failed response is named in an end that is none", &[
            CREATED,
            r#"{"type":"response.in_progress","response":{"id":"resp_D1","status":"in_progress","error":{"code":"x","message":"retried"}}}"#,
            DELTA,
            COMPLETED,
        ])
        .has(&USED)
        .first(2)
        .ended(3),];

const ERRORS_ROWS: &[Row] = &[
        Row::responses("a failure that is cut behind its name", &[
            CREATED,
            "event: response.failed\ndata: {\"type\":\"respon",
        ])
        .has(&SEEN)
        .unfinished()
        .fails(1, None, None),
        Row::responses("a failed response whose error has no message", &[
            CREATED,
            r#"{"type":"response.failed","message":"beside","response":{"id":"resp_D1","error":{"code":"busy"}}}"#,
        ])
        .has(&SEEN)
        .fails(1, Some("beside"), Some("busy"))
        .ended(1),
        Row::responses("an error with its members at the top, and no end", &[
            CREATED,
            DELTA,
            r#"{"type":"error","code":"server_is_overloaded","message":"Overloaded","param":null,"sequence_number":2}"#,
        ])
        .has(&SEEN)
        .first(1)
        .fails(2, Some("Overloaded"), Some("server_is_overloaded")),
        Row::responses("an error inside an error", &[
            CREATED,
            r#"{"type":"error","sequence_number":2,"error":{"type":"invalid_request_error","code":"context_length_exceeded","message":"Too long","param":"input"}}"#,
        ])
        .has(&SEEN)
        .fails(1, Some("Too long"), Some("context_length_exceeded")),
        Row::responses("an error whose code is null", &[
            CREATED,
            r#"{"type":"error","error":{"type":"invalid_request_error","code":null,"message":"Too long"},"code":"outer"}"#,
        ])
        .has(&SEEN)
        .fails(1, Some("Too long"), Some("invalid_request_error")),
        Row::responses("an error and then failed: the first one counts", &[
            CREATED,
            r#"{"type":"error","code":"rate_limit","message":"Slow down"}"#,
            FAILED,
        ])
        .has(&ENDED)
        .fails(1, Some("Slow down"), Some("rate_limit"))
        .ended(2),
        Row::responses("an error and then completed", &[
            CREATED,
            r#"{"type":"error","code":null,"message":"A hiccup"}"#,
            DELTA,
            COMPLETED,
        ])
        .has(&USED)
        .first(2)
        .fails(1, Some("A hiccup"), None)
        .ended(3),
        Row::responses("an error of a gateway, without a type", &[
            CREATED,
            DELTA,
            r#"{"error":{"message":"upstream closed","type":"bad_gateway","code":502}}"#,
            "[DONE]",
        ])
        .has(&SEEN)
        .first(1)
        .fails(2, Some("upstream closed"), Some("502"))
        .ended(3),
        Row::responses("an error and a terminator, without an end", &[
            CREATED,
            "event: error\ndata: {\"message\":\"gone\"}",
            "[DONE]",
        ])
        .has(&SEEN)
        .fails(1, Some("gone"), None)
        .ended(2),];
