//! Tests the set of learnt gRPC methods, to which requests add at the same time.

use opentelemetry::StringValue;

use crate::explore::{Rule, spawn};
use crate::recording::learnt_methods::MethodSet;
use crate::standard::sync::Arc;

pub const RULES: &[Rule] = &[
    Rule {
        name: "a method that was added is found, by whichever threads it is added",
        model: || add(2, [&["a", "b"], &["b"]]),
        outcomes: &["[2, 1]"],
    },
    Rule {
        name: "a set of one method has one, whichever thread adds first",
        model: || add(1, [&["a", "b"], &["b"]]),
        outcomes: &["[1, 0]", "[1, 1]"],
    },
];

/// Adds the names in two threads to a set with one bucket. Returns how many each thread could add.
fn add(limit: usize, names: [&'static [&'static str]; 2]) -> String {
    let set = Arc::new(MethodSet::new(limit));
    let threads = names.map(|names| {
        let set = Arc::clone(&set);
        spawn(move || {
            let add = |name: &&'static str| {
                let is_added = set.add(&StringValue::from(*name));
                assert!(!is_added || set.find(name).is_some());
                is_added
            };
            names.iter().filter(|name| add(name)).count()
        })
    });
    let added = threads.map(|thread| thread.join().expect("the thread does not panic"));
    let found = ["a", "b"]
        .iter()
        .filter(|name| set.find(name).is_some())
        .count();
    assert!(found <= limit && added.iter().all(|added| *added <= found));
    format!("{added:?}")
}
