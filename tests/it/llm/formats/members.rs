//! Single members of JSON objects, and what they say.

use super::settings::serve;
use crate::llm::llm;
use crate::support::recorder::{Recorder, Seen};

const JSON: &str = "application/json";
const STREAM: &str = "text/event-stream";

/// Returns the span of a body.
fn span_of(content_type: &'static str, text: String) -> Seen {
    let recorder = &Recorder::new();
    serve(recorder, &llm(recorder), content_type, text.leak(), 2)
}

fn finish_reasons(content_type: &'static str, text: String) -> String {
    let reasons = span_of(content_type, text).attribute("gen_ai.response.finish_reasons");
    reasons.expect("finish reasons")
}

#[test]
fn finish_reasons_of_128_choices_are_kept() {
    let choice = |index| format!(r#"{{"index":{index},"delta":{{}},"finish_reason":"stop"}}"#);
    let event = |choices: &str| {
        format!("data: {{\"object\":\"chat.completion.chunk\",\"choices\":[{choices}]}}\n\n")
    };
    let choices: Vec<_> = (0..130).map(choice).collect();
    let many: String = choices.iter().map(|choice| event(choice)).collect();
    for (case, text) in [("an event", event(&choices.join(","))), ("events", many)] {
        let reasons = finish_reasons(STREAM, text);
        assert_eq!(reasons.matches("stop").count(), 128, "{case}");
    }
}

#[test]
fn a_choice_without_an_index_has_that_of_its_position() {
    let choices = r#"[{"index":5,"finish_reason":"stop"},{"finish_reason":"length"}]"#;
    let text = format!(r#"{{"object":"chat.completion","choices":{choices}}}"#);
    let reasons = finish_reasons(JSON, text);
    assert_eq!(reasons, r#"["length","stop"]"#);
}

#[test]
fn an_error_beside_an_unknown_member_of_any_type_is_that_of_a_record() {
    for (members, outcome) in [
        (r#""error":"no""#, "ABORTED(generation_error)"),
        (r#""error":"no","result":1"#, "DEPARTED"),
        (r#""error":"no","result":{}"#, "DEPARTED"),
        (r#""error":"no","result":[]"#, "DEPARTED"),
        (r#""error":"no","result":null"#, "DEPARTED"),
    ] {
        let span = span_of(JSON, format!("{{{members}}}"));
        assert_eq!(span.outcome(), outcome, "{members}");
    }
}

#[test]
fn the_first_error_of_a_list_counts() {
    let list = r#"[{"candidates":[]},{"error":{"message":"first"}},{"error":{}}]"#;
    let span = span_of(JSON, list.to_owned());
    assert_eq!(span.outcome(), "ABORTED(generation_error)");
    assert_eq!(span.error().as_deref(), Some("first"));
}

#[test]
fn an_object_in_place_of_a_text_is_no_token() {
    for (content, is_token) in [(r#""a""#, true), ("{}", false), (r#""""#, false)] {
        let delta = format!(r#"{{"choices":[{{"index":0,"delta":{{"content":{content}}}}}]}}"#);
        let span = span_of(STREAM, format!("data: {delta}\n\ndata: [DONE]\n\n"));
        assert_eq!(span.outcome(), "DEPARTED", "{content}");
        let time = span.value("gen_ai.response.time_to_first_chunk");
        assert_eq!(time.is_some(), is_token, "{content}");
    }
}

#[test]
fn the_last_of_equal_keys_counts() {
    let usages = r#""usage":{"prompt_tokens":1},"usage":{"prompt_tokens":2}"#;
    let text = format!(r#"{{"object":"chat.completion","choices":[],{usages}}}"#);
    let tokens = span_of(JSON, text).attribute("gen_ai.usage.input_tokens");
    assert_eq!(tokens.as_deref(), Some("2"));
}

#[test]
fn tokens_of_reasoning_are_beside_the_output_if_the_total_shows_it() {
    for (usage, output) in [
        // 10 + 5 + 3.
        (r#""completion_tokens":5,"total_tokens":18"#, "8"),
        (r#""completion_tokens":5,"total_tokens":15"#, "5"),
        // Without a total, only more tokens than the output can be beside it.
        (r#""completion_tokens":3"#, "3"),
        (r#""completion_tokens":2"#, "5"),
    ] {
        let reasoning = r#""completion_tokens_details":{"reasoning_tokens":3}"#;
        let usage = format!(r#"{{"prompt_tokens":10,{usage},{reasoning}}}"#);
        let text = format!(r#"{{"object":"chat.completion","choices":[],"usage":{usage}}}"#);
        let tokens = span_of(JSON, text).attribute("gen_ai.usage.output_tokens");
        assert_eq!(tokens.as_deref(), Some(output), "{usage}");
    }
}

#[test]
fn tokens_written_to_a_cache_are_read_in_the_details() {
    let usage = r#"{"prompt_tokens":10,"prompt_tokens_details":{"cache_write_tokens":4}}"#;
    let text = format!(r#"{{"object":"chat.completion","choices":[],"usage":{usage}}}"#);
    let tokens = span_of(JSON, text).attribute("gen_ai.usage.cache_creation.input_tokens");
    assert_eq!(tokens.as_deref(), Some("4"));
}
