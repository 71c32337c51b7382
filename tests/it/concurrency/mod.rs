//! Handles that many threads use, while responses end in others: on all paths, with real threads.
//!
//! A lane serves one request after the other, and some speakers say all that a handle and its context
//! can say to the request that the lane is at. Of each thing it is known how often it was begun before
//! the end, and how often it was done before the last move that ends the request began: so it is known
//! what the span must have, what it may have, and what not.
//!
//! A short form runs with the other tests. The long form, for as many requests as one likes:
//!
//! ```sh
//! CONCURRENT_REQUESTS=200000 cargo test --test it -- concurrency
//! ```

mod lanes;
mod moves;
mod paths;
mod reckoning;
mod said;
mod spans;
mod speakers;

use std::collections::BTreeMap;

use tower_api_span::{ApiSpanLayer, LifecycleEvents};

use crate::support::recorder::w3c;
use lanes::Round;
use paths::PATHS;
use said::Verdicts;
use speakers::REASONS;

/// Requests that are served one after the other, at the same time as those of other lanes.
const LANES: usize = 2;
/// Threads that speak to the request that a lane is at.
const SPEAKERS: usize = 3;
/// What is kept of so many is looked over, and let go of.
const ROUND: usize = 400;

fn requests() -> usize {
    let given = std::env::var("CONCURRENT_REQUESTS").ok();
    given.map_or(2_400, |given| given.parse().expect("a number"))
}

#[test]
fn whatever_is_said_meanwhile_each_request_ends_once_and_all_that_tell_of_it_agree() {
    let mut outcomes = BTreeMap::<(&str, String), usize>::new();
    let (mut by_speaker, mut by_path, mut heard, mut raced) = (0, 0, 0, 0);
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
        for came in Round::new(layer).run(round) {
            heard += usize::from(came.was_heard);
            raced += usize::from(came.has_raced);
            if came.verdicts == Verdicts::Racing {
                let is_speakers = REASONS.iter().any(|reason| came.outcome.contains(reason));
                by_speaker += usize::from(is_speakers);
                by_path += usize::from(!is_speakers);
            }
            *outcomes.entry((came.path, came.outcome)).or_default() += 1;
        }
    }
    // Or else nobody has spoken in time, or nobody at the end, and the rules were held against nothing.
    for (what, count) in [
        ("heard before the last move", heard),
        ("spoken to during it", raced),
        ("decided by a speaker", by_speaker),
        ("decided by the end, though speakers gave verdicts", by_path),
    ] {
        println!("{count} were {what}");
        assert!(count > 0, "none was {what}");
    }
    for path in PATHS {
        let came_to = outcomes.keys().filter(|(name, _)| *name == path.name);
        let came_to = came_to.count();
        assert!(
            came_to > 1 || path.overrules,
            "{}: {outcomes:#?}",
            path.name
        );
    }
}
