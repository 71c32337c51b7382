//! The APIs: each turns the same answer into its own events or its own object.

mod chat;
mod messages;
mod responses;

use std::time::{SystemTime, UNIX_EPOCH};

use axum::response::sse::Event;
use serde_json::Value;

use crate::engine::{Finish, Piece, Step};
use crate::request::{Endpoint, LlmRequest};

/// The answer, as far as it is generated.
pub(crate) struct Answer {
    pub(crate) number: u64,
    /// Seconds since 1970.
    pub(crate) created: u64,
    pub(crate) input_tokens: usize,
    /// The part of the prompt that the engine had cached.
    pub(crate) cached_tokens: usize,
    pub(crate) output_tokens: usize,
    pub(crate) include_usage: bool,
    pub(crate) choices: Vec<Choice>,
}

#[derive(Clone, Default)]
pub(crate) struct Choice {
    pub(crate) text: String,
    pub(crate) tool: Option<ToolCall>,
    pub(crate) finish: Option<Finish>,
}

#[derive(Clone)]
pub(crate) struct ToolCall {
    pub(crate) name: &'static str,
    /// JSON.
    pub(crate) arguments: String,
}

impl Answer {
    pub(crate) fn new(request: &LlmRequest, number: u64) -> Self {
        let created = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            number,
            created: created.map_or(0, |since| since.as_secs()),
            input_tokens: request.input_tokens,
            cached_tokens: request.input_tokens.min(2),
            output_tokens: 0,
            include_usage: request.include_usage,
            choices: vec![Choice::default(); request.choices],
        }
    }

    pub(crate) fn take_in(&mut self, step: Step) {
        match step {
            Step::Token { choice, piece } => {
                self.output_tokens += 1;
                self.choices[choice].take_in(piece);
            }
            Step::Finished { choice, reason } => self.choices[choice].finish = Some(reason),
        }
    }

    /// Returns the only choice of an API that has no others.
    fn only(&self) -> &Choice {
        &self.choices[0]
    }
}

impl Choice {
    fn take_in(&mut self, piece: Piece) {
        match piece {
            Piece::Text(text) => self.text.push_str(text),
            Piece::ToolName(name) => {
                let arguments = String::new();
                self.tool = Some(ToolCall { name, arguments });
            }
            Piece::Arguments(part) => {
                let tool = self.tool.as_mut().expect("the name is the first token");
                tool.arguments.push_str(part);
            }
        }
    }
}

/// One API.
pub(crate) trait Format: Send {
    /// Returns an event without meaning, which keeps the connection busy.
    fn keep_alive(&self) -> Event {
        Event::default().comment("waiting for the first token")
    }

    /// Returns the events before the first token.
    fn begin(&mut self, answer: &Answer) -> Vec<Event>;

    /// Returns the events of a token, which `answer` contains already.
    fn token(&mut self, answer: &Answer, choice: usize, piece: Piece) -> Vec<Event>;

    /// Returns the events behind the last token of a choice.
    fn finished(&mut self, answer: &Answer, choice: usize) -> Vec<Event>;

    /// Returns the last events of a stream.
    fn end(&mut self, answer: &Answer) -> Vec<Event>;

    /// Returns the last events of a stream that fails.
    fn failure(&mut self, answer: &Answer, message: &str) -> Vec<Event>;

    /// Returns the response that is no stream.
    fn whole(&self, answer: &Answer) -> Value;

    /// Returns the response that is no stream, of an engine that fails; `None` if the API has only error responses.
    fn whole_failure(&self, _answer: &Answer, _message: &str) -> Option<Value> {
        None
    }
}

impl Endpoint {
    pub(crate) fn format(self) -> Box<dyn Format> {
        match self {
            Self::Chat => Box::new(chat::Chat { is_chat: true }),
            Self::Completions => Box::new(chat::Chat { is_chat: false }),
            Self::Responses => Box::new(responses::Responses::default()),
            Self::Messages => Box::new(messages::Messages),
        }
    }
}

/// Returns an event with a type, which the data repeats.
fn typed(data: &Value) -> Event {
    let name = data["type"].as_str().expect("the data has a type");
    Event::default().event(name).data(data.to_string())
}
