//! Random scripts against the model, and against the bare service, step by step.
//!
//! `PROPTEST_CASES` sets the number of cases. What was once found is in `*.regressions` beside the
//! files and is tried first.

mod actor;
mod callers;
mod connections;
mod core;
mod crowd;
mod events;
mod ledger;
mod model;
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
