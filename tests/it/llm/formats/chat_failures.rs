//! Chat completions: failures in-band, and members that only look like one.

use super::chat::{DONE, FINISH, ROLE, SEEN, STOP, STOPPED, TEXT, USAGE};
use super::row::Row;

const SHORT: [(&str, &str); 2] = [("response.id", "c"), ("response.model", "m")];
const ERROR: &str =
    r#"{"error":{"message":"The engine died","type":"server_error","param":null,"code":null}}"#;

pub(super) fn rows() -> Vec<Row> {
    [ERRORS_ROWS, PLACES_ROWS, ENGINES_ROWS, NO_ERRORS_ROWS].concat()
}

const ERRORS_ROWS: &[Row] = &[
    Row::chat("an error before the terminator", &[ROLE, TEXT, ERROR, DONE])
        .has(&SEEN)
        .first(1)
        .fails(2, Some("The engine died"), Some("server_error"))
        .ended(3),
    Row::chat("an error, and no terminator", &[ROLE, TEXT, ERROR])
        .has(&SEEN)
        .first(1)
        .fails(2, Some("The engine died"), Some("server_error")),
    Row::chat("an error in a line without an end", &[ROLE, TEXT, ERROR])
        .has(&SEEN)
        .first(1)
        .fails(2, Some("The engine died"), Some("server_error"))
        .unfinished(),
    Row::chat(
        "an error, and then the answer",
        &[ROLE, ERROR, TEXT, STOP, DONE],
    )
    .has(&STOPPED)
    .first(2)
    .fails(1, Some("The engine died"), Some("server_error"))
    .ended(4),
    Row::chat(
        "two errors: the first one counts",
        &[
            ROLE,
            r#"{"error":{"message":"one","code":"first"}}"#,
            r#"{"error":{"message":"two","code":"second"}}"#,
            DONE,
        ],
    )
    .has(&SEEN)
    .fails(1, Some("one"), Some("first"))
    .ended(3),
    Row::chat("an error with usage behind it", &[ROLE, ERROR, USAGE, DONE])
        .has(&[
            SEEN[0],
            SEEN[1],
            ("usage.input_tokens", "21"),
            ("usage.output_tokens", "9"),
            ("usage.cache_read.input_tokens", "16"),
            ("usage.reasoning.output_tokens", "4"),
        ])
        .fails(1, Some("The engine died"), Some("server_error"))
        .ended(3),
    Row::events("an error alone", &[ERROR]).fails(0, Some("The engine died"), Some("server_error")),
    Row::events("an error and a terminator", &[ERROR, DONE])
        .fails(0, Some("The engine died"), Some("server_error"))
        .ended(1),
];

const PLACES_ROWS: &[Row] = &[
        Row::chat("an error behind everything else, with a reason for the choice", &[
            ROLE,
            r#"{"id":"chatcmpl-A1","object":"chat.completion.chunk","created":1764300001,"model":"gpt-4.1-2025-04-14","provider":"Nebula","error":{"code":429,"message":"Slow down"},"choices":[{"index":0,"delta":{"content":""},"finish_reason":"error","native_finish_reason":"error"}]}"#,
            DONE,
        ])
        .has(&[
            SEEN[0],
            SEEN[1],
            ("response.finish_reasons", r#"["error"]"#),
        ])
        .fails(1, Some("Slow down"), Some("429"))
        .ended(2),
        Row::chat("an error as the last key, behind a long text", &[
            ROLE,
            r#"{"choices":[{"index":0,"delta":{"content":"Rivers and lakes and seas and more rivers"},"finish_reason":"error"}],"error":{"metadata":{"raw":{"error":{"message":"inner","code":1}}},"message":"outer","code":"bad_gateway"}}"#,
        ])
        .has(&[
            SEEN[0],
            SEEN[1],
            ("response.finish_reasons", r#"["error"]"#),
        ])
        .first(1)
        .fails(1, Some("outer"), Some("bad_gateway")),
        Row::chat("a finish reason error without a message", &[
            ROLE,
            r#"{"id":"chatcmpl-A1","object":"chat.completion.chunk","model":"gpt-4.1-2025-04-14","choices":[{"index":0,"delta":{},"finish_reason":"error"}]}"#,
            DONE,
        ])
        .has(&[
            SEEN[0],
            SEEN[1],
            ("response.finish_reasons", r#"["error"]"#),
        ])
        .fails(1, None, None)
        .ended(2),
        Row::chat("an error that is a text", &[ROLE, r#"{"error":"gone"}"#, DONE])
            .has(&SEEN)
            .fails(1, Some("gone"), None)
            .ended(2),
        Row::chat("an error that is true, with a message and a code beside it", &[
            ROLE,
            r#"{"error":true,"message":"Quota used up","code":4002}"#,
            DONE,
        ])
        .has(&SEEN)
        .fails(1, Some("Quota used up"), Some("4002"))
        .ended(2),
        Row::chat("an error without a message: a number deep inside", &[
            ROLE,
            r#"{"error":{"details":[{"message":""},{"retry":[0,7]}]}}"#,
            DONE,
        ])
        .has(&SEEN)
        .fails(1, None, None)
        .ended(2),
        Row::chat("escapes in key and message", &[
            ROLE,
            r#"{"\u0065rror":{"m\u0065ssage":"caf\u00e9 \ud83d\ude00\n\"x\"","code":"\u0061"}}"#,
            DONE,
        ])
        .has(&SEEN)
        .fails(1, Some("café 😀\n\"x\""), Some("a"))
        .ended(2),
        Row::chat("an error event", &[
            ROLE,
            "event: error\ndata: {\"error\":{\"message\":\"Over capacity\",\"type\":\"internal_server_error\",\"code\":\"over_capacity\"}}",
            DONE,
        ])
        .has(&SEEN)
        .fails(1, Some("Over capacity"), Some("over_capacity"))
        .ended(2),
        Row::chat("an error event whose name comes last", &[
            ROLE,
            "data: {\"message\":\"gone\",\"code\":17}\nevent: error",
            DONE,
        ])
        .has(&SEEN)
        .fails(1, Some("gone"), Some("17"))
        .ended(2),
        Row::chat("an error event of plain lines", &[
            ROLE,
            "event: error\ndata: out of\ndata: memory",
        ])
        .has(&SEEN)
        .fails(1, Some("out of\nmemory"), None),
        Row::chat("an error event without data", &[ROLE, "event: error", DONE])
            .has(&SEEN)
            .fails(1, None, None)
            .ended(2),];

const ENGINES_ROWS: &[Row] = &[
        Row::chat("spaces between tokens, and the status as a code", &[
            ROLE,
            r#"data: {"error": {"message": "too long", "type": "BadRequestError", "param": null, "code": 400}}"#,
            DONE,
        ])
        .has(&SEEN)
        .fails(1, Some("too long"), Some("400"))
        .ended(2),
        Row::chat("an object error, with the status as a code", &[
            ROLE,
            r#"data: {"object": "error", "message": "too long", "type": "BadRequestError", "param": null, "code": 400}"#,
            DONE,
        ])
        .has(&SEEN)
        .fails(1, Some("too long"), Some("400"))
        .ended(2),
        Row::chat("an object error without a code", &[
            ROLE,
            r#"{"message":"too long","type":"NotFoundError","object":"error"}"#,
        ])
        .has(&SEEN)
        .fails(1, Some("too long"), Some("NotFoundError")),
        Row::chat("a code that is a text of digits, and texts None", &[
            ROLE,
            r#"data: {"error": {"message": "litellm.APIError: gone", "type": "None", "param": "None", "code": "500"}}"#,
            DONE,
        ])
        .has(&SEEN)
        .fails(1, Some("litellm.APIError: gone"), Some("500"))
        .ended(2),
        Row::chat("a field line", &[
            ROLE,
            "error: {\"code\":500,\"message\":\"no slot\",\"type\":\"server_error\"}",
        ])
        .has(&SEEN)
        .fails(1, Some("no slot"), Some("500")),
        Row::chat("a field line without a code", &[
            ROLE,
            "error: {\"message\":\"no slot\",\"type\":\"unavailable_error\"}",
            DONE,
        ])
        .has(&SEEN)
        .fails(1, Some("no slot"), Some("unavailable_error"))
        .ended(2),
        Row::chat("a field line with the error inside", &[
            ROLE,
            "error: {\"error\":{\"code\":503,\"message\":\"loading\",\"type\":\"unavailable_error\"}}",
        ])
        .has(&SEEN)
        .fails(1, Some("loading"), Some("503")),
        Row::chat("a field line of plain text", &[ROLE, "error: no slot"])
            .has(&SEEN)
            .fails(1, Some("no slot"), None),
        Row::chat("a field line of another case is none, and names that begin so", &[
            ROLE,
            "Error: no slot\nerrors: no slot\nerror : no slot\n error: no slot",
            STOP,
            DONE,
        ])
        .has(&STOPPED)
        .ended(3),];

const NO_ERRORS_ROWS: &[Row] = &[
        Row::chat("errors that say nothing", &[
            r#"{"error":null,"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":null}]}"#,
            r#"{"error":0,"choices":[]}"#,
            r#"{"error":0.03,"choices":[]}"#,
            r#"{"error":503,"choices":[]}"#,
            r#"{"error":-1e3,"choices":[]}"#,
            r#"{"error":{},"choices":[]}"#,
            r#"{"error":[],"choices":[]}"#,
            r#"{"error":"","choices":[]}"#,
            r#"{"error":false,"choices":[]}"#,
            r#"{"error":{"message":"","code":0,"param":null,"details":[{},[0.0,false]]},"choices":[]}"#,
            r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"error":[[[]]]}"#,
            DONE,
        ])
        .has(&[SHORT[0], SHORT[1], FINISH])
        .first(0)
        .ended(11),
        Row::chat("errors that are not at the top", &[
            ROLE,
            r#"{"id":"chatcmpl-A1","object":"chat.completion.chunk","choices":[{"index":0,"error":{"message":"no"},"delta":{"error":{"message":"no"},"content":"Hi"},"finish_reason":null}],"metadata":{"error":{"message":"no"}},"errors":["no"],"Error":"no"}"#,
            STOP,
            DONE,
        ])
        .has(&STOPPED)
        .first(1)
        .ended(3),
        Row::chat("an object that may carry an error", &[
            ROLE,
            r#"{"object":"fine_tuning.job","id":"ftjob-1","model":"x","error":{"message":"Invalid file","code":"invalid"}}"#,
            r#"{"object":"vector_store.file","last_error":{"message":"no"},"error":"no"}"#,
            STOP,
            DONE,
        ])
        .has(&STOPPED)
        .ended(4),
        Row::chat("an error in JSON that is malformed or cut", &[
            ROLE,
            r#"{"error":{"message":"no"}} trailing"#,
            r#"{"error":{"message":"no"}"#,
            r#"{"error":{"message":"no"},}"#,
            r"{'error':{'message':'no'}}",
            r#"[{"error":{"message":"no"}}]"#,
            STOP,
            DONE,
        ])
        .has(&STOPPED)
        .ended(7),
        Row::chat("an error event without data, and then text", &[
            "event: error\n",
            TEXT,
            DONE,
        ])
        .has(&SEEN)
        .first(1)
        .fails(0, None, None)
        .ended(2),
        Row::chat("names that only begin or end like an error", &[
            "event: errors\ndata: {\"message\":\"no\"}",
            "event: response_error\ndata: {\"message\":\"no\"}",
            "event: Error\ndata: {\"message\":\"no\"}",
            r#"{"type":"errors","message":"no"}"#,
            TEXT,
            STOP,
            DONE,
        ])
        .has(&STOPPED)
        .first(4)
        .ended(6),
        Row::chat("a name that a later one of the same event replaces", &[
            "event: error\nevent: message\ndata: {\"message\":\"no\"}",
            TEXT,
            STOP,
            DONE,
        ])
        .has(&STOPPED)
        .first(1)
        .ended(3),];
