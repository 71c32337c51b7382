//! Handles that many threads use while responses end in other threads, on all paths.
//!
//! A worker serves one request after the other. Tasks call every method of the handle and its context on
//! the worker's current request. Two counts of each method decide what the span must, may and must not
//! contain: the calls that began before the end, and those that returned before the last step.
//!
//! A short form runs with the other tests. The long form serves any number of requests:
//!
//! ```sh
//! CONCURRENT_REQUESTS=200000 cargo test --test it -- concurrency
//! ```

mod calls;
mod exchange;
mod paths;
mod recorders;
mod request;
mod spans;
mod workers;

use std::collections::BTreeMap;

use tower_api_span::{ApiSpanLayer, LifecycleEvents};

use crate::support::recorder::w3c;
use calls::REASONS;
use paths::PATHS;
use request::Verdicts;
use workers::Round;

/// How many workers serve requests at the same time.
const WORKERS: usize = 2;
/// How many threads make calls on the current request of a worker.
const TASKS: usize = 3;
/// How many requests are served before they are checked and released.
const ROUND: usize = 400;

fn requests() -> usize {
    let given = std::env::var("CONCURRENT_REQUESTS").ok();
    given.map_or(2_400, |given| given.parse().expect("a number"))
}

#[test]
fn requests_with_concurrent_handle_calls_end_once_and_all_signals_agree() {
    let mut outcomes = BTreeMap::<(&str, String), usize>::new();
    let (mut by_task, mut by_path, mut in_time, mut raced) = (0, 0, 0, 0);
    for round in 0..requests().div_ceil(ROUND) {
        let layer = if round % 2 == 0 {
            ApiSpanLayer::llm()
        } else {
            ApiSpanLayer::new().stream_terminator("[DONE]")
        };
        let layer = layer
            .propagator(w3c())
            .active_requests(true)
            .body_sizes(true)
            .lifecycle_events(LifecycleEvents::Both);
        for checked in Round::new(layer).run(round) {
            in_time += usize::from(checked.has_calls_in_time);
            raced += usize::from(checked.has_raced);
            if checked.verdicts == Verdicts::Racing {
                let is_tasks = REASONS
                    .iter()
                    .any(|reason| checked.outcome.contains(reason));
                by_task += usize::from(is_tasks);
                by_path += usize::from(!is_tasks);
            }
            *outcomes.entry((checked.path, checked.outcome)).or_default() += 1;
        }
    }
    // Without these cases the rules would not be tested.
    for (case, count) in [
        ("had calls before the last step", in_time),
        ("had calls during the last step", raced),
        ("were decided by a task", by_task),
        (
            "were decided by the end, though tasks gave verdicts",
            by_path,
        ),
    ] {
        println!("{count} requests {case}");
        assert!(count > 0, "no requests {case}");
    }
    for path in PATHS {
        let names = outcomes.keys().filter(|(name, _)| *name == path.name);
        assert!(
            names.count() > 1 || path.overrides_verdicts,
            "{}: {outcomes:#?}",
            path.name
        );
    }
}
