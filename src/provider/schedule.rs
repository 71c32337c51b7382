//! When to look for a global provider that was not there yet.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts requests. Due are the 1st, 2nd, 4th … one and then every 1,024th.
#[derive(Debug, Default)]
pub(crate) struct Schedule(AtomicU64);

/// How many requests pass at most until it is due again.
const EVERY: u64 = 1_024;

impl Schedule {
    pub(crate) fn is_due(&self) -> bool {
        let request = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        request.is_power_of_two() && request < EVERY || request.is_multiple_of(EVERY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_due_at_first_often_and_then_now_and_then() {
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
