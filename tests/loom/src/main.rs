//! Checks the crate's own files with loom, which tries all thread interleavings, and all values that
//! their atomics may return.
//!
//! `cargo run --locked --manifest-path tests/loom/Cargo.toml` checks all rules. Arguments after `--`
//! select the rules whose names contain one of them.
//!
//! The crate has no code for loom. Its files use `std`, which is `lib.rs` here: the standard library with
//! loom's locks and atomics. A new lock in a file of the crate needs no change here. A new module at the
//! root of the crate needs its line below.
//!
//! The threads of a model are coroutines on one thread. So they share thread-local state, and must not
//! yield while they hold a lock that is not loom's. Loom may yield at each operation on its own types. So a
//! model attaches no context around such an operation, and does not use the span of a `Context`, which
//! the API wraps in a lock.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "the models use a part of the crate"
)]

extern crate std as standard;
extern crate tower_api_span_loom as std;

mod explore;
mod recording_tracer;
mod rules;
mod service;

/// The unchanged source of the crate.
#[path = "../../../src"]
mod crate_files {
    pub(crate) mod catch_panic;
    pub(crate) mod exchange;
    pub(crate) mod handle;
    pub(crate) mod layer;
    pub(crate) mod middleware;
    pub(crate) mod outcome;
    pub(crate) mod propagation;
    pub(crate) mod protocol;
    pub(crate) mod provider;
    pub(crate) mod recording;
    pub(crate) mod semconv;
    pub(crate) mod settings;
    pub(crate) mod telemetry;
    pub(crate) mod text;
}
#[allow(
    clippy::wildcard_imports,
    reason = "the files import from the root of the crate"
)]
pub(crate) use crate_files::*;

pub use handle::SpanHandle;
pub use handle::gen_ai::GenAi;
pub use layer::ApiSpanLayer;
pub use middleware::body::ResponseBody;
pub use middleware::future::ResponseFuture;
pub use middleware::request_body::{RequestBody, RequestBodyLayer, RequestBodyService};
pub use middleware::service::ApiSpan;
pub use outcome::lifecycle::LifecycleEvents;
pub use outcome::{Aborted, Completion, End, Outcome, Stage, Verdict, classify};
pub use protocol::grpc::{GrpcCode, GrpcStatus, Protocol};
pub use protocol::http::forwarded::ProxyHeaders;
pub use settings::streams::StreamDurations;

fn main() {
    let words: Vec<_> = std::env::args().skip(1).collect();
    let is_selected = |rule: &&explore::Rule| {
        words.is_empty() || words.iter().any(|word| rule.name.contains(word.as_str()))
    };
    let rules: Vec<_> = rules::all().filter(is_selected).collect();
    for rule in &rules {
        rule.check();
    }
    assert!(!rules.is_empty(), "no rule has such a name");
    println!("{} rules hold", rules.len());
}
