//! Id, model, finish reasons and usage.

use super::super::{Framing, Summary, Usage};
use super::{data, read_all, typed};

/// Input, output, cache read, cache creation, reasoning.
type Counts = [Option<u64>; 5];

fn check(name: &str, summary: &Summary, words: [&str; 4], reasons: &[&str], counts: Counts) {
    let word = |word: &str| Some(word.to_owned()).filter(|word| !word.is_empty());
    let [operation, provider, id, model] = words;
    assert_eq!(summary.operation, Some(operation), "{name}");
    assert_eq!(summary.provider, Some(provider), "{name}");
    assert_eq!(summary.id, word(id), "{name}");
    assert_eq!(summary.model, word(model), "{name}");
    assert_eq!(summary.finish_reasons, reasons, "{name}");
    let [input, output, cache_read, cache_creation, reasoning] = counts;
    let expected = Usage {
        input,
        output,
        cache_read,
        cache_creation,
        reasoning,
    };
    assert_eq!(summary.usage(), expected, "{name}");
}

#[test]
fn formats_with_choices_are_summarized() {
    let chat = data(&[
        "{\"id\":\"\",\"model\":\"m\",\"choices\":[{\"index\":1,\"finish_reason\":\"length\"}],\"usage\":null}",
        "{\"id\":\"c\",\"model\":\"n\",\"choices\":[{\"index\":0,\"finish_reason\":\"stop\"}]}",
        "{\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":4,\
         \"prompt_tokens_details\":{\"cached_tokens\":0},\
         \"completion_tokens_details\":{\"reasoning_tokens\":3}}}",
    ]);
    check(
        "chat",
        &read_all(&chat, Framing::Events).summary,
        ["chat", "openai", "c", "m"],
        &["stop", "length"],
        [Some(9), Some(4), Some(0), None, Some(3)],
    );
    let whole = "{\"object\":\"text_completion\",\"id\":\"c\",\"choices\":[{\"finish_reason\":\"stop\"}],\
        \"usage\":{\"prompt_tokens\":9.5,\"completion_tokens\":-1}}";
    check(
        "completions",
        &read_all(whole, Framing::Whole).summary,
        ["text_completion", "openai", "c", ""],
        &["stop"],
        [None; 5],
    );
    let gemini = data(&[
        "{\"candidates\":[{\"finishReason\":\"STOP\"}],\"responseId\":\"g\",\"modelVersion\":\"m\",\
         \"usageMetadata\":{\"promptTokenCount\":5,\"toolUsePromptTokenCount\":2,\
         \"candidatesTokenCount\":3,\"thoughtsTokenCount\":4,\"cachedContentTokenCount\":1}}",
    ]);
    check(
        "Gemini",
        &read_all(&gemini, Framing::Events).summary,
        ["generate_content", "gcp.gemini", "g", "m"],
        &["STOP"],
        [Some(7), Some(7), Some(1), None, Some(4)],
    );
}

#[test]
fn formats_of_typed_events_are_summarized() {
    let messages = typed(&[
        (
            "message_start",
            "\"message\":{\"id\":\"a\",\"model\":\"m\",\"usage\":{\"input_tokens\":10,\
             \"cache_creation_input_tokens\":20,\"cache_read_input_tokens\":30,\"output_tokens\":1}}",
        ),
        (
            "message_delta",
            "\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":7,\"input_tokens\":11}",
        ),
        ("message_stop", "\"usage\":{\"output_tokens\":99}"),
    ]);
    check(
        "messages",
        &read_all(&messages, Framing::Events).summary,
        ["chat", "anthropic", "a", "m"],
        &["end_turn"],
        [Some(61), Some(7), Some(30), Some(20), None],
    );
    let begun = typed(&[(
        "message_start",
        "\"message\":{\"usage\":{\"input_tokens\":1,\"output_tokens\":1}}",
    )]);
    let usage = read_all(&begun, Framing::Events).summary.usage();
    assert_eq!(
        (usage.input, usage.output),
        (Some(1), None),
        "a message that has begun"
    );
    let response = "{\"object\":\"response\",\"id\":\"r\",\"model\":\"m\",\"status\":\"incomplete\",\
        \"incomplete_details\":{\"reason\":\"max_output_tokens\"},\"usage\":{\"input_tokens\":1,\
        \"output_tokens\":2,\"input_tokens_details\":{\"cached_tokens\":0},\
        \"output_tokens_details\":{\"reasoning_tokens\":0}}}";
    let stream = typed(&[
        (
            "response.created",
            "\"response\":{\"id\":\"r\",\"status\":\"in_progress\"}",
        ),
        ("response.incomplete", &format!("\"response\":{response}")),
    ]);
    for (name, summary) in [
        ("responses", read_all(&stream, Framing::Events).summary),
        (
            "a whole response",
            read_all(response, Framing::Whole).summary,
        ),
    ] {
        check(
            name,
            &summary,
            ["chat", "openai", "r", "m"],
            &["max_output_tokens"],
            [Some(1), Some(2), Some(0), None, Some(0)],
        );
    }
}

#[test]
fn lines_are_summarized() {
    let generated = "{\"model\":\"m\",\"response\":\"a\",\"done\":false}\n\
        {\"model\":\"n\",\"response\":\"\",\"done\":true,\"done_reason\":\"stop\",\
        \"prompt_eval_count\":3,\"eval_count\":4}\n";
    check(
        "Ollama",
        &read_all(generated, Framing::Lines).summary,
        ["text_completion", "ollama", "", "m"],
        &["stop"],
        [Some(3), Some(4), None, None, None],
    );
}
