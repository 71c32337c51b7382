//! All that records: the providers of both layers, the access log, the callback at the end, and the observers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::ledger::Ledger;
use crate::lines::Lines;
use crate::logs::Logs;
use crate::metrics::Metrics;
use crate::verdicts::{Place, Verdicts};

#[derive(Clone)]
pub(crate) struct Signals {
    pub(crate) outer: Ledger,
    pub(crate) inner: Ledger,
    pub(crate) metrics: Metrics,
    pub(crate) logs: Logs,
    pub(crate) lines: Lines,
    pub(crate) completions: Counts,
    pub(crate) verdicts: Verdicts,
}

impl Signals {
    pub(crate) fn new() -> Self {
        let verdicts = Verdicts::new();
        Self {
            outer: Ledger::new(Place::Outer, verdicts.clone()),
            inner: Ledger::new(Place::Inner, verdicts.clone()),
            metrics: Metrics::new(),
            logs: Logs::new(),
            lines: Lines::default(),
            completions: Counts::default(),
            verdicts,
        }
    }

    /// Whether all spans have ended.
    pub(crate) fn is_idle(&self) -> bool {
        let mut ledgers = [&self.outer, &self.inner].into_iter();
        ledgers.all(|ledger| ledger.starts() == ledger.ends())
    }
}

/// Counts by a name, such as an outcome.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts(Arc<Mutex<BTreeMap<String, u64>>>);

impl Counts {
    pub(crate) fn count(&self, name: String) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(name).or_default() += 1;
    }

    pub(crate) fn get(&self) -> BTreeMap<String, u64> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.clone()
    }
}
