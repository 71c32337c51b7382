//! Token events as the APIs of language models send them in the middle of a stream: with a short text, and with a long
//! id where there is one.

/// A format's name, its content type, and an event with `TEXT` and `NUMBER` in it.
struct Kind {
    name: &'static str,
    content_type: &'static str,
    event: &'static str,
}

const EVENT_STREAM: &str = "text/event-stream";

const KINDS: [Kind; 6] = [
    Kind {
        name: "chat",
        content_type: EVENT_STREAM,
        event: r#"data: {"id":"chatcmpl-ID","object":"chat.completion.chunk","created":1785000000,"model":"toy-8w","choices":[{"index":0,"delta":{"content":"TEXT"},"logprobs":null,"finish_reason":null}],"usage":null}"#,
    },
    Kind {
        name: "completions",
        content_type: EVENT_STREAM,
        event: r#"data: {"id":"cmpl-ID","object":"text_completion","created":1785000000,"model":"toy-8w","choices":[{"index":0,"text":"TEXT","logprobs":null,"finish_reason":null}]}"#,
    },
    Kind {
        name: "responses",
        content_type: EVENT_STREAM,
        event: "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"sequence_number\":NUMBER,\"item_id\":\"msg_ID\",\"output_index\":0,\"content_index\":0,\"delta\":\"TEXT\",\"logprobs\":[]}",
    },
    Kind {
        name: "messages",
        content_type: EVENT_STREAM,
        event: "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"TEXT\"}}",
    },
    Kind {
        name: "Gemini",
        content_type: EVENT_STREAM,
        event: r#"data: {"candidates":[{"content":{"parts":[{"text":"TEXT"}],"role":"model"},"index":0}],"modelVersion":"toy-8w","usageMetadata":{"promptTokenCount":9,"totalTokenCount":9}}"#,
    },
    Kind {
        name: "Ollama",
        content_type: "application/x-ndjson",
        event: r#"{"model":"toy-8w","created_at":"2026-11-29T08:15:NUMBERZ","message":{"role":"assistant","content":"TEXT"},"done":false}"#,
    },
];

/// The size of an event with an id, with the empty line behind it.
const SIZE: usize = 256;

/// Returns the content type and two events of a format. They differ in the text and the number.
pub(crate) fn token_events(name: &str) -> (&'static str, [&'static [u8]; 2]) {
    let kind = KINDS.iter().find(|kind| kind.name == name);
    let Kind {
        content_type,
        event,
        ..
    } = kind.expect("a format");
    let end = if *content_type == EVENT_STREAM {
        "\n\n"
    } else {
        "\n"
    };
    let events = [(" word", "41"), (" note", "42")].map(|(word, number)| {
        let event = event.replace("NUMBER", number).replace("TEXT", word) + end;
        let id = "7".repeat((SIZE + "ID".len()).saturating_sub(event.len()));
        let event = event.replacen("ID", &id, 1);
        assert!(event.len() <= SIZE);
        &*event.into_bytes().leak()
    });
    (content_type, events)
}
