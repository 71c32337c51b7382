//! Schedules the lookups of a global provider, and keeps what the latest one has found.
//!
//! A lookup takes the API's lock and allocates, so few requests look. Until a provider is set, [`Schedule`] selects
//! them. Afterwards [`Renewal`] does, because the application may replace the provider.

// Not `std`, as for the pointer beside it: loom would try many more orders.
use core::sync::atomic::AtomicBool;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwapOption, Guard};

use crate::recording::clock::now;

/// What the latest lookup has found. Reading it takes no lock, and nothing older is kept alive.
#[derive(Debug)]
pub(crate) struct Latest<T> {
    found: ArcSwapOption<Found<T>>,
    /// Whether there is a finding. Without one, a request reads no more than this.
    has_found: AtomicBool,
    lookups: AtomicU64,
}

/// What a lookup has found.
#[derive(Debug)]
pub(crate) struct Found<T> {
    lookup: u64,
    pub(crate) value: T,
}

/// A lookup that has begun.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lookup {
    number: u64,
    /// The number of the lookup whose finding was the latest when this one began; 0 if there was none.
    latest: u64,
}

impl<T> Default for Latest<T> {
    fn default() -> Self {
        Self {
            found: ArcSwapOption::empty(),
            has_found: AtomicBool::new(false),
            lookups: AtomicU64::new(0),
        }
    }
}

impl<T> Latest<T> {
    pub(crate) fn get(&self) -> Guard<Option<Arc<Found<T>>>> {
        if self.has_found.load(Ordering::Acquire) {
            self.found.load()
        } else {
            Guard::from_inner(None)
        }
    }

    /// Begins a lookup. Call it before the provider is read: its place among all lookups is that of its beginning.
    pub(crate) fn begin(&self) -> Lookup {
        Lookup {
            number: self.lookups.fetch_add(1, Ordering::Relaxed) + 1,
            latest: self.get().as_ref().map_or(0, |found| found.lookup),
        }
    }

    /// Keeps what a lookup has found, unless one that began later was faster. So a provider that a slow request has
    /// read before it was replaced does not come back.
    pub(crate) fn keep(&self, lookup: Lookup, value: T) -> Arc<Found<T>> {
        let found = Arc::new(Found {
            lookup: lookup.number,
            value,
        });
        self.found.rcu(|latest| match latest {
            Some(latest) if latest.lookup > found.lookup => Some(Arc::clone(latest)),
            _ => Some(Arc::clone(&found)),
        });
        self.has_found.store(true, Ordering::Release);
        found
    }

    /// Keeps what a lookup has found, unless another was kept since it began. Keep that there is no provider in this
    /// way: the lookup may have read before the provider was set that another has found.
    pub(crate) fn keep_if_unchanged(&self, lookup: Lookup, value: T) {
        let found = Arc::new(Found {
            lookup: lookup.number,
            value,
        });
        self.found.rcu(|latest| {
            let number = latest.as_ref().map_or(0, |latest| latest.lookup);
            if number == lookup.latest {
                Some(Arc::clone(&found))
            } else {
                latest.clone()
            }
        });
        self.has_found.store(true, Ordering::Release);
    }
}

impl<T> Found<T> {
    /// Returns the number of the lookup, from 1.
    pub(crate) fn number(&self) -> u64 {
        self.lookup
    }

    /// Returns the lookup that replaces this finding, if it is still the latest.
    pub(crate) fn successor(&self) -> Lookup {
        Lookup {
            number: self.lookup,
            latest: self.lookup,
        }
    }
}

/// A count of requests. The 1st, 2nd, 4th, … 512th is due, and then every 1,024th.
#[derive(Debug, Default)]
pub(crate) struct Schedule(AtomicU64);

/// The largest distance between two requests that are due.
const PERIOD: u64 = 1_024;

/// Describes a global provider that was set after requests were served.
pub(crate) const NOT_YET_FOUND: &str = "global, set, found by one of the next 1,024 requests";

impl Schedule {
    pub(crate) fn is_due(&self) -> bool {
        let request = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        request.is_power_of_two() && request < PERIOD || request.is_multiple_of(PERIOD)
    }

    /// Whether a request was counted.
    pub(crate) fn has_begun(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }

    /// Begins again at the first request.
    pub(crate) fn restart(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

/// Selects the requests that look again for a provider that was found: every 1,024th, and the first one a second or
/// more after the last such request.
#[derive(Debug)]
pub(crate) struct Renewal {
    created: Instant,
    requests: AtomicU64,
    /// Milliseconds since the creation.
    due_at: AtomicU64,
}

impl Default for Renewal {
    fn default() -> Self {
        Self {
            created: now(),
            requests: AtomicU64::new(0),
            due_at: AtomicU64::new(0),
        }
    }
}

impl Renewal {
    const INTERVAL: Duration = Duration::from_secs(1);

    /// Whether a request that starts at this moment looks again. Counts the request.
    pub(crate) fn is_due(&self, moment: Instant) -> bool {
        let request = self.requests.fetch_add(1, Ordering::Relaxed) + 1;
        let due_at = self.due_at.load(Ordering::Relaxed);
        let is_late = self.milliseconds(moment) >= due_at && {
            let next = self.milliseconds(moment + Self::INTERVAL);
            // One of the requests that are late at the same time looks.
            let claimed =
                self.due_at
                    .compare_exchange(due_at, next, Ordering::Relaxed, Ordering::Relaxed);
            claimed.is_ok()
        };
        is_late || request.is_multiple_of(PERIOD)
    }

    /// Waits for the whole interval again: a request that starts at this moment has looked.
    pub(crate) fn restart(&self, moment: Instant) {
        let next = self.milliseconds(moment + Self::INTERVAL);
        self.due_at.store(next, Ordering::Relaxed);
    }

    fn milliseconds(&self, moment: Instant) -> u64 {
        let time = moment.saturating_duration_since(self.created);
        time.as_secs() * 1_000 + u64::from(time.subsec_millis())
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

    #[test]
    fn a_request_looks_again_after_a_period_or_a_second() {
        let renewal = Renewal::default();
        let start = renewal.created;
        renewal.restart(start);
        let due: Vec<_> = (1..=3_000).filter(|_| renewal.is_due(start)).collect();
        assert_eq!(due, [1_024, 2_048], "the clock stands still");

        let renewal = Renewal::default();
        renewal.restart(start);
        let after = |milliseconds| start + Duration::from_millis(milliseconds);
        for (milliseconds, is_due) in [
            (999, false),
            (1_000, true),
            (1_000, false),
            (1_999, false),
            (5_000, true),
            (5_001, false),
            // The clock of a slower request.
            (4_000, false),
            (6_000, true),
        ] {
            assert_eq!(
                renewal.is_due(after(milliseconds)),
                is_due,
                "{milliseconds} ms"
            );
        }
    }

    #[test]
    fn the_lookup_that_began_last_is_kept() {
        let latest = Latest::default();
        let get = || latest.get().as_ref().map(|found| found.value);
        assert_eq!(get(), None);
        let [slow, fast] = [latest.begin(), latest.begin()];
        assert_eq!(latest.keep(fast, "fast").value, "fast");
        assert_eq!(
            latest.keep(slow, "slow").value,
            "slow",
            "used by its request"
        );
        assert_eq!(get(), Some("fast"));
        latest.keep_if_unchanged(slow, "no provider, read early");
        assert_eq!(get(), Some("fast"));
        let later = latest.begin();
        latest.keep_if_unchanged(later, "no provider");
        assert_eq!(get(), Some("no provider"));
        let found = latest.keep(latest.begin(), "again");
        latest.keep(latest.begin(), "newer");
        latest.keep_if_unchanged(found.successor(), "no provider after all");
        assert_eq!(get(), Some("newer"));
    }

    #[test]
    fn what_was_replaced_is_dropped() {
        let latest = Latest::default();
        let [old, new] = [(); 2].map(|()| Arc::new(()));
        latest.keep(latest.begin(), Arc::clone(&old));
        let reading = latest.get();
        latest.keep(latest.begin(), Arc::clone(&new));
        assert_eq!(Arc::strong_count(&old), 2, "a request uses it");
        drop(reading);
        assert_eq!((Arc::strong_count(&old), Arc::strong_count(&new)), (1, 2));
    }
}
