//! The faults of a run.

use std::collections::BTreeMap;

use super::{Figures, growth};
use crate::paths::{PATHS, Path, Protocol};
use crate::tag::kind;
use crate::verdicts::Place;

/// The maximal growth of memory after the warm-up, in percent.
const MAX_GROWTH: u64 = 1;

/// The number of requests of a long run. In shorter runs and in debug builds, resident pages vary at random.
const LONG_RUN: u64 = 1_000_000;
/// The growth of resident memory, in bytes, that is allowed in a short run if it is more than [`MAX_GROWTH`].
const SHORT_RUN_ALLOWANCE: u64 = 1 << 20;

impl Figures {
    /// Returns the faults, one line each.
    pub(crate) fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.is_stuck {
            faults.push("a task did not end with its round".to_owned());
        }
        self.check_counts(&mut faults);
        self.check_outcomes(&mut faults);
        self.check_paths(&mut faults);
        let [outer, inner] = &self.spans;
        for (what, count) in [
            &outer.unexpected,
            &inner.unexpected,
            &self.unexpected_responses,
            &self.disagreements,
        ]
        .into_iter()
        .flatten()
        {
            faults.push(format!("{what}, {count} times"));
        }
        self.check_memory(&mut faults);
        faults
    }

    fn check_counts(&self, faults: &mut Vec<String>) {
        let requests = self.requests();
        if requests != self.requested {
            let requested = self.requested;
            faults.push(format!("{requests} requests were made, of {requested}"));
        }
        let [outer, inner] = &self.spans;
        for (what, count) in [
            ("outer spans have started", outer.starts),
            ("outer spans have ended", outer.ends),
            ("inner spans have started", inner.starts),
            ("inner spans have ended", inner.ends),
            ("requests have observers and spans that agree", self.agreed),
        ] {
            if count != requests {
                faults.push(format!("{count} {what}, of {requests} requests"));
            }
        }
        let (events, expected) = (self.log_events, self.made_where(Path::has_log_event));
        if events != expected {
            faults.push(format!("{events} log events, of {expected}"));
        }
        if self.measured.active != 0 {
            let active = self.measured.active;
            faults.push(format!("{active} requests are active after the last one"));
        }
    }

    /// Checks the numbers of completions, lines and measured requests of each outcome.
    fn check_outcomes(&self, faults: &mut Vec<String>) {
        let expected = self.expected_outcomes();
        for (what, found) in [
            ("completions", &self.completions),
            ("lines", &self.lines),
            ("measured requests", &self.measured.requests),
        ] {
            let mut outcomes: Vec<_> = expected.keys().chain(found.keys()).collect();
            outcomes.sort();
            outcomes.dedup();
            for outcome in outcomes {
                let count =
                    |of: &BTreeMap<String, u64>| of.get(outcome).copied().unwrap_or_default();
                let (found, requests) = (count(found), count(&expected));
                if found != requests {
                    faults.push(format!(
                        "{found} {what} have {outcome}, of {requests} requests"
                    ));
                }
            }
        }
    }

    /// Checks the spans of each path.
    fn check_paths(&self, faults: &mut Vec<String>) {
        let places = [Place::Outer, Place::Inner];
        for (nth, path) in PATHS.iter().enumerate() {
            for protocol in Protocol::ALL {
                let kind = kind(nth, protocol);
                let made = self.made[kind];
                if made == 0 && path.is_over(protocol) {
                    let (name, over) = (path.name, protocol.name());
                    faults.push(format!("{name} over {over}: no request was made"));
                }
                for (spans, place) in self.spans.iter().zip(places) {
                    let as_expected = spans.as_expected[kind];
                    if made != as_expected {
                        let (name, over, place) = (path.name, protocol.name(), place.name());
                        faults.push(format!(
                            "{name} over {over}: {as_expected} of {made} {place} spans are as expected"
                        ));
                    }
                }
            }
        }
    }

    fn check_memory(&self, faults: &mut Vec<String>) {
        for (what, memory) in self.memory() {
            let [Some(before), Some(after)] = memory else {
                continue;
            };
            let is_resident = what.starts_with("resident");
            let floor = if is_resident && self.requested < LONG_RUN {
                SHORT_RUN_ALLOWANCE
            } else {
                0
            };
            if after > before + (before * MAX_GROWTH / 100).max(floor) {
                let growth = growth(before, after);
                faults.push(format!("{what}: {growth}, more than {MAX_GROWTH} %"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::Spans;
    use super::*;
    use crate::memory::Memory;
    use crate::metrics::MetricSums;
    use crate::tag::KINDS;

    fn memory(resident: u64, live_bytes: u64) -> Memory {
        Memory {
            total: 0,
            live: 100,
            live_bytes,
            resident: Some(resident),
        }
    }

    /// Returns a run without faults, with as many requests of each kind.
    fn faultless(of_each: u64) -> Figures {
        let requests = of_each * KINDS as u64;
        let spans = Spans {
            starts: requests,
            ends: requests,
            as_expected: vec![of_each; KINDS],
            unexpected: BTreeMap::new(),
        };
        let mut figures = Figures {
            requested: requests,
            is_stuck: false,
            made: vec![of_each; KINDS],
            spans: [spans.clone(), spans],
            unexpected_responses: BTreeMap::new(),
            agreed: requests,
            disagreements: BTreeMap::new(),
            completions: BTreeMap::new(),
            lines: BTreeMap::new(),
            log_events: 0,
            measured: MetricSums::default(),
            counted: requests,
            took: Duration::from_secs(1),
            before: memory(100_000_000, 100_000),
            after: memory(101_000_000, 101_000),
        };
        figures.log_events = figures.made_where(Path::has_log_event);
        figures.lines = figures.expected_outcomes();
        figures.completions = figures.expected_outcomes();
        figures.measured.requests = figures.expected_outcomes();
        figures
    }

    #[test]
    fn run_as_expected_has_no_faults() {
        assert_eq!(faultless(2).faults(), [""; 0]);
    }

    #[test]
    fn each_fault_of_a_count_is_reported() {
        type Breaks = fn(&mut Figures);
        let cases: [(Breaks, &str); 13] = [
            (|run| run.is_stuck = true, "did not end with its round"),
            (|run| run.requested += 1, "requests were made, of"),
            (|run| run.spans[0].starts -= 1, "outer spans have started"),
            (|run| run.spans[0].ends += 1, "outer spans have ended"),
            (|run| run.spans[1].starts -= 1, "inner spans have started"),
            (|run| run.spans[1].ends -= 1, "inner spans have ended"),
            (|run| run.agreed -= 1, "observers and spans that agree"),
            (|run| run.log_events += 1, "log events, of"),
            (|run| run.measured.active = -1, "-1 requests are active"),
            (
                |run| *run.completions.entry("DEPARTED".to_owned()).or_default() += 1,
                "completions have DEPARTED, of",
            ),
            (
                |run| *run.lines.entry("DEPARTED".to_owned()).or_default() -= 1,
                "lines have DEPARTED, of",
            ),
            (
                |run| {
                    run.lines.insert("ABORTED(what)".to_owned(), 1);
                },
                "1 lines have ABORTED(what), of 0 requests",
            ),
            (
                |run| run.measured.requests.clear(),
                "0 measured requests have DEPARTED, of",
            ),
        ];
        for (breaks, expected) in cases {
            let mut run = faultless(2);
            breaks(&mut run);
            let faults = run.faults();
            let is_found = faults.iter().any(|fault| fault.contains(expected));
            assert!(is_found, "{expected}: {faults:?}");
        }
    }

    #[test]
    fn each_unexpected_result_is_reported() {
        type Breaks = fn(&mut Figures);
        let cases: [(Breaks, &str); 9] = [
            (
                |run| {
                    let all = [0, 4];
                    run.made[..2].copy_from_slice(&all);
                    for spans in &mut run.spans {
                        spans.as_expected[..2].copy_from_slice(&all);
                    }
                },
                "buffered over HTTP/1.1: no request was made",
            ),
            (
                |run| run.spans[0].as_expected[0] = 1,
                "buffered over HTTP/1.1: 1 of 2 outer spans",
            ),
            (
                |run| run.spans[1].as_expected[0] = 3,
                "buffered over HTTP/1.1: 3 of 2 inner spans",
            ),
            (
                |run| {
                    run.spans[1].unexpected.insert("what".to_owned(), 3);
                },
                "what, 3 times",
            ),
            (
                |run| {
                    run.unexpected_responses.insert("what".to_owned(), 3);
                },
                "what, 3 times",
            ),
            (
                |run| {
                    run.disagreements.insert("what".to_owned(), 3);
                },
                "what, 3 times",
            ),
            (
                |run| run.after.resident = Some(101_048_577),
                "resident bytes: +1.05 %",
            ),
            (
                |run| run.after.live_bytes = 101_001,
                "allocated bytes: +1.00 %",
            ),
            (|run| run.after.live = 102, "allocations: +2.00 %"),
        ];
        for (breaks, expected) in cases {
            let mut run = faultless(2);
            breaks(&mut run);
            let faults = run.faults();
            assert!(
                faults.len() == 1 && faults[0].contains(expected),
                "{expected}: {faults:?}"
            );
        }
    }

    #[test]
    fn small_resident_growth_is_a_fault_only_in_a_long_run() {
        let mut run = faultless(2);
        (run.before.resident, run.after.resident) = (Some(10_000_000), Some(11_000_000));
        assert_eq!(run.faults(), [""; 0]);
        run.after.resident = Some(11_100_000);
        assert_eq!(run.faults().len(), 1);
        let mut run = faultless(LONG_RUN / KINDS as u64 + 1);
        (run.before.resident, run.after.resident) = (Some(10_000_000), Some(10_200_000));
        assert_eq!(run.faults().len(), 1);
    }
}
