//! Anthropic's messages.

use axum::response::sse::Event;
use serde_json::{Value, json};

use super::{Answer, Format, ToolCall, typed};
use crate::engine::{Finish, Piece};
use crate::error::ApiError;
use crate::models::WEIGHTS;
use crate::request::Endpoint;

pub(super) struct Messages;

impl Format for Messages {
    fn keep_alive(&self) -> Event {
        typed(&json!({ "type": "ping" }))
    }

    fn begin(&mut self, answer: &Answer) -> Vec<Event> {
        let message = message(answer, &json!([]));
        vec![typed(
            &json!({ "type": "message_start", "message": message }),
        )]
    }

    fn token(&mut self, answer: &Answer, _: usize, piece: Piece) -> Vec<Event> {
        let is_first = answer.output_tokens == 1;
        match piece {
            Piece::Text(text) => {
                let start = is_first.then(|| start(&json!({ "type": "text", "text": "" })));
                let ping = is_first.then(|| self.keep_alive());
                let delta = delta(&json!({ "type": "text_delta", "text": text }));
                start.into_iter().chain(ping).chain([delta]).collect()
            }
            Piece::ToolName(name) => vec![start(&tool_use(answer, name, &json!({})))],
            Piece::Arguments(part) => {
                vec![delta(
                    &json!({ "type": "input_json_delta", "partial_json": part }),
                )]
            }
        }
    }

    fn finished(&mut self, _: &Answer, _: usize) -> Vec<Event> {
        vec![typed(&json!({ "type": "content_block_stop", "index": 0 }))]
    }

    fn end(&mut self, answer: &Answer) -> Vec<Event> {
        let delta = json!({ "stop_reason": stop_reason(answer), "stop_sequence": null });
        // Cumulative.
        let usage = json!({ "output_tokens": answer.output_tokens });
        let last = json!({ "type": "message_delta", "delta": delta, "usage": usage });
        vec![typed(&last), typed(&json!({ "type": "message_stop" }))]
    }

    fn failure(&mut self, _: &Answer, message: &str) -> Vec<Event> {
        vec![typed(&ApiError::engine(message).body(Endpoint::Messages))]
    }

    fn whole(&self, answer: &Answer) -> Value {
        let content = match &answer.only().tool {
            Some(ToolCall { name, arguments }) => {
                // Arguments that the limit on tokens has cut are no JSON.
                let input = serde_json::from_str(arguments).unwrap_or_else(|_| json!({}));
                tool_use(answer, name, &input)
            }
            None => json!({ "type": "text", "text": answer.only().text }),
        };
        message(answer, &json!([content]))
    }
}

fn start(block: &Value) -> Event {
    typed(&json!({ "type": "content_block_start", "index": 0, "content_block": block }))
}

fn delta(delta: &Value) -> Event {
    typed(&json!({ "type": "content_block_delta", "index": 0, "delta": delta }))
}

fn tool_use(answer: &Answer, name: &str, input: &Value) -> Value {
    let id = format!("toolu-{}", answer.number);
    json!({ "type": "tool_use", "id": id, "name": name, "input": input })
}

fn message(answer: &Answer, content: &Value) -> Value {
    json!({
        "id": format!("toy-{}", answer.number),
        "type": "message",
        "role": "assistant",
        "model": WEIGHTS,
        "content": content,
        "stop_reason": stop_reason(answer),
        "stop_sequence": null,
        "usage": {
            // Without the cached ones.
            "input_tokens": answer.input_tokens - answer.cached_tokens,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": answer.cached_tokens,
            "output_tokens": answer.output_tokens,
        },
    })
}

fn stop_reason(answer: &Answer) -> Option<&'static str> {
    answer.only().finish.map(|finish| match finish {
        Finish::Complete => "end_turn",
        Finish::Length => "max_tokens",
        Finish::ToolCall => "tool_use",
    })
}
