//! When each global was set, counted in requests, and which of them a request may have found.

use super::records::PERIOD;

/// A value that was set: the number of a provider or of a propagator, or nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    /// `None` for the API's no-op.
    pub(crate) value: Option<usize>,
    /// The number of requests when it began to be set.
    pub(crate) began: u64,
    /// The number of requests after which no request may find it: some time after it was replaced.
    pub(crate) until: u64,
}

/// The settings of one global, in their order.
#[derive(Debug)]
pub(crate) struct Timeline {
    settings: Vec<Setting>,
    /// The number of requests that may still find a value after it was replaced.
    delay: u64,
}

impl Timeline {
    /// Makes one for a global that is read at each request.
    pub(crate) fn immediate(settings: usize) -> Self {
        Self::new(settings, 0)
    }

    /// Makes one for a global that every 1,024th request looks up.
    pub(crate) fn delayed(settings: usize) -> Self {
        Self::new(settings, PERIOD - 1)
    }

    /// At the beginning, the no-op is set.
    fn new(settings: usize, delay: u64) -> Self {
        let mut all = Vec::with_capacity(settings);
        all.push(Setting {
            value: None,
            began: 0,
            until: u64::MAX,
        });
        Self {
            settings: all,
            delay,
        }
    }

    /// Records that a value was set between these two numbers of requests.
    pub(crate) fn set(&mut self, value: Option<usize>, [began, ended]: [u64; 2]) {
        if let Some(last) = self.settings.last_mut() {
            last.until = ended + self.delay;
        }
        self.settings.push(Setting {
            value,
            // The request before may still read it: it is counted before its call.
            began: began.saturating_sub(1),
            until: u64::MAX,
        });
    }

    /// Records that a request with this number, and all later ones, must find the current value.
    pub(crate) fn expect_current(&mut self, request: u64) {
        if let [others @ .., _] = &mut self.settings[..] {
            for other in others {
                other.until = other.until.min(request);
            }
        }
    }

    /// Returns the value that was set last before this request, with the number of its setting. `None` if it is the
    /// API's no-op.
    pub(crate) fn current_at(&self, request: u64) -> Option<(usize, usize)> {
        let set_before = self.settings.partition_point(|set| set.began < request);
        let setting = set_before.checked_sub(1)?;
        Some((setting, self.settings[setting].value?))
    }

    /// Returns what this request may have found.
    pub(crate) fn found_by(&self, request: u64) -> impl Iterator<Item = Option<usize>> {
        let settings = self.settings.iter();
        let found = settings.filter(move |set| (set.began..set.until).contains(&request));
        found.map(|set| set.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(timeline: &Timeline, request: u64) -> Vec<Option<usize>> {
        timeline.found_by(request).collect()
    }

    #[test]
    fn replaced_value_is_found_for_the_delay_only() {
        let mut timeline = Timeline::delayed(4);
        timeline.set(Some(0), [0, 0]);
        timeline.set(Some(1), [5_000, 5_002]);
        assert_eq!(found(&timeline, 4_998), [Some(0)]);
        for request in [4_999, 5_000, 5_002, 6_024] {
            assert_eq!(found(&timeline, request), [Some(0), Some(1)], "{request}");
        }
        assert_eq!(found(&timeline, 6_025), [Some(1)]);
        assert_eq!(timeline.current_at(4_000), Some((1, 0)));
        assert_eq!(timeline.current_at(5_100), Some((2, 1)));
    }

    #[test]
    fn current_value_is_found_after_a_second() {
        let mut timeline = Timeline::delayed(4);
        timeline.set(Some(0), [0, 0]);
        timeline.set(Some(1), [5_000, 5_002]);
        timeline.expect_current(5_010);
        assert_eq!(found(&timeline, 5_009), [Some(0), Some(1)]);
        assert_eq!(found(&timeline, 5_010), [Some(1)]);
    }

    #[test]
    fn propagator_is_found_at_once() {
        let mut timeline = Timeline::immediate(4);
        timeline.set(Some(0), [0, 0]);
        timeline.set(Some(1), [5_000, 5_002]);
        assert_eq!(found(&timeline, 4_998), [Some(0)]);
        assert_eq!(found(&timeline, 5_001), [Some(0), Some(1)]);
        assert_eq!(found(&timeline, 5_002), [Some(1)]);
    }
}
