//! The crate's own files under loom, which tries all orders that their threads can run in, and all
//! values that their atomics may show.
//!
//! `cargo run --locked --manifest-path tests/loom/Cargo.toml` checks all rules; words after `--` choose
//! those whose names catch_panic one of them.
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
#[allow(clippy::wildcard_imports, reason = "its root is here")]
pub(crate) use crate_files::*;

pub use handle::SpanHandle;
pub use handle::gen_ai::GenAi;
pub use layer::ApiSpanLayer;
pub use middleware::body::ResponseBody;
pub use middleware::future::ResponseFuture;
pub use middleware::request_body::{CountRequestBody, CountRequestBodyLayer, CountedBody};
pub use middleware::service::ApiSpan;
pub use outcome::lifecycle::LifecycleEvents;
pub use outcome::{Aborted, End, Head, Outcome, Stage, Verdict, classify};
pub use protocol::grpc::{GrpcCode, GrpcStatus, Protocol};
pub use protocol::http::forwarded::ProxyHeaders;
pub use telemetry::metrics::StreamDurations;

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
