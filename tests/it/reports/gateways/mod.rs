//! Gateways, engines and client libraries of language models, and propagators.

mod endings;
mod endpoints;
mod exchange;
mod failures;
mod framing;
mod models;
mod propagators;
mod tokens;
mod usage;
