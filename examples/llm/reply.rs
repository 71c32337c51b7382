//! The response, buffered or as a stream, and its record on the request's span.

use std::convert::Infallible;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::response::sse::Event;
use futures_util::stream::{self, BoxStream, Stream, StreamExt};
use serde_json::{Value, json};
use tokio::time::sleep;
use tower_api_span::SpanHandle;

use crate::engine::{Failure, Job, Token, WEIGHTS};
use crate::error::ApiError;
use crate::request::{CompletionRequest, Endpoint};

/// A response in progress.
pub(crate) struct Reply {
    number: u64,
    linger_time: Duration,
    request: CompletionRequest,
    tokens: BoxStream<'static, Result<Token, Failure>>,
    usage: Usage,
    created: u64,
    next: Part,
}

/// The parts of a stream, in their order.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Tokens,
    UsageChunk,
    Terminator,
    End,
}

impl Reply {
    /// Starts the engine.
    pub(crate) fn start(request: CompletionRequest, job: Job, span: SpanHandle) -> Self {
        let created = SystemTime::now().duration_since(UNIX_EPOCH);
        span.handoff_to_core();
        Self {
            number: job.number,
            linger_time: job.linger_time(),
            // The handle's context makes the engine's span a child of the request's span, on any thread.
            tokens: job.start(&span.context()).boxed(),
            usage: Usage {
                span,
                input_tokens: request.input_tokens,
                output_tokens: 0,
                finish_reasons: Vec::new(),
            },
            request,
            created: created.map_or(0, |since| since.as_secs()),
            next: Part::Tokens,
        }
    }

    /// Returns the buffered response.
    ///
    /// # Errors
    ///
    /// If the engine fails.
    pub(crate) async fn buffered(mut self) -> Result<Value, ApiError> {
        let choices = (0..self.request.choices).map(|_| (String::new(), None));
        let mut choices: Vec<(String, Option<&str>)> = choices.collect();
        while let Some(token) = self.tokens.next().await {
            let token = token.inspect_err(|Failure(message)| {
                // The status 500 alone would be recorded as the less specific `exception`.
                self.usage.span.mark_aborted("generation_error", message);
            })?;
            self.usage.count(&token);
            let choice = usize::try_from(token.choice).ok();
            let choice = choice.and_then(|choice| choices.get_mut(choice));
            let (text, finish_reason) = choice.expect("the token belongs to a requested choice");
            text.push_str(token.text);
            *finish_reason = token.finish_reason;
        }
        let choices = choices.iter().enumerate().map(|(index, (text, reason))| {
            let mut choice = json!({ "index": index, "finish_reason": reason, "logprobs": null });
            match self.request.endpoint {
                Endpoint::Chat => {
                    choice["message"] = json!({ "role": "assistant", "content": text });
                }
                Endpoint::Completions => choice["text"] = json!(text),
            }
            choice
        });
        let mut answer = self.object("chat.completion", &choices.collect::<Vec<_>>());
        answer["usage"] = self.usage.to_json();
        Ok(answer)
    }

    /// Returns the response as events, with `OpenAI`'s error event and terminator.
    pub(crate) fn events(self) -> impl Stream<Item = Result<Event, Infallible>> {
        stream::unfold(self, |mut reply| async {
            let data = reply.next_event().await?;
            Some((Ok(Event::default().data(data)), reply))
        })
    }

    /// Returns the data of the next event.
    async fn next_event(&mut self) -> Option<String> {
        if self.next == Part::Tokens {
            match self.tokens.next().await {
                Some(Ok(token)) => {
                    self.usage.count(&token);
                    return Some(self.chunk(&token).to_string());
                }
                Some(Err(failure)) => {
                    // The status 200 is already sent. The layer reads the failure from this event.
                    self.next = Part::Terminator;
                    return Some(ApiError::from(failure).body().to_string());
                }
                None => self.next = Part::UsageChunk,
            }
        }
        if self.next == Part::UsageChunk {
            self.next = Part::Terminator;
            if self.request.include_usage {
                let mut last = self.object("chat.completion.chunk", &[]);
                last["usage"] = self.usage.to_json();
                return Some(last.to_string());
            }
        }
        if self.next == Part::Terminator {
            self.next = Part::End;
            // Recorded now, because the terminator ends the span.
            self.usage.record();
            return Some("[DONE]".to_owned());
        }
        sleep(self.linger_time).await;
        None
    }

    fn chunk(&self, token: &Token) -> Value {
        let mut choice = json!({
            "index": token.choice,
            "finish_reason": token.finish_reason,
            "logprobs": null,
        });
        match self.request.endpoint {
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

    fn object(&self, chat_object: &str, choices: &[Value]) -> Value {
        let object = match self.request.endpoint {
            Endpoint::Chat => chat_object,
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

/// Counts the tokens. They are recorded on the request's span when this is dropped, so also if the client
/// disconnects midway.
struct Usage {
    span: SpanHandle,
    input_tokens: u32,
    output_tokens: u32,
    finish_reasons: Vec<&'static str>,
}

impl Usage {
    fn count(&mut self, token: &Token) {
        self.output_tokens += 1;
        self.finish_reasons.extend(token.finish_reason);
    }

    fn to_json(&self) -> Value {
        json!({
            "prompt_tokens": self.input_tokens,
            "completion_tokens": self.output_tokens,
            "total_tokens": self.input_tokens + self.output_tokens,
        })
    }

    fn record(&self) {
        let gen_ai = self.span.gen_ai();
        gen_ai
            .input_tokens(self.input_tokens)
            .output_tokens(self.output_tokens);
        if !self.finish_reasons.is_empty() {
            gen_ai.finish_reasons(&self.finish_reasons);
        }
    }
}

impl Drop for Usage {
    fn drop(&mut self) {
        self.record();
    }
}
