//! A gateway in front of an LLM API, such as `examples/llm`. It passes requests on to the upstream, and responses
//! back, frame by frame.
//!
//! ```text
//! cargo run --example llm -- --addr 127.0.0.1:8000
//! cargo run --example gateway -- --upstream http://127.0.0.1:8000 --addr 127.0.0.1:8080
//! ```
//!
//! The layer's span `llm_request` describes the exchange with the client. Its child `llm_core`, a CLIENT span,
//! describes the call to the upstream. Its context is sent to the upstream, so the spans of both form one trace.

mod api;
mod args;
mod body;
mod core_span;
mod headers;
#[path = "../llm/serve.rs"]
mod serve;
#[path = "../llm/spans.rs"]
mod spans;
mod upstream;
mod usage;

use std::process::ExitCode;

fn main() -> ExitCode {
    serve::main(args::parse)
}
