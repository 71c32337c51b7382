//! The clock of one request: the wall-clock time of its start plus the monotonic time since then.
//!
//! The wall clock can be set back, and a span with wall-clock times could end before it began. So the wall
//! clock is read once. Every later moment is an [`Instant`], converted with [`Clock::at`]. A later reading of the
//! wall clock only recognizes the times that the API has read, with [`is_wall_now`].

use std::num::NonZeroU64;
use std::time::{Duration, Instant, SystemTime};

/// The start of a request, on both clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    wall: SystemTime,
    start: Instant,
}

impl Clock {
    /// Starts the clock of a request now.
    pub(crate) fn start() -> Self {
        // In this order, so that the request's clock is never behind the wall clock. Otherwise an event with
        // a wall-clock time, as from the API's `add_event`, could come after the end.
        let start = now();
        Self {
            wall: wall_now(),
            start,
        }
    }

    /// Returns when the request started.
    pub(crate) fn started(&self) -> SystemTime {
        self.wall
    }

    /// Returns the moment of the start.
    pub(crate) fn start_moment(&self) -> Instant {
        self.start
    }

    /// Returns the time from the start to `moment`.
    pub(crate) fn since_start(&self, moment: Instant) -> Duration {
        moment.saturating_duration_since(self.start)
    }

    /// Returns the wall-clock time of `moment`, by this request's clock.
    pub(crate) fn at(&self, moment: Instant) -> SystemTime {
        self.wall + self.since_start(moment)
    }
}

/// A time since the start of a request, in nanoseconds. `Option<Elapsed>` has half the size of
/// `Option<Duration>`, and an open stream holds three.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Elapsed(NonZeroU64);

impl Elapsed {
    /// Converts a duration. The longest is about 584 years.
    pub(crate) fn new(time: Duration) -> Self {
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        // Stored plus one, so that zero stands for `None`.
        Self(NonZeroU64::MIN.saturating_add(nanoseconds))
    }

    /// Returns the time since the start of a request.
    pub(crate) fn since_start(clock: &Clock) -> Self {
        Self::new(clock.since_start(now()))
    }

    pub(crate) fn duration(self) -> Duration {
        Duration::from_nanos(self.0.get() - 1)
    }
}

/// Whether `at` is the current time of the wall clock, and so was read a moment ago.
pub(crate) fn is_wall_now(at: SystemTime) -> bool {
    let now = wall_now();
    let distance = match at.duration_since(now) {
        Ok(after) => after,
        Err(before) => before.duration(),
    };
    distance < Duration::from_millis(1)
}

/// Reads the monotonic clock. No other code of the crate does.
#[cfg(not(test))]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Reads the wall clock.
#[cfg(not(test))]
fn wall_now() -> SystemTime {
    SystemTime::now()
}

#[cfg(test)]
pub(crate) use mock::{now, wall_now};

/// Clocks that stand still until a test advances or sets them.
#[cfg(test)]
pub(crate) mod mock {
    use std::cell::Cell;
    use std::sync::OnceLock;
    use std::time::{Duration, Instant, SystemTime};

    thread_local! {
        static ELAPSED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
        static WALL: Cell<Duration> = const { Cell::new(Duration::from_secs(1_000_000)) };
    }
    static EPOCH: OnceLock<Instant> = OnceLock::new();

    pub(crate) fn now() -> Instant {
        *EPOCH.get_or_init(Instant::now) + ELAPSED.get()
    }

    pub(crate) fn wall_now() -> SystemTime {
        SystemTime::UNIX_EPOCH + WALL.get()
    }

    /// Advances both clocks of this thread.
    pub(crate) fn advance(by: Duration) {
        ELAPSED.set(ELAPSED.get() + by);
        WALL.set(WALL.get() + by);
    }

    /// Sets the wall clock of this thread, as an operator or NTP does.
    pub(crate) fn set_wall(at: SystemTime) {
        WALL.set(
            at.duration_since(SystemTime::UNIX_EPOCH)
                .expect("a time since 1970"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_the_start_plus_the_elapsed_time() {
        let clock = Clock::start();
        mock::advance(Duration::from_millis(1_500));
        let moment = now();
        assert_eq!(clock.since_start(moment), Duration::from_millis(1_500));
        assert_eq!(
            clock.at(moment),
            clock.started() + Duration::from_millis(1_500)
        );
    }

    #[test]
    fn an_elapsed_time_converts_back_to_its_duration() {
        for time in [
            Duration::ZERO,
            Duration::from_nanos(1),
            Duration::from_millis(1_500),
            Duration::from_nanos(u64::MAX - 1),
        ] {
            assert_eq!(Elapsed::new(time).duration(), time);
        }
        let longest = Elapsed::new(Duration::MAX).duration();
        assert_eq!(longest, Duration::from_nanos(u64::MAX - 1));
    }

    #[test]
    fn a_time_within_a_millisecond_of_the_wall_clock_is_now() {
        let now = wall_now();
        for (micros, expected) in [(0, true), (999, true), (1_000, false), (2_000, false)] {
            let distance = Duration::from_micros(micros);
            assert_eq!(is_wall_now(now + distance), expected, "{micros} after");
            assert_eq!(is_wall_now(now - distance), expected, "{micros} before");
        }
    }

    #[test]
    fn a_wall_clock_that_is_set_does_not_move_the_requests_clock() {
        let clock = Clock::start();
        mock::advance(Duration::from_secs(1));
        mock::set_wall(SystemTime::UNIX_EPOCH);
        assert_eq!(clock.at(now()), clock.started() + Duration::from_secs(1));
    }

    #[test]
    fn a_moment_before_the_start_counts_as_the_start() {
        let before = now();
        mock::advance(Duration::from_secs(1));
        let clock = Clock::start();
        assert_eq!(clock.at(before), clock.started());
    }
}
