//! The clock of one request: the wall-clock time of its start plus monotonic time since.
//!
//! A span whose times were all read from the wall clock could end before it began. Here the wall
//! clock is read once; every later moment is an [`Instant`], turned back with [`Clock::at`].

use std::num::NonZeroU64;
use std::time::{Duration, Instant, SystemTime};

/// Start of a request, on both clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    wall: SystemTime,
    start: Instant,
}

impl Clock {
    /// A request that starts now.
    pub(crate) fn start() -> Self {
        // In this order: the request's times are then never behind the wall clock, and what others
        // add with its time, as the API's own `add_event` does, is not after the end.
        let start = now();
        Self {
            wall: SystemTime::now(),
            start,
        }
    }

    /// When the request started.
    pub(crate) fn started(&self) -> SystemTime {
        self.wall
    }

    /// Time from the start to `moment`.
    pub(crate) fn since_start(&self, moment: Instant) -> Duration {
        moment.saturating_duration_since(self.start)
    }

    /// The wall-clock time of `moment`, by this request's clock.
    pub(crate) fn at(&self, moment: Instant) -> SystemTime {
        self.wall + self.since_start(moment)
    }
}

/// A time since the start of a request, in nanoseconds: half as large as a `Duration`, of which a stream
/// that is open for hours would hold some.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Elapsed(NonZeroU64);

impl Elapsed {
    /// This time; five hundred years are the longest.
    pub(crate) fn of(time: Duration) -> Self {
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        // One more than it is, so that none of it is zero.
        Self(NonZeroU64::MIN.saturating_add(nanoseconds))
    }

    pub(crate) fn duration(self) -> Duration {
        Duration::from_nanos(self.0.get() - 1)
    }
}

/// The one place that reads the monotonic clock.
#[cfg(not(test))]
pub(crate) fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
pub(crate) use mock::now;

/// A clock that stands still until a test moves it.
#[cfg(test)]
pub(crate) mod mock {
    use std::cell::Cell;
    use std::sync::OnceLock;
    use std::time::{Duration, Instant};

    thread_local!(static ELAPSED: Cell<Duration> = const { Cell::new(Duration::ZERO) });
    static EPOCH: OnceLock<Instant> = OnceLock::new();

    pub(crate) fn now() -> Instant {
        *EPOCH.get_or_init(Instant::now) + ELAPSED.get()
    }

    /// Moves this thread's clock on.
    pub(crate) fn advance(by: Duration) {
        ELAPSED.set(ELAPSED.get() + by);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_the_start_plus_what_has_passed() {
        let timeline = Clock::start();
        mock::advance(Duration::from_millis(1_500));
        let moment = now();
        assert_eq!(timeline.since_start(moment), Duration::from_millis(1_500));
        assert_eq!(
            timeline.at(moment),
            timeline.started() + Duration::from_millis(1_500)
        );
    }

    #[test]
    fn an_elapsed_time_is_what_it_was_made_of() {
        for time in [
            Duration::ZERO,
            Duration::from_nanos(1),
            Duration::from_millis(1_500),
            Duration::from_nanos(u64::MAX - 1),
        ] {
            assert_eq!(Elapsed::of(time).duration(), time);
        }
        let longest = Elapsed::of(Duration::MAX).duration();
        assert_eq!(longest, Duration::from_nanos(u64::MAX - 1));
    }

    #[test]
    fn a_moment_before_the_start_is_the_start() {
        let before = now();
        mock::advance(Duration::from_secs(1));
        let timeline = Clock::start();
        assert_eq!(timeline.at(before), timeline.started());
    }
}
