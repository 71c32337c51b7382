//! The results of a run.

mod faults;
mod format;
mod table;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::memory::Memory;
use crate::metrics::MetricSums;
use crate::paths::{PATHS, Path, Protocol};
use crate::tag::kind;

pub(crate) use format::{grouped, growth};

/// The results of a run.
pub(crate) struct Figures {
    /// The number of requests to make.
    pub(crate) requested: u64,
    /// Whether the run was stopped because a task did not end with its round.
    pub(crate) is_stuck: bool,
    /// Requests made, per kind.
    pub(crate) made: Vec<u64>,
    /// The spans of the outer and of the inner layer.
    pub(crate) spans: [Spans; 2],
    /// Unexpected responses, with their counts.
    pub(crate) unexpected_responses: BTreeMap<String, u64>,
    /// Requests about which the observers and the spans agree.
    pub(crate) agreed: u64,
    /// Those about which they do not.
    pub(crate) disagreements: BTreeMap<String, u64>,
    /// Calls of the callback that gets each request that has ended, by outcome.
    pub(crate) completions: BTreeMap<String, u64>,
    /// Lines of the access log, by outcome.
    pub(crate) lines: BTreeMap<String, u64>,
    pub(crate) log_events: u64,
    pub(crate) measured: MetricSums,
    /// Requests after the warm-up, and their duration.
    pub(crate) counted: u64,
    pub(crate) took: Duration,
    /// After the warm-up, and at the end.
    pub(crate) before: Memory,
    pub(crate) after: Memory,
}

/// The spans of one layer.
#[derive(Clone)]
pub(crate) struct Spans {
    pub(crate) starts: u64,
    pub(crate) ends: u64,
    /// Spans that have what is expected, per kind.
    pub(crate) as_expected: Vec<u64>,
    /// What others have, with its count.
    pub(crate) unexpected: BTreeMap<String, u64>,
}

impl Figures {
    fn requests(&self) -> u64 {
        self.made.iter().sum()
    }

    /// Returns the number of requests of a path.
    fn made_on(&self, nth: usize) -> u64 {
        let made = Protocol::ALL.map(|protocol| self.made[kind(nth, protocol)]);
        made.iter().sum()
    }

    /// Returns the number of requests of the paths for which the callback returns true.
    fn made_where(&self, is_counted: fn(&Path) -> bool) -> u64 {
        let paths = PATHS.iter().enumerate();
        let counted = paths.filter(|(_, path)| is_counted(path));
        counted.map(|(nth, _)| self.made_on(nth)).sum()
    }

    /// Returns the requests made, by their intended outcome.
    fn expected_outcomes(&self) -> BTreeMap<String, u64> {
        let mut expected = BTreeMap::new();
        for (nth, path) in PATHS.iter().enumerate() {
            let all = expected.entry(path.end.outcome.to_owned()).or_default();
            *all += self.made_on(nth);
        }
        expected.retain(|_, made| *made > 0);
        expected
    }

    fn memory(&self) -> [(&'static str, [Option<u64>; 2]); 3] {
        let values = |value: fn(&Memory) -> Option<u64>| [value(&self.before), value(&self.after)];
        [
            ("resident bytes", values(|memory| memory.resident)),
            ("allocated bytes", values(|memory| Some(memory.live_bytes))),
            ("allocations", values(|memory| Some(memory.live))),
        ]
    }
}
