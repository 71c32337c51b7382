//! When to look for a global provider.

use crate::explore::{Rule, spawn};
use crate::provider::schedule::Schedule;
use crate::standard::sync::Arc;

pub const RULES: &[Rule] = &[
    Rule {
        name: "of the first six requests three are due, whoever serves them",
        model: || due(0, [2, 2, 2], 3),
        comes_to: &[
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
        name: "of requests 1,023 to 1,026 one is due, whoever serves them",
        model: || due(1_022, [1, 2, 1], 1),
        comes_to: &["[0, 0, 1]", "[0, 1, 0]", "[1, 0, 0]"],
    },
];

/// How many requests are due to each of three threads, after so many.
fn due(before: usize, requests: [usize; 3], expected: usize) -> String {
    let schedule = Arc::new(Schedule::default());
    for _ in 0..before {
        schedule.is_due();
    }
    let threads = requests.map(|requests| {
        let schedule = Arc::clone(&schedule);
        spawn(move || (0..requests).filter(|_| schedule.is_due()).count())
    });
    let due = threads.map(|thread| thread.join().expect("the thread has run"));
    assert_eq!(due.iter().sum::<usize>(), expected, "{due:?}");
    format!("{due:?}")
}
