//! Schedules the lookup of a global provider until it is set.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// A tracer or instruments of a global provider, kept once they are found.
///
/// A tracer from before the provider is set would stay a no-op. A lookup at every request would cost a lock
/// and an allocation.
#[derive(Debug)]
pub(crate) struct Lookup<T> {
    found: OnceLock<T>,
    schedule: Schedule,
}

impl<T> Default for Lookup<T> {
    fn default() -> Self {
        Self {
            found: OnceLock::new(),
            schedule: Schedule::default(),
        }
    }
}

impl<T> Lookup<T> {
    pub(crate) fn found(&self) -> Option<&T> {
        self.found.get()
    }

    /// Whether this request looks for the provider. Counts the request.
    pub(crate) fn is_due(&self) -> bool {
        self.schedule.is_due()
    }

    /// Keeps the value, unless another request was faster. Returns the kept value.
    pub(crate) fn keep(&self, found: T) -> &T {
        self.found.get_or_init(|| found)
    }
}

/// A count of requests. The 1st, 2nd, 4th, … 512th is due, and then every 1,024th.
#[derive(Debug, Default)]
pub(crate) struct Schedule(AtomicU64);

/// The largest distance between two requests that are due.
const PERIOD: u64 = 1_024;

impl Schedule {
    pub(crate) fn is_due(&self) -> bool {
        let request = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        request.is_power_of_two() && request < PERIOD || request.is_multiple_of(PERIOD)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_due_at_powers_of_two_and_then_periodically() {
        let schedule = Schedule::default();
        let due: Vec<_> = (1..=4_096).filter(|_| schedule.is_due()).collect();
        assert_eq!(
            due,
            [
                1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 2_048, 3_072, 4_096
            ]
        );
    }
}
