//! `OpenAI`'s chat completions and completions.

use axum::response::sse::Event;
use serde_json::{Value, json};

use super::{Answer, Choice, Format};
use crate::engine::{Finish, Piece};
use crate::error::ApiError;
use crate::models::WEIGHTS;
use crate::request::Endpoint;

pub(super) struct Chat {
    /// Whether these are chat completions.
    pub(super) is_chat: bool,
}

impl Format for Chat {
    fn begin(&mut self, answer: &Answer) -> Vec<Event> {
        if !self.is_chat {
            return Vec::new();
        }
        let delta = json!({ "role": "assistant", "content": "" });
        let chunk = |choice| self.chunk(answer, choice, "delta", &delta);
        (0..answer.choices.len()).map(chunk).collect()
    }

    fn token(&mut self, answer: &Answer, choice: usize, piece: Piece) -> Vec<Event> {
        let (key, value) = match (self.is_chat, piece) {
            (true, Piece::Text(text)) => ("delta", json!({ "content": text })),
            (false, Piece::Text(text)) => ("text", json!(text)),
            (_, Piece::ToolName(name)) => {
                let mut call = tool_call(answer, choice, name, "");
                call["index"] = json!(0);
                ("delta", json!({ "tool_calls": [call] }))
            }
            (_, Piece::Arguments(part)) => {
                let call = json!({ "index": 0, "function": { "arguments": part } });
                ("delta", json!({ "tool_calls": [call] }))
            }
        };
        vec![self.chunk(answer, choice, key, &value)]
    }

    fn finished(&mut self, answer: &Answer, choice: usize) -> Vec<Event> {
        let (key, value) = if self.is_chat {
            ("delta", json!({}))
        } else {
            ("text", json!(""))
        };
        vec![self.chunk(answer, choice, key, &value)]
    }

    fn end(&mut self, answer: &Answer) -> Vec<Event> {
        let usage = answer.include_usage.then(|| {
            let mut last = self.object(answer, "chat.completion.chunk", &[]);
            last["usage"] = usage(answer);
            Event::default().data(last.to_string())
        });
        usage.into_iter().chain([done()]).collect()
    }

    fn failure(&mut self, _: &Answer, message: &str) -> Vec<Event> {
        let body = ApiError::engine(message).body(Endpoint::Chat);
        vec![Event::default().data(body.to_string()), done()]
    }

    fn whole(&self, answer: &Answer) -> Value {
        let choices = answer.choices.iter().enumerate();
        let choices: Vec<_> = choices
            .map(|(index, choice)| {
                let mut whole = choice_object(index, choice);
                if self.is_chat {
                    whole["message"] = message(answer, index, choice);
                } else {
                    whole["text"] = json!(choice.text);
                }
                whole
            })
            .collect();
        let mut whole = self.object(answer, "chat.completion", &choices);
        whole["usage"] = usage(answer);
        whole
    }
}

impl Chat {
    /// Returns the event with a part of a choice.
    fn chunk(&self, answer: &Answer, choice: usize, key: &str, value: &Value) -> Event {
        let mut object = choice_object(choice, &answer.choices[choice]);
        object[key] = value.clone();
        let chunk = self.object(answer, "chat.completion.chunk", &[object]);
        Event::default().data(chunk.to_string())
    }

    fn object(&self, answer: &Answer, chat_object: &str, choices: &[Value]) -> Value {
        let object = if self.is_chat {
            chat_object
        } else {
            "text_completion"
        };
        json!({
            "id": format!("toy-{}", answer.number),
            "object": object,
            "created": answer.created,
            "model": WEIGHTS,
            "choices": choices,
        })
    }
}

fn done() -> Event {
    Event::default().data("[DONE]")
}

fn choice_object(index: usize, choice: &Choice) -> Value {
    let reason = choice.finish.map(|finish| match finish {
        Finish::Complete => "stop",
        Finish::Length => "length",
        Finish::ToolCall => "tool_calls",
    });
    json!({ "index": index, "finish_reason": reason, "logprobs": null })
}

fn message(answer: &Answer, index: usize, choice: &Choice) -> Value {
    match &choice.tool {
        Some(tool) => {
            let call = tool_call(answer, index, tool.name, &tool.arguments);
            json!({ "role": "assistant", "content": null, "tool_calls": [call] })
        }
        None => json!({ "role": "assistant", "content": choice.text }),
    }
}

fn tool_call(answer: &Answer, choice: usize, name: &str, arguments: &str) -> Value {
    json!({
        "id": format!("call-{}-{choice}", answer.number),
        "type": "function",
        "function": { "name": name, "arguments": arguments },
    })
}

fn usage(answer: &Answer) -> Value {
    json!({
        "prompt_tokens": answer.input_tokens,
        "completion_tokens": answer.output_tokens,
        "total_tokens": answer.input_tokens + answer.output_tokens,
        "prompt_tokens_details": { "cached_tokens": answer.cached_tokens },
        "completion_tokens_details": { "reasoning_tokens": 0 },
    })
}
