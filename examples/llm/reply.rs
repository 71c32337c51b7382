//! The answer, whole or as a stream, and what the request's span is told of it.

use std::convert::Infallible;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::response::sse::Event;
use futures_util::stream::{self, BoxStream, Stream, StreamExt};
use serde_json::{Value, json};
use tokio::time::sleep;
use tower_api_span::SpanHandle;

use crate::engine::{Failure, Job, Token, WEIGHTS};
use crate::error::ApiError;
use crate::request::{Asked, Endpoint};

/// An answer in the making.
pub(crate) struct Reply {
    number: u64,
    afterwards: Duration,
    asked: Asked,
    tokens: BoxStream<'static, Result<Token, Failure>>,
    account: Account,
    created: u64,
    next: Part,
}

/// The parts of a stream, in their order.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Tokens,
    Usage,
    Terminator,
    Nothing,
}

impl Reply {
    /// Hands the job to the engine.
    pub(crate) fn start(asked: Asked, job: Job, span: SpanHandle) -> Self {
        let created = SystemTime::now().duration_since(UNIX_EPOCH);
        span.handoff_to_core();
        Self {
            number: job.number,
            afterwards: job.afterwards(),
            // The handle's context makes the engine's span a child of the request's, wherever the
            // engine runs.
            tokens: job.start(&span.context()).boxed(),
            account: Account {
                span,
                input_tokens: asked.input_tokens,
                output_tokens: 0,
                finish_reasons: Vec::new(),
            },
            asked,
            created: created.map_or(0, |since| since.as_secs()),
            next: Part::Tokens,
        }
    }

    /// The answer in one piece.
    ///
    /// # Errors
    ///
    /// If the engine fails.
    pub(crate) async fn whole(mut self) -> Result<Value, ApiError> {
        let choices = (0..self.asked.choices).map(|_| (String::new(), None));
        let mut choices: Vec<(String, Option<&str>)> = choices.collect();
        while let Some(token) = self.tokens.next().await {
            let token = token.inspect_err(|Failure(message)| {
                // A 500 alone would be an `exception`, which says less.
                self.account.span.abort("generation_error", message);
            })?;
            self.account.count(&token);
            let choice = usize::try_from(token.choice).ok();
            let choice = choice.and_then(|choice| choices.get_mut(choice));
            let (text, finish_reason) = choice.expect("a token of a choice that was asked for");
            text.push_str(token.text);
            *finish_reason = token.finish_reason;
        }
        let choices = choices.iter().enumerate().map(|(index, (text, reason))| {
            let mut choice = json!({ "index": index, "finish_reason": reason, "logprobs": null });
            match self.asked.endpoint {
                Endpoint::Chat => {
                    choice["message"] = json!({ "role": "assistant", "content": text });
                }
                Endpoint::Completions => choice["text"] = json!(text),
            }
            choice
        });
        let mut answer = self.object("chat.completion", &choices.collect::<Vec<_>>());
        answer["usage"] = self.account.usage();
        Ok(answer)
    }

    /// The answer as events, with those that `OpenAI`'s clients know an error and the end by.
    pub(crate) fn events(self) -> impl Stream<Item = Result<Event, Infallible>> {
        stream::unfold(self, |mut reply| async {
            let data = reply.event().await?;
            Some((Ok(Event::default().data(data)), reply))
        })
    }

    /// The data of the next event.
    async fn event(&mut self) -> Option<String> {
        if self.next == Part::Tokens {
            match self.tokens.next().await {
                Some(Ok(token)) => {
                    self.account.count(&token);
                    return Some(self.chunk(&token).to_string());
                }
                Some(Err(failure)) => {
                    // The head has said 200 already. What went wrong is for the layer to find here.
                    self.next = Part::Terminator;
                    return Some(ApiError::from(failure).body().to_string());
                }
                None => self.next = Part::Usage,
            }
        }
        if self.next == Part::Usage {
            self.next = Part::Terminator;
            if self.asked.include_usage {
                let mut last = self.object("chat.completion.chunk", &[]);
                last["usage"] = self.account.usage();
                return Some(last.to_string());
            }
        }
        if self.next == Part::Terminator {
            self.next = Part::Nothing;
            // Now, because the terminator ends the span.
            self.account.tell();
            return Some("[DONE]".to_owned());
        }
        sleep(self.afterwards).await;
        None
    }

    fn chunk(&self, token: &Token) -> Value {
        let mut choice = json!({
            "index": token.choice,
            "finish_reason": token.finish_reason,
            "logprobs": null,
        });
        match self.asked.endpoint {
            Endpoint::Completions => choice["text"] = json!(token.text),
            Endpoint::Chat => {
                choice["delta"] = json!({ "content": token.text });
                if token.is_first {
                    choice["delta"]["role"] = json!("assistant");
                }
            }
        }
        self.object("chat.completion.chunk", &[choice])
    }

    fn object(&self, of_chat: &str, choices: &[Value]) -> Value {
        let object = match self.asked.endpoint {
            Endpoint::Chat => of_chat,
            Endpoint::Completions => "text_completion",
        };
        json!({
            "id": format!("toy-{}", self.number),
            "object": object,
            "created": self.created,
            "model": WEIGHTS,
            "choices": choices,
        })
    }
}

/// Counts what is made. The request's span is told when this is dropped, so also if the client
/// leaves midway.
struct Account {
    span: SpanHandle,
    input_tokens: u32,
    output_tokens: u32,
    finish_reasons: Vec<&'static str>,
}

impl Account {
    fn count(&mut self, token: &Token) {
        self.output_tokens += 1;
        self.finish_reasons.extend(token.finish_reason);
    }

    fn usage(&self) -> Value {
        json!({
            "prompt_tokens": self.input_tokens,
            "completion_tokens": self.output_tokens,
            "total_tokens": self.input_tokens + self.output_tokens,
        })
    }

    fn tell(&self) {
        let said = self.span.gen_ai();
        said.input_tokens(self.input_tokens)
            .output_tokens(self.output_tokens);
        if !self.finish_reasons.is_empty() {
            said.finish_reasons(&self.finish_reasons);
        }
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.tell();
    }
}
