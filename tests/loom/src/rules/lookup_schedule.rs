//! Tests which requests look for a global provider.

use crate::explore::{Rule, spawn};
use crate::provider::lookup::Schedule;
use crate::standard::sync::Arc;

pub const RULES: &[Rule] = &[
    Rule {
        name: "three of the first six requests are due, on whatever threads they are",
        model: || count_due(0, [2, 2, 2], 3),
        outcomes: &[
            "[0, 1, 2]",
            "[0, 2, 1]",
            "[1, 0, 2]",
            "[1, 1, 1]",
            "[1, 2, 0]",
            "[2, 0, 1]",
            "[2, 1, 0]",
        ],
    },
    Rule {
        name: "one of requests 1,023 to 1,026 is due, on whatever threads they are",
        model: || count_due(1_022, [1, 2, 1], 1),
        outcomes: &["[0, 0, 1]", "[0, 1, 0]", "[1, 0, 0]"],
    },
];

/// Counts the due requests of three threads, after `before` requests.
fn count_due(before: usize, requests: [usize; 3], expected: usize) -> String {
    let schedule = Arc::new(Schedule::default());
    for _ in 0..before {
        schedule.is_due();
    }
    let threads = requests.map(|requests| {
        let schedule = Arc::clone(&schedule);
        spawn(move || (0..requests).filter(|_| schedule.is_due()).count())
    });
    let due = threads.map(|thread| thread.join().expect("the thread does not panic"));
    assert_eq!(due.iter().sum::<usize>(), expected, "{due:?}");
    format!("{due:?}")
}
