//! Completions: the older API, and engines that have it.

use super::row::Row;

const DONE: &str = "[DONE]";
const TEXT: &str = r#"{"id":"cmpl-B1","object":"text_completion","created":1764300010,"choices":[{"text":"\n\nRivers","index":0,"logprobs":null,"finish_reason":null}],"model":"gpt-3.5-turbo-instruct"}"#;
const STOP: &str = r#"{"id":"cmpl-B1","object":"text_completion","created":1764300010,"choices":[{"text":"","index":0,"logprobs":null,"finish_reason":"stop"}],"model":"gpt-3.5-turbo-instruct"}"#;
const SEEN: [(&str, &str); 2] = [
    ("response.id", "cmpl-B1"),
    ("response.model", "gpt-3.5-turbo-instruct"),
];
const STOPPED: [(&str, &str); 3] = [SEEN[0], SEEN[1], ("response.finish_reasons", r#"["stop"]"#)];
const FAILED: &str = r#"{"error":{"message":"no memory","type":"server_error","code":503}}"#;

pub(super) fn rows() -> Vec<Row> {
    [ENDS_ROWS, ENGINES_ROWS].concat()
}

const ENDS_ROWS: &[Row] = &[
        Row::completions("text", &[TEXT, TEXT, STOP, DONE])
            .has(&STOPPED)
            .first(0)
            .ended(3),
        Row::completions("no text", &[STOP, DONE]).has(&STOPPED).ended(1),
        Row::completions("a finish reason without a terminator", &[TEXT, STOP])
            .has(&STOPPED)
            .first(0),
        Row::completions("a terminator without a finish reason", &[TEXT, DONE])
            .has(&SEEN)
            .first(0)
            .ended(1),
        Row::completions("neither", &[TEXT, TEXT])
            .has(&SEEN)
            .first(0)
            .truncated(),
        Row::completions("a last line that is cut", &[
            TEXT,
            r#"{"id":"cmpl-B1","object":"text_completion","choices":[{"text":"","index":0,"finish_reason":"st"#,
        ])
        .has(&SEEN)
        .first(0)
        .unfinished()
        .truncated(),
        Row::completions("an error and a terminator", &[TEXT, FAILED, DONE])
            .has(&SEEN)
            .first(0)
            .fails(1, Some("no memory"), Some("503"))
            .ended(2),
        Row::completions("an error, cut", &[TEXT, FAILED])
            .has(&SEEN)
            .first(0)
            .fails(1, Some("no memory"), Some("503")),
        Row::completions("text that looks like an end, an error and usage", &[
            r#"{"id":"cmpl-B1","object":"text_completion","choices":[{"text":"[DONE]\ndata: [DONE]\n\n{\"error\":\"no\",\"usage\":{\"prompt_tokens\":1}}","index":0,"finish_reason":null}],"model":"gpt-3.5-turbo-instruct"}"#,
            STOP,
            DONE,
        ])
        .has(&STOPPED)
        .first(0)
        .ended(2),
        Row::completions("usage without choices", &[
            TEXT,
            STOP,
            r#"{"id":"cmpl-B1","object":"text_completion","created":1764300010,"choices":[],"model":"gpt-3.5-turbo-instruct","usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7,"prompt_tokens_details":{"cached_tokens":1},"completion_tokens_details":{"reasoning_tokens":0}}}"#,
            DONE,
        ])
        .has(&[
            SEEN[0],
            SEEN[1],
            STOPPED[2],
            ("usage.input_tokens", "5"),
            ("usage.output_tokens", "2"),
            ("usage.cache_read.input_tokens", "1"),
            ("usage.reasoning.output_tokens", "0"),
        ])
        .first(0)
        .ended(3),];

const ENGINES_ROWS: &[Row] = &[
        Row::completions("two choices, one without a reason", &[
            r#"{"id":"c","object":"text_completion","created":1764300011,"model":"m","choices":[{"index":1,"text":"","logprobs":null,"finish_reason":null,"stop_reason":null}],"usage":null}"#,
            r#"{"id":"c","object":"text_completion","created":1764300011,"model":"m","choices":[{"index":1,"text":"b","logprobs":null,"finish_reason":"length","stop_reason":null}],"usage":null}"#,
            r#"{"id":"c","object":"text_completion","created":1764300011,"model":"m","choices":[{"index":0,"text":"a","logprobs":null,"finish_reason":null,"stop_reason":null}],"usage":null}"#,
        ])
        .has(&[
            ("response.id", "c"),
            ("response.model", "m"),
            ("response.finish_reasons", r#"["length"]"#),
        ])
        .first(1)
        .truncated(),
        Row::completions("no object: the text shows the format", &[
            r#"{"choices":[{"text":"a","index":0}],"model":"m"}"#,
            r#"{"choices":[{"text":"","index":0,"finish_reason":"stop"}],"model":"m"}"#,
        ])
        .has(&[
            ("response.model", "m"),
            ("response.finish_reasons", r#"["stop"]"#),
        ])
        .first(0),
        Row::completions("an object of chunks", &[
            r#"{"id":"c","object":"text_completion.chunk","model":"m","choices":[{"text":"a","index":0,"finish_reason":null}]}"#,
            DONE,
        ])
        .has(&[("response.id", "c"), ("response.model", "m")])
        .first(0)
        .ended(1),
        Row::completions("an object error, after a part of the text", &[
            TEXT,
            r#"{"object":"error","message":"engine stopped","type":"InternalServerError","param":null,"code":500}"#,
            DONE,
        ])
        .has(&SEEN)
        .first(0)
        .fails(1, Some("engine stopped"), Some("500"))
        .ended(2),
        Row::events("the engine's own format has neither choices nor a type", &[
            r#"{"index":0,"content":"Riv","tokens":[812],"stop":false,"id_slot":0,"tokens_predicted":1,"tokens_evaluated":4}"#,
            r#"{"index":0,"content":"","tokens":[],"id_slot":0,"stop":true,"model":"m","tokens_predicted":2,"tokens_evaluated":4,"stop_type":"eos","timings":{"prompt_n":4}}"#,
        ])
        .first(0),
        Row::events("tokens with details, and an error beside them", &[
            r#"{"index":1,"token":{"id":34,"text":"Riv","logprob":-0.3,"special":false},"generated_text":null,"details":null}"#,
            r#"{"error":"Request failed during generation","error_type":"generation"}"#,
        ])
        .first(0)
        .fails(1, Some("Request failed during generation"), None),];
