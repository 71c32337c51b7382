//! Tests that the latest lookup of a provider wins.

use loom::sync::atomic::AtomicUsize;
use loom::sync::atomic::Ordering::SeqCst;

use crate::explore::{Milestone, Rule, spawn};
use crate::provider::lookup::Latest;
use crate::standard::sync::Arc;

pub const RULES: &[Rule] = &[Rule {
    name: "a lookup that begins after a provider was replaced finds the new one for all later requests",
    model: replaced,
    outcomes: &["new", "old"],
}];

/// A provider that is replaced while two requests look.
struct Process {
    provider: AtomicUsize,
    latest: Latest<usize>,
    replaced: Milestone,
}

const OLD: usize = 1;
const NEW: usize = 2;

impl Process {
    /// Looks the provider up. Returns whether it was replaced before, and what the lookup has found.
    fn look(&self) -> (bool, usize) {
        let is_after = self.replaced.is_reached();
        let lookup = self.latest.begin();
        // A load may return a stale value. The API reads the provider under a lock.
        let found = self.provider.fetch_add(0, SeqCst);
        let kept = self.latest.keep(lookup, found);
        (is_after, kept.value)
    }

    fn latest(&self) -> Option<usize> {
        self.latest.get().as_ref().map(|found| found.value)
    }
}

fn replaced() -> String {
    let process = Arc::new(Process {
        provider: AtomicUsize::new(OLD),
        latest: Latest::default(),
        replaced: Milestone::new(),
    });
    let slow = {
        let process = Arc::clone(&process);
        spawn(move || process.look())
    };
    process.provider.swap(NEW, SeqCst);
    process.replaced.reach();
    let (is_after, found) = process.look();
    assert!(is_after && found == NEW);
    assert_eq!(process.latest(), Some(NEW), "also while the other looks");
    let (is_after, found) = slow.join().expect("the thread does not panic");
    assert!(!is_after || found == NEW);
    assert_eq!(
        process.latest(),
        Some(NEW),
        "a slow lookup does not bring the old one back"
    );
    if found == OLD { "old" } else { "new" }.to_owned()
}
