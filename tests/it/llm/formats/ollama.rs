//! Ollama: a JSON object a line, until one is done.

use super::row::Row;

const CHAT: &str = r#"{"model":"llama3.2","created_at":"2026-11-28T08:00:00.1Z","message":{"role":"assistant","content":"Rivers"},"done":false}"#;
const CHAT_EMPTY: &str = r#"{"model":"llama3.2","created_at":"2026-11-28T08:00:00.0Z","message":{"role":"assistant","content":""},"done":false}"#;
const CHAT_DONE: &str = r#"{"model":"llama3.2","created_at":"2026-11-28T08:00:00.9Z","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop","total_duration":4883583458,"load_duration":1334875,"prompt_eval_count":26,"prompt_eval_duration":342546000,"eval_count":298,"eval_duration":4535599000}"#;
const GENERATE: &str = r#"{"model":"llama3.2","created_at":"2026-11-28T08:00:00.1Z","response":"Rivers","done":false}"#;
const GENERATE_DONE: &str = r#"{"model":"llama3.2","created_at":"2026-11-28T08:00:00.9Z","response":"","done":true,"done_reason":"length","context":[128006,882,128007],"total_duration":10,"load_duration":1,"prompt_eval_count":4,"prompt_eval_duration":2,"eval_count":7,"eval_duration":3}"#;
const FAILED: &str =
    r#"{"error":"an error was encountered while running the model: unexpected EOF"}"#;
const MODEL: (&str, &str) = ("response.model", "llama3.2");
const STOPPED: [(&str, &str); 4] = [
    MODEL,
    ("response.finish_reasons", r#"["stop"]"#),
    ("usage.input_tokens", "26"),
    ("usage.output_tokens", "298"),
];
const MESSAGE: Option<&str> =
    Some("an error was encountered while running the model: unexpected EOF");

const GENERATED: [(&str, &str); 4] = [
    MODEL,
    ("response.finish_reasons", r#"["length"]"#),
    ("usage.input_tokens", "4"),
    ("usage.output_tokens", "7"),
];

pub(super) fn rows() -> Vec<Row> {
    [CHAT_ROWS, GENERATE_ROWS, FAILURES_ROWS, NO_FORMAT_ROWS].concat()
}

const CHAT_ROWS: &[Row] = &[
        Row::ollama_chat("chat", &[CHAT_EMPTY, CHAT, CHAT, CHAT_DONE])
            .has(&STOPPED)
            .first(1)
            .ended(3),
        Row::ollama_chat("chat without a token", &[CHAT_EMPTY, CHAT_DONE])
            .has(&STOPPED)
            .ended(1),
        Row::ollama_chat("chat in one line", &[
            r#"{"model":"llama3.2","message":{"role":"assistant","content":"Hi"},"done":true,"done_reason":"stop","prompt_eval_count":26,"eval_count":298}"#,
        ])
        .has(&STOPPED)
        .first(0)
        .ended(0),
        Row::ollama_chat("thinking", &[
            r#"{"model":"llama3.2","created_at":"x","message":{"role":"assistant","content":"","thinking":""},"done":false}"#,
            r#"{"model":"llama3.2","created_at":"x","message":{"role":"assistant","content":"","thinking":"Okay"},"done":false}"#,
            CHAT,
            CHAT_DONE,
        ])
        .has(&STOPPED)
        .first(1)
        .ended(3),
        Row::ollama_chat("a call of a tool", &[
            r#"{"model":"llama3.2","created_at":"x","message":{"role":"assistant","content":"","tool_calls":[]},"done":false}"#,
            r#"{"model":"llama3.2","created_at":"x","message":{"role":"assistant","content":"","tool_calls":[{"function":{"index":0,"name":"find","arguments":{"error":"no","done":true}}}]},"done":false}"#,
            CHAT_DONE,
        ])
        .has(&STOPPED)
        .first(1)
        .ended(2),
        Row::ollama_chat("text that looks like an end, an error and usage", &[
            r#"{"model":"llama3.2","message":{"role":"assistant","content":"\n{\"done\":true,\"error\":\"no\",\"eval_count\":1}\n[DONE]","done":true},"done":false}"#,
            CHAT_DONE,
        ])
        .has(&STOPPED)
        .first(0)
        .ended(1),
        Row::ollama_chat("no end", &[CHAT, CHAT]).has(&[MODEL]).first(0).truncated(),
        Row::ollama_chat("an end that is cut", &[
            CHAT,
            r#"{"model":"llama3.2","message":{"content":""},"done":true,"eval_count":3"#,
        ])
        .has(&[MODEL])
        .first(0)
        .unfinished()
        .truncated(),
        Row::ollama_chat("an end without a line end", &[CHAT, CHAT_DONE])
            .has(&STOPPED)
            .first(0)
            .unfinished(),
        Row::ollama_chat("done that is a text or a number is none", &[
            CHAT,
            r#"{"message":{"content":"a"},"done":"true"}"#,
            r#"{"message":{"content":"a"},"done":1}"#,
            r#"[{"done":true}]"#,
        ])
        .has(&[MODEL])
        .first(0)
        .truncated(),
        Row::ollama_chat("no count of the output, and a cached prompt", &[
            CHAT,
            r#"{"model":"llama3.2","message":{"content":""},"done":true,"done_reason":"stop","prompt_eval_count":26}"#,
        ])
        .has(&[
            MODEL,
            ("response.finish_reasons", r#"["stop"]"#),
            ("usage.input_tokens", "26"),
        ])
        .first(0)
        .ended(1),
        Row::ollama_chat("white space around the values, and empty lines", &[
            "",
            " \t{ \"model\" : \"llama3.2\" , \"message\" : { \"content\" : \"Hi\" } , \"done\" : false } \t",
            "   ",
            "{\"done\" : true , \"done_reason\" : \"stop\" , \"prompt_eval_count\" : 26 , \"eval_count\" : 298 }  ",
        ])
        .has(&STOPPED)
        .first(1)
        .ended(3),];

const GENERATE_ROWS: &[Row] = &[
        Row::ollama_generate("generate", &[GENERATE, GENERATE, GENERATE_DONE])
            .has(&GENERATED)
            .first(0)
            .ended(2),
        Row::ollama_generate("generate with thinking", &[
            r#"{"model":"llama3.2","created_at":"x","response":"","done":false}"#,
            r#"{"model":"llama3.2","created_at":"x","response":"","thinking":"Need","done":false}"#,
            GENERATE,
            GENERATE_DONE,
        ])
        .has(&GENERATED)
        .first(1)
        .ended(3),
        Row::ollama_generate("a model that is loaded, without a prompt", &[
            r#"{"model":"llama3.2","created_at":"x","response":"","done":true,"done_reason":"load"}"#,
        ])
        .has(&[MODEL, ("response.finish_reasons", r#"["load"]"#)])
        .ended(0),
        Row::ollama_generate("no end", &[GENERATE]).has(&[MODEL]).first(0).truncated(),
];

const FAILURES_ROWS: &[Row] = &[
        Row::ollama_chat("an error midway", &[CHAT, FAILED])
            .has(&[MODEL])
            .first(0)
            .fails(1, MESSAGE, None),
        Row::ollama_chat("an error, and then the end", &[CHAT, FAILED, CHAT_DONE])
            .has(&STOPPED)
            .first(0)
            .fails(1, MESSAGE, None)
            .ended(2),
        Row::ollama_chat("an error without a line end", &[CHAT, FAILED])
            .has(&[MODEL])
            .first(0)
            .fails(1, MESSAGE, None)
            .unfinished(),
        Row::ollama_generate("an error with a code beside it", &[
            GENERATE,
            r#"{"error":"mid-generation: context full","code":"context_length","done":true}"#,
        ])
        .has(&[MODEL])
        .first(0)
        .fails(1, Some("mid-generation: context full"), Some("context_length"))
        .ended(1),
        Row::ollama_chat("errors that say nothing", &[
            r#"{"model":"llama3.2","message":{"content":"a","error":"no"},"done":false,"error":""}"#,
            r#"{"error":null}"#,
            r#"{"error":{}}"#,
            r#"{"error":"no"} {}"#,
            CHAT_DONE,
        ])
        .has(&STOPPED)
        .first(0)
        .ended(4),];

const NO_FORMAT_ROWS: &[Row] = &[
        Row::lines("an error alone", &[r#"{"error":"model 'x' not found"}"#])
            .first(0)
            .fails(0, Some("model 'x' not found"), None),
        Row::lines("the progress of a download", &[
            r#"{"status":"pulling manifest"}"#,
            r#"{"status":"pulling 8eeb52dfb3bb","digest":"sha256:8eeb","total":100,"completed":40}"#,
            r#"{"status":"success"}"#,
        ])
        .first(0),
        Row::lines("a download that fails", &[
            r#"{"status":"pulling manifest"}"#,
            r#"{"error":"pull model manifest: file does not exist"}"#,
        ])
        .first(0)
        .fails(1, Some("pull model manifest: file does not exist"), None),
        Row::lines("values that are no objects", &["1", "\"error\"", "[]", "null", "true"]).first(0),];
