//! The crate's own files under loom, which tries all orders that their threads can run in, and all
//! values that their atomics may show.
//!
//! `cargo run --locked --manifest-path tests/loom/Cargo.toml` checks all rules; words after `--` choose
//! those whose names contain one of them.
//!
//! Nothing of the crate is written for this. Its files say `std`, and here that is `lib.rs`: the
//! standard library with loom's locks and atomics in place of its own. A lock that a file of the
//! crate is to have next needs nothing here; a new file needs its line below.
//!
//! Threads of a model are coroutines of one thread. So they share what is thread-local, and must not be
//! stopped where they hold a lock that is not loom's: a model neither has a context attached while it
//! does something that loom sees, nor goes by the span of a `Context`, which has a lock of the API's
//! around it.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "what only users of the crate need is unused here"
)]

extern crate std as standard;
extern crate tower_api_span_loom as std;

mod explore;
mod rules;
mod served;
mod watched;

/// The crate, as it is.
#[path = "../../../src"]
mod crate_files {
    pub(crate) mod attributes;
    pub(crate) mod authority;
    pub(crate) mod body;
    pub(crate) mod config;
    pub(crate) mod contain;
    pub(crate) mod delivery;
    pub(crate) mod forwarded;
    pub(crate) mod future;
    pub(crate) mod gen_ai;
    pub(crate) mod grpc;
    pub(crate) mod grpc_web;
    pub(crate) mod handle;
    pub(crate) mod headers;
    pub(crate) mod hook;
    pub(crate) mod inside;
    pub(crate) mod keyed;
    pub(crate) mod layer;
    pub(crate) mod lifecycle;
    pub(crate) mod logs;
    pub(crate) mod methods;
    pub(crate) mod metrics;
    pub(crate) mod outcome;
    pub(crate) mod propagation;
    pub(crate) mod query;
    pub(crate) mod request_body;
    pub(crate) mod sampling;
    pub(crate) mod schedule;
    pub(crate) mod semconv;
    pub(crate) mod service;
    pub(crate) mod slot;
    pub(crate) mod span;
    pub(crate) mod sse;
    pub(crate) mod summary;
    pub(crate) mod text;
    pub(crate) mod timeline;
    pub(crate) mod told;
    pub(crate) mod trace_headers;
    pub(crate) mod tracer;
}
#[allow(clippy::wildcard_imports, reason = "its root is here")]
pub(crate) use crate_files::*;

pub use body::ResponseBody;
pub use forwarded::ProxyHeaders;
pub use future::ResponseFuture;
pub use gen_ai::GenAi;
pub use grpc::{GrpcCode, GrpcStatus, Protocol};
pub use handle::SpanHandle;
pub use layer::ApiSpanLayer;
pub use lifecycle::LifecycleEvents;
pub use metrics::StreamDurations;
pub use outcome::{Aborted, End, Head, Outcome, Stage, Verdict, classify};
pub use request_body::{CountRequestBody, CountRequestBodyLayer, CountedBody};
pub use service::ApiSpan;

fn main() {
    let words: Vec<_> = std::env::args().skip(1).collect();
    let is_chosen = |rule: &&explore::Rule| {
        words.is_empty() || words.iter().any(|word| rule.name.contains(word.as_str()))
    };
    let rules: Vec<_> = rules::all().filter(is_chosen).collect();
    for rule in &rules {
        rule.check();
    }
    assert!(!rules.is_empty(), "no rule is named so");
    println!("{} rules hold", rules.len());
}
