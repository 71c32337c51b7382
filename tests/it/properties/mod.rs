//! Property tests: random scripts, compared with an oracle and with the bare service after each step.
//!
//! A script defines what client, service, body, handler and server do. It is played with the layer and
//! without: the server must observe the same. Each span must end when the [`oracle`] expects it, and
//! show what the oracle expects. The oracle shares no code with the layer.
//!
//! | property | random input |
//! |---|---|
//! | `single_request` | one request, with the layer or its preset for language models; with its completion |
//! | `request_bodies` | a request whose body fails, stays unread, is read in part, or is dropped |
//! | `agreement` | one request, and settings: span, metrics, log events, access log and completion agree |
//! | `servers` | a response and how a server reads it; without the oracle |
//! | `streams` | an event stream, cut anywhere |
//! | `llm_requests` | a request to an LLM API, cut anywhere |
//! | `llm_streams` | an answer of an LLM API in any format, also with changed bytes, cut anywhere |
//! | `interleaved` | up to five requests in any order, on a service and its clones |
//! | `metrics_and_logs` | the same, with metrics and log events |
//! | `stacked` | the same, through two layers, with metrics, access logs and completions |
//! | `unrecorded` | one request without a recorded span |
//! | `callers` | headers of a caller, settings, and the context around the layer |
//! | `propagators` | the same, with each released propagator, and lines that are forged, cut off or repeated |
//! | `proxies` | header lines of proxies: any lines, and any lines to the left of those of proxies |
//! | `connections` | up to five requests on one HTTP/2 connection, with resets |
//!
//! The global provider that is replaced while requests are served has a binary of its own, `global_sequences`.
//!
//! `cargo test --test it -- properties` runs some thousand cases of each, in 45 seconds of one core.
//! A million cases of a property find rare failures:
//!
//! ```sh
//! PROPTEST_CASES=1000000 cargo test --release --test it -- properties::single_request
//! ```
//!
//! A million cases of `callers`, `propagators`, `servers` or one of `proxies` take half a minute of one core; of
//! `llm_requests` one; of `agreement`, `request_bodies`, `single_request`, `streams` or `unrecorded` three; of
//! `connections`, `interleaved`, `metrics_and_logs` or `stacked` seven to ten; of `llm_streams` 45 minutes; of all
//! (`properties`) an hour and a half.
//!
//! A failing case is written to `*.regressions` beside the file and tried first in later runs. It is kept
//! as a script in `regressions`, because a seed produces another case once the strategies change.

mod agreement;
mod callers;
mod completions;
mod connections;
mod event_streams;
mod handler;
mod interleaved;
mod llm_requests;
mod llm_streams;
mod log_lines;
mod measured;
mod metrics_and_logs;
#[path = "../../oracle/mod.rs"]
#[expect(dead_code, reason = "the fuzz targets use the rest")]
mod oracle;
mod play;
mod propagators;
mod proxies;
mod regressions;
mod request;
mod request_bodies;
mod script;
mod servers;
mod signals;
mod single_request;
mod stacked;
mod strategies;
mod streams;
mod unrecorded;

use proptest::prelude::*;
use proptest::test_runner::{FileFailurePersistence, RngSeed};

/// Returns the configuration for `PROPTEST_CASES` cases, or for `cases` if it is not set.
///
/// Without that the cases are the same in each run, so that a run of CI depends on the commit alone. With it, or with
/// `PROPTEST_RNG_SEED`, they are others.
fn config(cases: u32) -> ProptestConfig {
    let persistence = FileFailurePersistence::WithSource("regressions");
    let default = ProptestConfig::default();
    let is_set = |name| std::env::var_os(name).is_some();
    let is_long = is_set("PROPTEST_CASES");
    ProptestConfig {
        cases: if is_long { default.cases } else { cases },
        rng_seed: if is_long || is_set("PROPTEST_RNG_SEED") {
            default.rng_seed
        } else {
            RngSeed::Fixed(1)
        },
        failure_persistence: Some(Box::new(persistence)),
        ..default
    }
}
