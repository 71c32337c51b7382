//! Strategies for the streams of each format, as the APIs send them: often complete, sometimes without their
//! end.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use super::others::{gemini, ollama};
use super::parts::{Sent, counted, errors, failures, others, texts, with_extras, words};

/// Streams of any format, sometimes with other events among theirs.
pub fn streams() -> impl Strategy<Value = Vec<Sent>> {
    let stream = prop_oneof![
        4 => chat(),
        2 => completions(),
        4 => responses(),
        4 => messages(),
        3 => gemini(),
        3 => ollama(),
        1 => vec(others(), 0..4),
    ];
    let other = prop_oneof![2 => failures(), 3 => others()];
    let others = vec((any::<prop::sample::Index>(), with_extras(other)), 0..3);
    (stream, prop_oneof![2 => Just(Vec::new()), 1 => others]).prop_map(|(mut stream, others)| {
        for (place, other) in others {
            stream.insert(place.index(stream.len() + 1), other);
        }
        stream
    })
}

/// Joins the beginning, the middle and the end of a stream, each of which can be missing.
pub fn joined(
    first: BoxedStrategy<Sent>,
    middle: BoxedStrategy<Sent>,
    last: BoxedStrategy<Sent>,
) -> BoxedStrategy<Vec<Sent>> {
    let first = option::weighted(0.9, with_extras(first));
    let middle = vec(with_extras(middle), 0..5);
    let last = option::weighted(0.8, with_extras(last));
    (first, middle, last)
        .prop_map(|(first, middle, last)| first.into_iter().chain(middle).chain(last).collect())
        .boxed()
}

pub fn finish_reasons() -> impl Strategy<Value = Value> {
    prop_oneof![
        6 => Just(json!(null)),
        6 => select(vec!["stop", "length", "tool_calls"]).prop_map(Value::from),
        1 => select(vec![
            json!(""),
            json!("error"),
            json!("abort"),
            json!("insufficient_system_resource"),
            json!(7),
        ]),
        1 => words(),
    ]
}

pub fn indices() -> impl Strategy<Value = Value> {
    prop_oneof![
        8 => (0..3_u64).prop_map(Value::from),
        1 => select(vec![json!(null), json!("1")]),
    ]
}

pub fn chat_usage() -> impl Strategy<Value = Value> {
    let details = counted(&["cached_tokens", "audio_tokens"]);
    let reasoning = counted(&["reasoning_tokens"]);
    let usage = counted(&["prompt_tokens", "completion_tokens", "total_tokens"]);
    let beside = counted(&["cached_tokens"]);
    let more = (option::of(details), option::of(reasoning), beside);
    (usage, more, any::<bool>()).prop_map(|(mut usage, more, is_total)| {
        let (details, reasoning, beside) = more;
        if let Some(cached) = beside.get("cached_tokens") {
            usage["cached_tokens"] = cached.clone();
        }
        // As a service that counts reasoning beside the output.
        let counts = ["prompt_tokens", "completion_tokens"].map(|key| usage[key].as_u64());
        let reasons = reasoning
            .as_ref()
            .and_then(|it| it["reasoning_tokens"].as_u64());
        if let ([Some(input), Some(output)], Some(reasons), true) = (counts, reasons, is_total) {
            let total = input
                .checked_add(output)
                .and_then(|sum| sum.checked_add(reasons));
            usage["total_tokens"] = total.into();
        }
        usage["prompt_tokens_details"] = details.into();
        usage["completion_tokens_details"] = reasoning.into();
        usage
    })
}

fn deltas() -> impl Strategy<Value = Value> {
    (texts(), texts(), 0..12_usize).prop_map(|(text, more, which)| {
        let call = json!({"name": text, "arguments": more});
        [
            json!({"content": text}),
            json!({"role": "assistant", "content": ""}),
            json!({"content": null, "reasoning_content": text}),
            json!({"reasoning": text}),
            json!({"refusal": text}),
            json!({"tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": call}]}),
            json!({"function_call": {"arguments": text}}),
            json!({"content": [{"type": "text", "text": text}, {"text": more}]}),
            json!({"content": null, "tool_calls": [], "function_call": null}),
            json!({}),
            json!({"tool_calls": [{"index": 0, "type": "custom", "custom": {"name": text, "input": more}}]}),
            json!({"tool_calls": [{"custom": {}, "function": {"name": text}}]}),
        ][which]
            .clone()
    })
}

/// Chunks of chat completions, or of completions.
fn chunks(has_text: bool) -> BoxedStrategy<Sent> {
    let used = option::weighted(0.1, chat_usage());
    let choice = (indices(), deltas(), texts(), finish_reasons(), used).prop_map(
        move |(index, delta, text, finish_reason, usage)| {
            let mut choice = json!({"index": index, "finish_reason": finish_reason});
            if let Some(usage) = usage {
                choice["usage"] = usage;
            }
            if has_text {
                choice["text"] = text.into();
            } else {
                choice["delta"] = delta;
            }
            choice
        },
    );
    let object = select(if has_text {
        vec![
            json!("text_completion"),
            json!("text_completion.chunk"),
            json!(null),
        ]
    } else {
        vec![json!("chat.completion.chunk"), json!(""), json!(null)]
    });
    let usage = option::weighted(0.2, chat_usage());
    (object, words(), words(), vec(choice, 0..4), usage)
        .prop_map(|(object, id, model, choices, usage)| {
            Sent::json(json!({
                "object": object, "id": id, "model": model, "choices": choices, "usage": usage,
            }))
        })
        .boxed()
}

fn terminators() -> BoxedStrategy<Sent> {
    Just(Sent::text("[DONE]")).boxed()
}

fn chat() -> BoxedStrategy<Vec<Sent>> {
    joined(chunks(false), chunks(false), terminators())
}

fn completions() -> BoxedStrategy<Vec<Sent>> {
    joined(chunks(true), chunks(true), terminators())
}

pub fn response_objects() -> impl Strategy<Value = Value> {
    let status = select(vec![
        json!("completed"),
        json!("incomplete"),
        json!("failed"),
        json!("queued"),
        json!(""),
        json!(null),
    ]);
    let details = select(vec![
        json!(null),
        json!({"reason": "max_output_tokens"}),
        json!({"reason": ""}),
    ]);
    let usage = (
        counted(&["input_tokens", "output_tokens"]),
        counted(&["cached_tokens"]),
        counted(&["reasoning_tokens"]),
    );
    (
        words(),
        words(),
        status,
        details,
        errors(),
        option::weighted(0.7, usage),
    )
        .prop_map(|(id, model, status, details, error, usage)| {
            let usage = usage.map(|(mut usage, cached, reasoning)| {
                usage["input_tokens_details"] = cached;
                usage["output_tokens_details"] = reasoning;
                usage
            });
            json!({
                "object": "response", "id": id, "model": model, "status": status,
                "incomplete_details": details, "error": error, "usage": usage,
            })
        })
}

fn responses() -> BoxedStrategy<Vec<Sent>> {
    let about = |names: Vec<&'static str>| {
        let event = (select(names), response_objects());
        event.prop_map(|(name, mut response)| {
            // As the API does. Only `response.failed` has an error.
            if !["response.failed", "response.done"].contains(&name) {
                response["error"] = json!(null);
            }
            Sent::typed(name, json!({"response": response}))
        })
    };
    let first = about(vec![
        "response.created",
        "response.in_progress",
        "response.queued",
    ]);
    let middle = (texts(), words(), 0..8_usize).prop_map(|(text, id, which)| {
        let call = |kind: &str| json!({"item": {"type": kind, "id": id, "name": text}});
        let delta = || json!({"delta": text, "item_id": id, "sequence_number": 3});
        match which {
            0 => Sent::typed("response.output_item.added", call("function_call")),
            1 => Sent::typed("response.output_item.added", call("message")),
            2 => Sent::typed("response.function_call_arguments.delta", delta()),
            3 => Sent::typed("response.reasoning_summary_text.delta", delta()),
            4 => Sent::typed("response.output_text.done", json!({"text": text})),
            5 => Sent::typed(
                "response.content_part.added",
                json!({"part": {"text": text}}),
            ),
            6 => Sent::typed("response.refusal.delta", json!({"delta": {"text": text}})),
            _ => Sent::typed("response.output_text.delta", delta()),
        }
    });
    let last = about(vec![
        "response.completed",
        "response.completed",
        "response.incomplete",
        "response.failed",
        "response.cancelled",
        "response.done",
    ]);
    joined(first.boxed(), middle.boxed(), last.boxed())
}

pub fn message_usage() -> impl Strategy<Value = Value> {
    counted(&[
        "input_tokens",
        "output_tokens",
        "cache_creation_input_tokens",
        "cache_read_input_tokens",
    ])
}

fn messages() -> BoxedStrategy<Vec<Sent>> {
    let first = (words(), words(), message_usage()).prop_map(|(id, model, usage)| {
        let message = json!({"type": "message", "id": id, "model": model, "usage": usage});
        Sent::typed("message_start", json!({"message": message}))
    });
    let middle = (texts(), words(), message_usage(), 0..9_usize);
    let middle = middle.prop_map(|(text, stop_reason, usage, which)| {
        let block = |kind: &str| json!({"content_block": {"type": kind, "name": text, "text": "", "thinking": ""}});
        let delta = |key: &str| json!({"index": 0, "delta": {key: text}});
        match which {
            0 => Sent::typed("content_block_start", block("tool_use")),
            1 => Sent::typed("content_block_start", block("text")),
            2 => Sent::typed(
                "content_block_start",
                json!({"content_block": {"text": text, "thinking": text}}),
            ),
            3 => Sent::typed("content_block_delta", delta("thinking")),
            4 => Sent::typed("content_block_delta", delta("partial_json")),
            5 => Sent::typed("content_block_delta", delta("signature")),
            6 => Sent::typed("content_block_stop", json!({"index": 0})),
            7 => Sent::typed(
                "message_delta",
                json!({"delta": {"stop_reason": stop_reason}, "usage": usage}),
            ),
            _ => Sent::typed("content_block_delta", delta("text")),
        }
    });
    let last = Just(Sent::typed("message_stop", json!({})));
    joined(first.boxed(), middle.boxed(), last.boxed())
}
