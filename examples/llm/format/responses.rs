//! `OpenAI`'s responses.

use axum::response::sse::Event;
use serde_json::{Value, json};

use super::{Answer, Format, ToolCall, typed};
use crate::engine::{Finish, Piece};
use crate::models::WEIGHTS;

#[derive(Default)]
pub(super) struct Responses {
    /// The number of the next event.
    sequence: u64,
}

impl Format for Responses {
    fn begin(&mut self, answer: &Answer) -> Vec<Event> {
        ["response.created", "response.in_progress"]
            .map(|name| self.response_event(name, &response(answer, "in_progress")))
            .into()
    }

    fn token(&mut self, answer: &Answer, _: usize, piece: Piece) -> Vec<Event> {
        let mut events = Vec::new();
        if answer.output_tokens == 1 {
            events.extend(self.start_item(answer));
        }
        match piece {
            Piece::Text(text) => {
                let delta = json!({ "content_index": 0, "delta": text, "logprobs": [] });
                events.push(self.item_event("response.output_text.delta", answer, delta));
            }
            // The name stands in the item.
            Piece::ToolName(_) => {}
            Piece::Arguments(part) => {
                let delta = json!({ "delta": part });
                events.push(self.item_event(
                    "response.function_call_arguments.delta",
                    answer,
                    delta,
                ));
            }
        }
        events
    }

    fn finished(&mut self, answer: &Answer, _: usize) -> Vec<Event> {
        let mut events = Vec::new();
        if let Some(ToolCall { name, arguments }) = &answer.only().tool {
            let done = json!({ "name": name, "arguments": arguments });
            events.push(self.item_event("response.function_call_arguments.done", answer, done));
        } else {
            let text = &answer.only().text;
            let done = json!({ "content_index": 0, "text": text, "logprobs": [] });
            events.push(self.item_event("response.output_text.done", answer, done));
            let done = json!({ "content_index": 0, "part": part(text) });
            events.push(self.item_event("response.content_part.done", answer, done));
        }
        let done = json!({ "item": item(answer, status(answer)) });
        events.push(self.item_event("response.output_item.done", answer, done));
        events
    }

    fn end(&mut self, answer: &Answer) -> Vec<Event> {
        let (name, whole) = (format!("response.{}", status(answer)), self.whole(answer));
        vec![self.response_event(&name, &whole)]
    }

    fn failure(&mut self, answer: &Answer, message: &str) -> Vec<Event> {
        vec![self.response_event("response.failed", &failed(answer, message))]
    }

    fn whole(&self, answer: &Answer) -> Value {
        let mut whole = response(answer, status(answer));
        whole["output"] = json!([item(answer, status(answer))]);
        whole["usage"] = usage(answer);
        if answer.only().finish == Some(Finish::Length) {
            whole["incomplete_details"] = json!({ "reason": "max_output_tokens" });
        }
        whole
    }

    fn whole_failure(&self, answer: &Answer, message: &str) -> Option<Value> {
        Some(failed(answer, message))
    }
}

impl Responses {
    /// Returns the events that start the output.
    fn start_item(&mut self, answer: &Answer) -> Vec<Event> {
        let mut item = item(answer, "in_progress");
        let is_message = answer.only().tool.is_none();
        if is_message {
            item["content"] = json!([]);
        }
        let added = json!({ "item": item });
        let mut events = vec![self.item_event("response.output_item.added", answer, added)];
        if is_message {
            let added = json!({ "content_index": 0, "part": part("") });
            events.push(self.item_event("response.content_part.added", answer, added));
        }
        events
    }

    fn response_event(&mut self, name: &str, response: &Value) -> Event {
        self.event(name, json!({ "response": response }))
    }

    fn item_event(&mut self, name: &str, answer: &Answer, mut data: Value) -> Event {
        data["item_id"] = json!(item_id(answer));
        data["output_index"] = json!(0);
        self.event(name, data)
    }

    fn event(&mut self, name: &str, mut data: Value) -> Event {
        data["type"] = json!(name);
        data["sequence_number"] = json!(self.sequence);
        self.sequence += 1;
        typed(&data)
    }
}

fn status(answer: &Answer) -> &'static str {
    match answer.only().finish {
        None => "in_progress",
        Some(Finish::Length) => "incomplete",
        Some(Finish::Complete | Finish::ToolCall) => "completed",
    }
}

fn response(answer: &Answer, status: &str) -> Value {
    json!({
        "id": format!("toy-{}", answer.number),
        "object": "response",
        "created_at": answer.created,
        "model": WEIGHTS,
        "status": status,
        "output": [],
        "error": null,
        "incomplete_details": null,
        "instructions": null,
        "metadata": {},
        "parallel_tool_calls": true,
        "tool_choice": "auto",
        "tools": [],
        "usage": null,
    })
}

fn failed(answer: &Answer, message: &str) -> Value {
    let mut failed = response(answer, "failed");
    failed["error"] = json!({ "code": "server_error", "message": message });
    failed
}

fn item_id(answer: &Answer) -> String {
    format!("item-{}", answer.number)
}

/// Returns the output: a message or a tool call.
fn item(answer: &Answer, status: &str) -> Value {
    let id = item_id(answer);
    match &answer.only().tool {
        Some(ToolCall { name, arguments }) => json!({
            "id": id,
            "type": "function_call",
            "status": status,
            "call_id": format!("call-{}", answer.number),
            "name": name,
            "arguments": arguments,
        }),
        None => json!({
            "id": id,
            "type": "message",
            "status": status,
            "role": "assistant",
            "content": [part(&answer.only().text)],
        }),
    }
}

fn part(text: &str) -> Value {
    json!({ "type": "output_text", "text": text, "annotations": [], "logprobs": [] })
}

fn usage(answer: &Answer) -> Value {
    json!({
        "input_tokens": answer.input_tokens,
        "input_tokens_details": { "cached_tokens": answer.cached_tokens },
        "output_tokens": answer.output_tokens,
        "output_tokens_details": { "reasoning_tokens": 0 },
        "total_tokens": answer.input_tokens + answer.output_tokens,
    })
}
