//! The engine behind the API: generates tokens and records its own span.

use std::future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::stream::{self, Stream};
use opentelemetry::trace::{Span as _, Status, Tracer, TracerProvider};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider, Span};
use tokio::time::sleep;

use crate::error::ApiError;
use crate::models::{Behaviour, Fault};
use crate::request::LlmRequest;

/// The answer, one word per token.
const WORDS: [Piece; 8] = [
    Piece::Text("This"),
    Piece::Text(" answer"),
    Piece::Text(" always"),
    Piece::Text(" has"),
    Piece::Text(" the"),
    Piece::Text(" same"),
    Piece::Text(" eight"),
    Piece::Text(" words."),
];
/// The tool call. Its arguments look like the end of a stream.
const TOOL_CALL: [Piece; 3] = [
    Piece::ToolName("look_up"),
    Piece::Arguments("{\"word\":"),
    Piece::Arguments("\"data: [DONE]\"}"),
];

/// What a token adds to the answer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Piece {
    Text(&'static str),
    ToolName(&'static str),
    /// A part of the JSON text of the tool's arguments.
    Arguments(&'static str),
}

/// Why a choice has no more tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finish {
    Complete,
    /// The limit on tokens is reached.
    Length,
    ToolCall,
}

/// A step of the engine.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Token {
        choice: usize,
        piece: Piece,
    },
    /// All tokens of a choice are generated.
    Finished {
        choice: usize,
        reason: Finish,
    },
}

/// Why the engine stops early.
#[derive(Debug)]
pub(crate) enum Stop {
    /// It fails, with this message.
    Failed(String),
    Truncated,
    Broken,
}

#[derive(Clone)]
pub(crate) struct Engine {
    tracer: SdkTracer,
    /// The number of accepted requests.
    accepted: Arc<AtomicU64>,
}

/// An accepted request.
pub(crate) struct Job {
    pub(crate) number: u64,
    tracer: SdkTracer,
    behaviour: Behaviour,
    choices: usize,
    /// The tokens of each choice.
    tokens: &'static [Piece],
    /// The finish reason of each choice.
    finish: Finish,
}

impl Engine {
    pub(crate) fn new(provider: &SdkTracerProvider) -> Self {
        Self {
            tracer: provider.tracer("engine"),
            accepted: Arc::default(),
        }
    }

    /// Checks a request and assigns it a number.
    ///
    /// # Errors
    ///
    /// If the engine rejects it.
    pub(crate) fn accept(&self, request: &LlmRequest) -> Result<Job, ApiError> {
        let behaviour = Behaviour::for_request(request)?;
        let (tokens, finish): (&[Piece], _) = if behaviour.calls_a_tool {
            (&TOOL_CALL, Finish::ToolCall)
        } else {
            (&WORDS, Finish::Complete)
        };
        let limit = request.max_tokens.unwrap_or(tokens.len());
        let is_cut = limit < tokens.len();
        Ok(Job {
            behaviour,
            number: self.accepted.fetch_add(1, Ordering::Relaxed),
            tracer: self.tracer.clone(),
            choices: request.choices,
            tokens: &tokens[..limit.min(tokens.len())],
            finish: if is_cut { Finish::Length } else { finish },
        })
    }
}

impl Job {
    /// Whether the client needs a keep-alive before the first token.
    pub(crate) fn is_slow_to_start(&self) -> bool {
        self.behaviour.waits.is_some()
    }

    /// Returns how long the handler keeps working after the last event.
    pub(crate) fn linger_time(&self) -> Duration {
        self.behaviour.lingers
    }

    /// Generates the tokens, alternating between the choices. The engine's span starts here as a child of
    /// `parent`; it ends when the stream ends or is dropped.
    pub(crate) fn start(self, parent: &Context) -> impl Stream<Item = Result<Step, Stop>> + use<> {
        let span = self.tracer.start_with_context("llm_core", parent);
        let running = Running {
            waits: self.behaviour.waits,
            job: self,
            span,
            generated: 0,
            finished: 0,
        };
        stream::unfold(Some(running), |running| async {
            let mut running = running?;
            match running.next_step().await? {
                Ok(step) => Some((Ok(step), Some(running))),
                Err(stop) => Some((Err(stop), None)),
            }
        })
    }
}

struct Running {
    job: Job,
    // The SDK ends the span when it is dropped.
    span: Span,
    /// The time that the first token takes, if it is not the usual one.
    waits: Option<Duration>,
    /// The number of generated tokens, over all choices.
    generated: usize,
    /// The number of finished choices.
    finished: usize,
}

impl Running {
    /// Returns the next step; `None` after the last one.
    async fn next_step(&mut self) -> Option<Result<Step, Stop>> {
        let choices = self.job.choices;
        let (nth, choice) = (self.generated / choices, self.generated % choices);
        if let Some(piece) = self.job.tokens.get(nth) {
            return Some(self.generate(nth, choice, *piece).await);
        }
        let choice = self.finished;
        if choice == choices {
            return self.fail(nth).await.err().map(Err);
        }
        self.finished += 1;
        let reason = self.job.finish;
        Some(Ok(Step::Finished { choice, reason }))
    }

    async fn generate(&mut self, nth: usize, choice: usize, piece: Piece) -> Result<Step, Stop> {
        let usual = self.job.behaviour.pause;
        sleep(self.waits.take().unwrap_or(usual)).await;
        self.fail(nth).await?;
        self.generated += 1;
        if self.generated == 1 {
            self.span.add_event("first_token", Vec::new());
        }
        let generated = i64::try_from(self.generated).unwrap_or(i64::MAX);
        self.span.set_attribute(KeyValue::new("tokens", generated));
        Ok(Step::Token { choice, piece })
    }

    /// Fails if the model has a fault after `nth` tokens.
    async fn fail(&mut self, nth: usize) -> Result<(), Stop> {
        match self.job.behaviour.fault.filter(|(at, _)| *at == nth) {
            Some((_, Fault::Stalls)) => future::pending().await,
            Some((_, Fault::Fails)) => {
                let message = format!("the engine failed after {nth} tokens");
                self.span.set_status(Status::error(message.clone()));
                Err(Stop::Failed(message))
            }
            Some((_, Fault::Truncates)) => Err(Stop::Truncated),
            Some((_, Fault::Breaks)) => Err(Stop::Broken),
            None => Ok(()),
        }
    }
}
