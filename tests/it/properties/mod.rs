//! Random scripts against models, and against the bare service, step by step.
//!
//! A script says what request, service, body, handler and reader do. It is played with the layer and
//! without; the reader must see the same, and each span must end when and as a model says that knows
//! nothing of the layer's code.
//!
//! | property | what is made up |
//! |---|---|
//! | `core` | one request, with the layer or its preset for language models |
//! | `readers` | a response and how a server reads it; no model |
//! | `streams` | an event stream, cut anywhere |
//! | `crowd` | up to five requests at once in any order, by a service and its clones |
//! | `told` | the same, with metrics and log events |
//! | `stacked` | the same, in two layers |
//! | `unseen` | one request that no span is recorded of |
//! | `callers` | headers of a caller, settings, and what is current around the layer |
//! | `proxies` | header lines of proxies: any, and any left of what proxies add |
//! | `connections` | up to five requests on one HTTP/2 connection, with resets |
//!
//! The short form is what `cargo test --test it -- properties` runs: some thousand cases each, 25
//! seconds of one core. The long form is a million cases a property, which find what is rare:
//!
//! ```sh
//! PROPTEST_CASES=1000000 cargo test --release --test it -- properties::core
//! ```
//!
//! A million of `callers`, `readers` or one of `proxies` is half a minute of one core;
//! of `core`, `streams` or `unseen` a minute; of `connections`, `crowd`, `told` or `stacked` three; all
//! of them (`properties`) a quarter of an hour.
//!
//! What is found is written to `*.regressions` beside the file and tried first from then on. It stays as a
//! script in `found`, which means the same when more is made up.

mod actor;
mod callers;
mod connections;
mod core;
mod crowd;
mod events;
mod found;
mod ledger;
#[path = "../../oracle/mod.rs"]
#[expect(dead_code, reason = "the fuzz targets use the rest")]
mod oracle;
mod play;
mod proxies;
mod readers;
mod script;
mod scripts;
mod stacked;
mod streams;
mod told;
mod unseen;

use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

/// `PROPTEST_CASES` cases, or so many if it is not set.
fn config(cases: u32) -> ProptestConfig {
    let persistence = FileFailurePersistence::WithSource("regressions");
    let default = ProptestConfig::default();
    ProptestConfig {
        cases: std::env::var("PROPTEST_CASES").map_or(cases, |_| default.cases),
        failure_persistence: Some(Box::new(persistence)),
        ..default
    }
}
