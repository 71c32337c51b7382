//! Strategies for whole answers: one JSON value.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use super::formats::{chat_usage, finish_reasons, message_usage, response_objects};
use super::others::{gemini_objects, ollama_objects};
use super::parts::{Sent, failures, others, texts, with_extras, words};

/// Answers of any format, errors, and answers of other APIs.
pub fn answers() -> impl Strategy<Value = Sent> {
    let answer = prop_oneof![
        3 => completions().boxed(),
        2 => response_objects().prop_map(Sent::json).boxed(),
        2 => message().boxed(),
        1 => gemini_objects(),
        1 => ollama_objects(true),
    ];
    let other = prop_oneof![failures(), others()];
    prop_oneof![5 => with_extras(answer), 2 => with_extras(other)]
}

fn completions() -> impl Strategy<Value = Sent> {
    let choice = (texts(), finish_reasons(), any::<bool>()).prop_map(|(text, reason, has_text)| {
        if has_text {
            json!({"text": text, "finish_reason": reason})
        } else {
            json!({"message": {"content": text}, "finish_reason": reason})
        }
    });
    let object = select(vec![
        json!("chat.completion"),
        json!("text_completion"),
        json!(null),
    ]);
    let usage = option::of(chat_usage());
    (object, words(), words(), vec(choice, 0..3), usage).prop_map(
        |(object, id, model, choices, usage)| {
            Sent::json(json!({
                "object": object, "id": id, "model": model, "choices": choices, "usage": usage,
            }))
        },
    )
}

fn message() -> impl Strategy<Value = Sent> {
    let all = (words(), words(), words(), message_usage());
    all.prop_map(|(id, model, stop_reason, usage): (_, _, _, Value)| {
        Sent::json(json!({
            "type": "message", "id": id, "model": model, "stop_reason": stop_reason,
            "usage": usage,
        }))
    })
}
