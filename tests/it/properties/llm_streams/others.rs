//! Strategies for the formats of Gemini and Ollama.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;

use super::formats::{finish_reasons, indices, joined};
use super::parts::{Sent, counted, counts, texts, words};

pub fn gemini_objects() -> BoxedStrategy<Sent> {
    let part = (texts(), 0..4_usize).prop_map(|(text, which)| {
        [
            json!({"text": text}),
            json!({"text": text, "thought": true}),
            json!({"functionCall": {"name": text, "args": {}}}),
            json!({"inlineData": {"data": text}}),
        ][which]
            .clone()
    });
    let candidate = (indices(), vec(part, 0..3), finish_reasons()).prop_map(
        |(index, parts, finish_reason)| {
            json!({"index": index, "content": {"parts": parts}, "finishReason": finish_reason})
        },
    );
    let usage = counted(&[
        "promptTokenCount",
        "toolUsePromptTokenCount",
        "candidatesTokenCount",
        "thoughtsTokenCount",
        "cachedContentTokenCount",
    ]);
    (words(), words(), vec(candidate, 0..3), usage)
        .prop_map(|(id, model, candidates, usage)| {
            Sent::json(json!({
                "responseId": id, "modelVersion": model, "candidates": candidates,
                "usageMetadata": usage,
            }))
        })
        .boxed()
}

pub fn gemini() -> BoxedStrategy<Vec<Sent>> {
    joined(gemini_objects(), gemini_objects(), gemini_objects())
}

/// Lines of Ollama, the last one or another.
pub fn ollama_objects(is_done: bool) -> BoxedStrategy<Sent> {
    let content = (texts(), 0..5_usize).prop_map(|(text, which)| {
        [
            json!({"message": {"role": "assistant", "content": text}}),
            json!({"message": {"content": "", "thinking": text}}),
            json!({"message": {"content": "", "tool_calls": [{"function": {"name": text}}]}}),
            json!({"response": text}),
            json!({"response": "", "thinking": text}),
        ][which]
            .clone()
    });
    (content, words(), words(), counts(), counts())
        .prop_map(move |(mut object, model, reason, prompt, output)| {
            object["model"] = model;
            object["created_at"] = "2026-11-28T10:00:00.123456Z".into();
            object["done"] = is_done.into();
            if is_done {
                object["done_reason"] = reason;
                object["prompt_eval_count"] = prompt;
                object["eval_count"] = output;
            }
            Sent::json(object)
        })
        .boxed()
}

pub fn ollama() -> BoxedStrategy<Vec<Sent>> {
    joined(
        ollama_objects(false),
        ollama_objects(false),
        ollama_objects(true),
    )
}
