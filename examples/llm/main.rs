//! An LLM API in front of a toy engine, behind the layer's LLM preset. It speaks the APIs of `OpenAI` (chat
//! completions, completions, responses) and of Anthropic (messages).
//!
//! ```text
//! cargo run --example llm -- --addr 127.0.0.1:8000
//! ```
//!
//! Spans are printed when they end, or written to a file as lines of JSON. `--help` lists the models. Wrong
//! arguments give exit code 2.

mod api;
mod args;
mod engine;
mod error;
mod format;
mod models;
mod reply;
mod request;
mod serve;
mod spans;

use std::process::ExitCode;

fn main() -> ExitCode {
    serve::main(args::parse)
}
