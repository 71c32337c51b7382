//! Bodies that differ from their content type, and byte order marks.

use super::exchange::{Case, EVENTS, JSON, LINES, run_all};

const CHAT: [(&str, &str); 3] = [
    ("response.id", "c"),
    ("response.model", "m"),
    ("response.finish_reasons", r#"["stop"]"#),
];
const TEXT: &str = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"},\"finish_reason\":null}]}\n\n";
const STOP: &str = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
const COMPLETED: &str = "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"id\":\"c\",\"model\":\"m\",\"status\":\"completed\",\"usage\":{\"input_tokens\":3,\"output_tokens\":2}}}\n\n";

const EVENTS_AS_JSON: &[Case] = &[
    Case::frames("chat", JSON, &[TEXT, STOP, "data: [DONE]\n\n"])
        .has(&CHAT)
        .token(),
    Case::frames("chat without its end", JSON, &[TEXT])
        .has(&[CHAT[0], CHAT[1]])
        .token()
        .outcome("ABORTED(truncated_stream)"),
    Case::frames("a comment first, in small frames", JSON, &[
        ": ", "OPENROUTER PROCESSING\n", "\nda", "ta: {\"error\":{\"message\":\"out\"}}\n\n",
    ])
    .fails(Some("out"), None),
    Case::frames("responses, whose first line is a name", "application/json; charset=utf-8", &[
        "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"c\",\"model\":\"m\"}}\n\n",
        COMPLETED,
    ])
    .has(&[
        CHAT[0],
        CHAT[1],
        ("response.finish_reasons", r#"["completed"]"#),
        ("usage.input_tokens", "3"),
        ("usage.output_tokens", "2"),
    ]),
    Case::frames("an id first", JSON, &["id: 1\n", TEXT, "id: 2\n", STOP, "data: [DONE]\n\n"])
        .has(&CHAT)
        .token(),
    Case::frames("a time to reconnect first, in small frames", JSON, &[
        "r", "etry: 3000\n\n", TEXT, STOP, "data: [DONE]\n\n",
    ])
    .has(&CHAT)
    .token(),
    Case::frames("a text that only begins like an event stream", JSON, &["data", "base is down"]),
    Case::frames("a text that only begins like an id", JSON, &["id: 7 was not found\n"]),
    Case::frames("a text that only begins like a time to reconnect", JSON, &["retry: later\n\n"]),
    Case::frames("a text that begins like a field line of a failure", JSON, &["error: invalid id\n"]),
    Case::frames("white space in a frame of its own", JSON, &["\n", TEXT, STOP, "data: [DONE]\n\n"])
        .has(&CHAT)
        .token(),
];

#[tokio::test]
async fn an_event_stream_is_read_under_the_content_type_of_json() {
    run_all(EVENTS_AS_JSON).await;
}

const WITHOUT_TYPE: &[Case] = &[
    Case::frames("an event stream", "", &[TEXT, STOP, "data: [DONE]\n\n"]),
    Case::frames(
        "a failure in an event",
        "",
        &["data: {\"error\":{\"message\":\"out\"}}\n\n"],
    ),
    Case::frames(
        "a whole answer",
        "",
        &["{\"id\":\"c\",\"object\":\"chat.completion\",\"model\":\"m\",\"choices\":[]}"],
    ),
    Case::frames(
        "a log that has failures",
        "",
        &["info: started\n{\"error\":\"retry 1 failed\"}\n"],
    ),
    Case::frames(
        "an event stream that is declared as a text",
        "text/plain; charset=utf-8",
        &[TEXT],
    ),
];

/// It can be anything, such as the log of a job.
#[tokio::test]
async fn an_answer_without_a_content_type_is_not_read() {
    run_all(WITHOUT_TYPE).await;
}

const LINES_AS_JSON: &[Case] = &[
    Case::frames("lines of Ollama", JSON, &[
        "{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"Hi\"},\"done\":false}\n",
        "{\"model\":\"m\",\"message\":{\"content\":\"\"},\"done\":true,\"done_reason\":\"stop\",\"prompt_eval_count\":7,\"eval_count\":2}\n",
    ])
    .has(&[
        CHAT[1],
        CHAT[2],
        ("usage.input_tokens", "7"),
        ("usage.output_tokens", "2"),
    ])
    .token(),
    Case::frames("a failure in the second line", JSON, &[
        "{\"model\":\"m\",\"message\":{\"content\":\"Hi\"},\"done\":false}\n{\"error\":",
        "\"gone\"}",
    ])
    .has(&[CHAT[1]])
    .token()
    .fails(Some("gone"), None),
    Case::frames("records of an application", JSON, &[
        "{\"job\":1,\"error\":\"timeout\"}\n{\"job\":2,\"error\":null}\n",
    ]),
    Case::frames("records that are done", JSON, &[
        "{\"id\":1,\"done\":true}\n{\"id\":2,\"done\":true}\n",
    ]),
    Case::frames("records that are not done", JSON, &[
        "{\"id\":1,\"done\":false}\n{\"id\":2,\"done\":false}\n",
    ]),
    Case::frames("a list of records, of which one is an error", JSON, &[
        "[{\"type\":\"info\",\"text\":\"a\"},{\"type\":\"error\",\"text\":\"b\"}]",
    ]),
    Case::frames("a list of records with statuses", JSON, &[
        "[{\"base_resp\":{\"status_code\":404}},{\"base_resp\":{\"status_code\":0}}]",
    ]),
    Case::frames("a record that names itself, with a status", JSON, &[
        "{\"object\":\"fine_tuning.job\",\"base_resp\":{\"status_code\":1}}",
    ]),
    Case::frames("a text with JSON behind an empty line", EVENTS, &[
        "data: Example:\n\n{\"error\": \"not found\"}\n\n",
    ])
    .token(),
];

#[tokio::test]
async fn several_objects_in_a_body_of_json_are_read_in_turn() {
    run_all(LINES_AS_JSON).await;
}

const MARKS: &[Case] = &[
    Case::frames("a whole answer", JSON, &[
        "\u{feff}{\"id\":\"c\",\"object\":\"chat.completion\",\"model\":\"m\",\"choices\":[{\"index\":0,\"message\":{},\"finish_reason\":\"stop\"}]}",
    ])
    .has(&CHAT),
    Case::frames("lines", LINES, &[
        "\u{feff}{\"model\":\"m\",\"response\":\"Hi\",\"done\":true,\"done_reason\":\"stop\"}\n",
    ])
    .has(&[CHAT[1], CHAT[2]])
    .token(),
    Case::frames("an event stream", EVENTS, &["\u{feff}", TEXT, STOP, "data: [DONE]\n\n"])
        .has(&CHAT)
        .token(),
    Case::frames("an event stream under the content type of JSON", JSON, &[
        "\u{feff}", TEXT, STOP, "data: [DONE]\n\n",
    ])
    .has(&CHAT)
    .token(),
];

#[tokio::test]
async fn a_byte_order_mark_in_front_changes_nothing() {
    run_all(MARKS).await;
}
