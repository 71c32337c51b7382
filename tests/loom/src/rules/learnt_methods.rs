//! Tests the set of learnt gRPC methods, to which requests add at the same time.

use crate::explore::{Rule, spawn};
use crate::recording::name_set::NameSet;
use crate::standard::sync::Arc;

pub const RULES: &[Rule] = &[
    Rule {
        name: "two methods that are added to the end of one list at the same time are both found",
        model: || add(4, ["a", "b"], 2),
        outcomes: &["[true, true]"],
    },
    Rule {
        name: "a method that is added twice at the same time is in the set once",
        model: || add(4, ["a", "a"], 1),
        outcomes: &["[true, true]"],
    },
    Rule {
        name: "a set of one method has one, whichever is added first",
        model: || add(1, ["a", "b"], 1),
        outcomes: &["[false, true]", "[true, false]"],
    },
];

/// Adds a name in each of two threads to a set with one bucket. Returns which are in the set.
fn add(limit: usize, names: [&'static str; 2], expected: usize) -> String {
    let set = Arc::new(NameSet::new(limit, 256));
    let threads = names.map(|name| {
        let set = Arc::clone(&set);
        spawn(move || {
            let is_added = set.add(&Arc::from(name));
            assert!(!is_added || set.find(name).is_some());
            is_added
        })
    });
    let added = threads.map(|thread| thread.join().expect("the thread does not panic"));
    let found = ["a", "b"]
        .into_iter()
        .filter(|name| set.find(name).is_some());
    assert_eq!(found.count(), expected);
    format!("{added:?}")
}
