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
use crate::request::CompletionRequest;

/// The answer, one word per token.
const WORDS: [&str; 8] = [
    "This", " answer", " always", " has", " the", " same", " eight", " words.",
];
/// The response model, for every request model.
pub(crate) const WEIGHTS: &str = "toy-8w";
/// The models in the model list.
pub(crate) const MODELS: [&str; 6] = ["toy", "slow", "lingers", "fails-at-3", "stalls", "refuses"];

const PAUSE: Duration = Duration::from_millis(5);
const LONG_PAUSE: Duration = Duration::from_millis(200);

/// How long the model `lingers` keeps a stream open after its last event.
const LINGERS_FOR: Duration = Duration::from_secs(1);

/// A token of one of the choices.
pub(crate) struct Token {
    pub(crate) choice: u32,
    pub(crate) text: &'static str,
    /// Whether it is the first token of its choice.
    pub(crate) is_first: bool,
    /// Set on the last token of its choice.
    pub(crate) finish_reason: Option<&'static str>,
}

/// A failure of the engine, with its message.
#[derive(Debug)]
pub(crate) struct Failure(pub(crate) String);

/// The behaviour of a model.
#[derive(Clone, Copy)]
struct Behaviour {
    pause: Duration,
    lingers: bool,
    fails_at: Option<u32>,
    stalls_at: Option<u32>,
}

impl Behaviour {
    /// # Errors
    ///
    /// If the model does not exist or rejects the request.
    fn for_model(model: &str) -> Result<Self, ApiError> {
        let mut behaviour = Self {
            pause: PAUSE,
            lingers: false,
            fails_at: None,
            stalls_at: None,
        };
        let at = |name| model.strip_prefix(name).and_then(|at| at.parse().ok());
        if model == "slow" {
            behaviour.pause = LONG_PAUSE;
        } else if model == "lingers" {
            behaviour.lingers = true;
        } else if model == "refuses" {
            return Err(ApiError::invalid("this model rejects all requests"));
        } else if let Some(at) = at("fails-at-") {
            behaviour.fails_at = Some(at);
        } else if let Some(at) = at("stalls-at-").or((model == "stalls").then_some(3)) {
            behaviour.stalls_at = Some(at);
        } else if model != "toy" {
            return Err(ApiError::no_model(model));
        }
        Ok(behaviour)
    }
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
    choices: u32,
    /// The number of tokens per choice.
    tokens: u32,
    /// The finish reason of each choice.
    finish_reason: &'static str,
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
    pub(crate) fn accept(&self, request: &CompletionRequest) -> Result<Job, ApiError> {
        let words = u32::try_from(WORDS.len()).expect("the number of words fits");
        let limit = request.max_tokens.unwrap_or(words);
        Ok(Job {
            behaviour: Behaviour::for_model(&request.model)?,
            number: self.accepted.fetch_add(1, Ordering::Relaxed),
            tracer: self.tracer.clone(),
            choices: request.choices,
            tokens: words.min(limit),
            finish_reason: if limit < words { "length" } else { "stop" },
        })
    }
}

impl Job {
    /// Returns how long the handler keeps working after the last event.
    pub(crate) fn linger_time(&self) -> Duration {
        if self.behaviour.lingers {
            LINGERS_FOR
        } else {
            Duration::ZERO
        }
    }

    /// Generates the tokens, alternating between the choices. The engine's span starts here as a child of
    /// `parent`; it ends when the stream ends or is dropped.
    pub(crate) fn start(
        self,
        parent: &Context,
    ) -> impl Stream<Item = Result<Token, Failure>> + use<> {
        let span = self.tracer.start_with_context("llm_core", parent);
        let running = Running {
            job: self,
            span,
            generated: 0,
        };
        stream::unfold(Some(running), |running| async {
            let mut running = running?;
            match running.next_token().await? {
                Ok(token) => Some((Ok(token), Some(running))),
                Err(failure) => Some((Err(failure), None)),
            }
        })
    }
}

struct Running {
    job: Job,
    // The SDK ends the span when it is dropped.
    span: Span,
    /// The number of generated tokens, over all choices.
    generated: u32,
}

impl Running {
    /// Returns the next token; `None` after the last one.
    async fn next_token(&mut self) -> Option<Result<Token, Failure>> {
        let Job {
            behaviour,
            choices,
            tokens,
            finish_reason,
            ..
        } = self.job;
        let (nth, choice) = (self.generated / choices, self.generated % choices);
        if nth == tokens {
            return None;
        }
        if behaviour.stalls_at == Some(nth) {
            future::pending::<()>().await;
        }
        sleep(behaviour.pause).await;
        if behaviour.fails_at == Some(nth) {
            let failure = Failure(format!("the engine failed after {nth} tokens"));
            self.span.set_status(Status::error(failure.0.clone()));
            return Some(Err(failure));
        }
        self.generated += 1;
        if self.generated == 1 {
            self.span.add_event("first_token", Vec::new());
        }
        self.span
            .set_attribute(KeyValue::new("tokens", i64::from(self.generated)));
        Some(Ok(Token {
            choice,
            text: usize::try_from(nth)
                .ok()
                .and_then(|nth| WORDS.get(nth))
                .expect("there are no more tokens than words"),
            is_first: nth == 0,
            finish_reason: (nth + 1 == tokens).then_some(finish_reason),
        }))
    }
}
