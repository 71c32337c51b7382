//! The models, and how each behaves.

use std::time::Duration;

use crate::error::ApiError;
use crate::request::{Endpoint, LlmRequest};

/// The model that makes every answer, as answers name it.
pub(crate) const WEIGHTS: &str = "toy-8w";

/// The models in the model list.
pub(crate) const MODELS: [&str; 11] = [
    "toy",
    "llama-4",
    "slow",
    "waits",
    "lingers",
    "calls-a-tool",
    "fails-at-3",
    "truncates-at-3",
    "breaks-at-3",
    "stalls",
    "refuses",
];

const PAUSE: Duration = Duration::from_millis(5);
const LONG_PAUSE: Duration = Duration::from_millis(200);

/// How long the model `waits` works on its first token.
const WAITS_FOR: Duration = Duration::from_millis(400);
/// How long the model `lingers` keeps a stream open after its last event.
const LINGERS_FOR: Duration = Duration::from_secs(1);

/// The behaviour of a model.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Behaviour {
    /// The time per token.
    pub(crate) pause: Duration,
    /// How long it works on its first token, if clients need a keep-alive until then.
    pub(crate) waits: Option<Duration>,
    pub(crate) calls_a_tool: bool,
    /// How long a stream stays open after its last event.
    pub(crate) lingers: Duration,
    /// The number of tokens after which something goes wrong.
    pub(crate) fault: Option<(usize, Fault)>,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The engine reports an error.
    Fails,
    /// The response ends as if it were complete.
    Truncates,
    /// The connection breaks.
    Breaks,
    /// The engine generates no more tokens.
    Stalls,
}

impl Behaviour {
    /// Returns the behaviour of the requested model.
    ///
    /// # Errors
    ///
    /// If the model does not exist or rejects the request.
    pub(crate) fn for_request(request: &LlmRequest) -> Result<Self, ApiError> {
        let mut behaviour = Self {
            pause: PAUSE,
            waits: None,
            calls_a_tool: false,
            lingers: Duration::ZERO,
            fault: None,
        };
        match request.model.as_str() {
            "toy" | "llama-4" => {}
            "slow" => behaviour.pause = LONG_PAUSE,
            "waits" => behaviour.waits = Some(WAITS_FOR),
            "lingers" => behaviour.lingers = LINGERS_FOR,
            "calls-a-tool" if request.endpoint == Endpoint::Completions => {
                return Err(ApiError::invalid("completions have no tool calls"));
            }
            "calls-a-tool" => behaviour.calls_a_tool = true,
            "stalls" => behaviour.fault = Some((3, Fault::Stalls)),
            "refuses" => return Err(ApiError::invalid("this model rejects all requests")),
            model => {
                let fault = Fault::for_model(model);
                behaviour.fault = Some(fault.ok_or_else(|| ApiError::no_model(model))?);
            }
        }
        Ok(behaviour)
    }
}

impl Fault {
    /// Reads names such as `fails-at-3`.
    fn for_model(model: &str) -> Option<(usize, Self)> {
        let (name, at) = model.rsplit_once("-at-")?;
        let fault = match name {
            "fails" => Self::Fails,
            "truncates" => Self::Truncates,
            "breaks" => Self::Breaks,
            "stalls" => Self::Stalls,
            _ => return None,
        };
        Some((at.parse().ok()?, fault))
    }
}
