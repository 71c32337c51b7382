//! Compares what each request has found with what was set at its time.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use super::providers::ProviderCounts;
use super::records::{AFTER_SHUTDOWN, ENDED, IN_CALLERS_TRACE, Record, Records, WRONG_OUTCOME};
use super::report::{Figures, Tally};
use super::timeline::Timeline;

/// Checks all requests. Call it when all have ended.
pub(crate) fn check(records: &Records, providers: ProviderCounts, faults: Vec<String>) -> Figures {
    let lock = |timeline| std::sync::Mutex::lock(timeline).unwrap_or_else(PoisonError::into_inner);
    let tracers: &Timeline = &lock(&records.tracers);
    let meters: &Timeline = &lock(&records.meters);
    let propagators: &Timeline = &lock(&records.propagators);
    let mut tally = Tally::default();
    let requests = records.begun();
    let measured = records.measured.iter().enumerate();
    let measured = measured.map(|(provider, count)| (provider, count.load(Ordering::SeqCst)));
    tally.measured = measured.filter(|(_, count)| *count > 0).collect();
    for request in 0..requests {
        let record = records.of(request);
        check_end(record, &mut tally);
        check_provider(records, tracers, request, &mut tally);
        check_propagator(propagators, request, record, &mut tally);
        count_meters(meters, request, &mut tally);
    }
    Figures::new(
        requests,
        [
            records.completions.load(Ordering::SeqCst),
            records.log_events.load(Ordering::SeqCst),
            records.expected_log_events.load(Ordering::SeqCst),
        ],
        tally,
        providers,
        faults,
    )
}

/// Counts how a request and its span have ended.
fn check_end(record: &Record, tally: &mut Tally) {
    tally.open += u64::from(!record.has(ENDED));
    tally.doubled += u64::from(record.arrivals() > 1);
    tally.wrong_outcomes += u64::from(record.has(WRONG_OUTCOME));
    match (record.started_by(), record.arrived_at()) {
        (None, None) => tally.without_span += 1,
        (Some(started), Some(arrived)) if started == arrived => tally.arrived += 1,
        // The SDK discards the spans of a provider that was shut down.
        (Some(_), None) if record.has(AFTER_SHUTDOWN) => tally.open_at_shutdown += 1,
        (Some(_), None) => tally.lost += 1,
        (_, Some(_)) => tally.elsewhere += 1,
    }
}

/// Checks that the provider of a request is one that it may have found.
fn check_provider(records: &Records, tracers: &Timeline, request: u64, tally: &mut Tally) {
    let is_shut_down = |provider: usize| {
        // The request before may have been started by it.
        records.shut_down_at[provider].load(Ordering::SeqCst) <= request + 1
    };
    let mut found = tracers.found_by(request);
    if let Some(provider) = records.of(request).started_by() {
        let is_allowed = found.any(|found| found == Some(provider));
        tally.wrong_provider += u64::from(!is_allowed);
        return;
    }
    let is_allowed = found.any(|found| found.is_none_or(is_shut_down));
    tally.missing += u64::from(!is_allowed);
    count_wait(records, tracers, request, tally);
}

/// Counts a request for each meter provider that it may have found.
fn count_meters(meters: &Timeline, request: u64, tally: &mut Tally) {
    let is_only_one = meters.found_by(request).nth(1).is_none();
    for provider in meters.found_by(request).flatten() {
        let limits = tally.measurable.entry(provider).or_default();
        limits.least += u64::from(is_only_one);
        limits.most += 1;
    }
}

/// Counts a request without a span, if the provider that was set could have made one.
fn count_wait(records: &Records, tracers: &Timeline, request: u64, tally: &mut Tally) {
    let Some((setting, provider)) = tracers.current_at(request) else {
        return;
    };
    if records.shut_down_at[provider].load(Ordering::SeqCst) <= request + 1 {
        return;
    }
    tally.wait = match tally.wait {
        (last, count) if last == setting => (setting, count + 1),
        _ => (setting, 1),
    };
    tally.longest_wait = tally.longest_wait.max(tally.wait.1);
}

/// Checks that the propagator of a request is the one that was set.
fn check_propagator(propagators: &Timeline, request: u64, record: &Record, tally: &mut Tally) {
    if record.arrived_at().is_none() {
        return;
    }
    let is_in_callers_trace = record.has(IN_CALLERS_TRACE);
    let is_allowed = propagators
        .found_by(request)
        .any(|found| found.is_some() == is_in_callers_trace);
    tally.in_callers_trace += u64::from(is_in_callers_trace);
    tally.wrong_propagator += u64::from(!is_allowed);
}

#[cfg(test)]
mod tests {
    use super::super::plan::PLAN;
    use super::*;

    /// Returns the records of requests that have ended: of ten with provider 0, and of one more with provider 1, which
    /// was set 2,000 requests before.
    fn records() -> Records {
        let records = Records::new(PLAN.len() as u64);
        {
            let mut tracers = records.tracers.lock().expect("no panic");
            tracers.set(Some(0), [0, 0]);
            tracers.set(Some(1), [10, 10]);
        }
        for request in 0..=2_000 {
            let number = records.begin();
            assert_eq!(number, request);
            let provider = usize::from(request >= 10);
            records.of(request).start(provider);
            records.of(request).arrive(provider);
            records.end(request);
        }
        records
    }

    fn tally(records: &Records) -> Tally {
        check(records, ProviderCounts::default(), Vec::new()).tally
    }

    #[test]
    fn requests_as_expected_have_no_faults() {
        let found = tally(&records());
        assert_eq!((found.arrived, found.without_span), (2_001, 0));
        assert_eq!(
            (found.wrong_provider, found.missing, found.doubled),
            (0, 0, 0)
        );
    }

    /// Request 9 is just before the setting, so that it may find it, too.
    #[test]
    fn span_at_a_provider_that_was_replaced_is_found_after_the_delay() {
        for (request, expected) in [(8, 1), (9, 0), (10, 0), (1_032, 0), (1_033, 1), (2_000, 1)] {
            let records = records();
            let other = usize::from(request < 10);
            records.of(request).start(other);
            records.of(request).arrive(other);
            assert_eq!(tally(&records).wrong_provider, expected, "{request}");
        }
    }

    #[test]
    fn doubled_lost_and_misplaced_spans_are_found() {
        let doubled = records();
        doubled.of(20).arrive(1);
        assert_eq!(tally(&doubled).doubled, 1);
        let misplaced = records();
        misplaced.of(20).arrive(0);
        assert_eq!(tally(&misplaced).elsewhere, 1);

        let lost = records();
        let request = lost.begin();
        lost.of(request).start(1);
        lost.end(request);
        let found = tally(&lost);
        assert_eq!((found.lost, found.open_at_shutdown), (1, 0));

        let shut_down = records();
        assert!(shut_down.begin_shutdown(1));
        assert!(!shut_down.begin_shutdown(1), "once");
        let request = shut_down.begin();
        shut_down.of(request).start(1);
        shut_down.end(request);
        let found = tally(&shut_down);
        assert_eq!((found.lost, found.open_at_shutdown), (0, 1));
    }

    #[test]
    fn request_without_a_span_is_found_unless_its_provider_was_shut_down() {
        for (is_shut_down, missing) in [(false, 1), (true, 0)] {
            let records = records();
            if is_shut_down {
                records.begin_shutdown(1);
            }
            let request = records.begin();
            records.end(request);
            let found = tally(&records);
            assert_eq!((found.without_span, found.missing), (1, missing));
        }
    }

    #[test]
    fn meter_provider_measures_its_requests_and_those_of_the_delay() {
        let records = records();
        {
            let mut meters = records.meters.lock().expect("no panic");
            meters.set(Some(0), [0, 0]);
            meters.set(Some(1), [10, 10]);
        }
        let measurable = tally(&records).measurable;
        let limits = |provider| measurable.get(&provider).map(|it| (it.least, it.most));
        assert_eq!(limits(0), Some((0, 1_033)));
        assert_eq!(limits(1), Some((2_001 - 1_033, 2_001 - 9)));
    }

    #[test]
    fn request_that_has_not_ended_is_found() {
        let records = records();
        records.begin();
        assert_eq!(tally(&records).open, 1);
    }
}
