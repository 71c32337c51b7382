//! The engine behind the API: makes tokens, and tells of it in a span of its own.

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
use crate::request::Asked;

/// What it always says.
const WORDS: [&str; 8] = [
    "All", " that", " a", " toy", " can", " say", " is", " this.",
];
/// The model that answers, whatever the name it was asked by.
pub(crate) const WEIGHTS: &str = "toy-8w";
/// The models to tell of.
pub(crate) const MODELS: [&str; 6] = ["toy", "slow", "lingers", "fails-at-3", "stalls", "refuses"];

const PAUSE: Duration = Duration::from_millis(5);
const LONG_PAUSE: Duration = Duration::from_millis(200);

/// How long a stream is left open after its end by a model that lingers.
const LINGERS_FOR: Duration = Duration::from_secs(1);

/// A token of one of the choices.
pub(crate) struct Token {
    pub(crate) choice: u32,
    pub(crate) text: &'static str,
    /// It is the first one of its choice.
    pub(crate) is_first: bool,
    /// It is the last one of its choice, and why.
    pub(crate) finish_reason: Option<&'static str>,
}

/// The engine has failed.
#[derive(Debug)]
pub(crate) struct Failure(pub(crate) String);

/// What a model does, by its name.
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
    /// If there is no such model, or it takes no requests.
    fn of(model: &str) -> Result<Self, ApiError> {
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
            return Err(ApiError::invalid("this model refuses all requests"));
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
    /// How many requests it has taken.
    taken: Arc<AtomicU64>,
}

/// A request that the engine is ready to take.
pub(crate) struct Job {
    pub(crate) number: u64,
    tracer: SdkTracer,
    behaviour: Behaviour,
    choices: u32,
    /// How many tokens a choice gets.
    tokens: u32,
    /// Why each choice will be over then.
    finish_reason: &'static str,
}

impl Engine {
    pub(crate) fn new(provider: &SdkTracerProvider) -> Self {
        Self {
            tracer: provider.tracer("engine"),
            taken: Arc::default(),
        }
    }

    /// Looks at a request before anything is done for it.
    ///
    /// # Errors
    ///
    /// If the engine will not take it.
    pub(crate) fn accept(&self, asked: &Asked) -> Result<Job, ApiError> {
        let says = u32::try_from(WORDS.len()).expect("a toy has few words");
        let most = asked.max_tokens.unwrap_or(says);
        Ok(Job {
            behaviour: Behaviour::of(&asked.model)?,
            number: self.taken.fetch_add(1, Ordering::Relaxed),
            tracer: self.tracer.clone(),
            choices: asked.choices,
            tokens: says.min(most),
            finish_reason: if most < says { "length" } else { "stop" },
        })
    }
}

impl Job {
    /// What is still to be done when the client has everything, such as to send a bill.
    pub(crate) fn afterwards(&self) -> Duration {
        if self.behaviour.lingers {
            LINGERS_FOR
        } else {
            Duration::ZERO
        }
    }

    /// Makes the tokens, a word of each choice after the other. Its span begins here, is a child of
    /// `parent`, and ends with the stream or when that is dropped.
    pub(crate) fn start(
        self,
        parent: &Context,
    ) -> impl Stream<Item = Result<Token, Failure>> + use<> {
        let span = self.tracer.start_with_context("llm_core", parent);
        let running = Running {
            job: self,
            span,
            made: 0,
        };
        stream::unfold(Some(running), |running| async {
            let mut running = running?;
            match running.token().await? {
                Ok(token) => Some((Ok(token), Some(running))),
                Err(failure) => Some((Err(failure), None)),
            }
        })
    }
}

struct Running {
    job: Job,
    // The SDK ends a span that is dropped.
    span: Span,
    /// Tokens of all choices.
    made: u32,
}

impl Running {
    /// The next token; `None` if that was the last one.
    async fn token(&mut self) -> Option<Result<Token, Failure>> {
        let Job {
            behaviour,
            choices,
            tokens,
            finish_reason,
            ..
        } = self.job;
        let (nth, choice) = (self.made / choices, self.made % choices);
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
        self.made += 1;
        if self.made == 1 {
            self.span.add_event("first_token", Vec::new());
        }
        self.span
            .set_attribute(KeyValue::new("tokens", i64::from(self.made)));
        Some(Ok(Token {
            choice,
            text: usize::try_from(nth)
                .ok()
                .and_then(|nth| WORDS.get(nth))
                .expect("no more tokens than words"),
            is_first: nth == 0,
            finish_reason: (nth + 1 == tokens).then_some(finish_reason),
        }))
    }
}
