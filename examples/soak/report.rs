//! The table of results, and its faults.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use crate::memory::Memory;
use crate::metrics::MetricSums;
use crate::paths::{PATHS, Protocol};
use crate::tag::kind;

/// The maximal growth of memory after the warm-up, in percent.
const MAX_GROWTH: u64 = 2;

/// The number of requests of a long run. In shorter runs and in debug builds, resident pages vary at random.
const LONG_RUN: u64 = 1_000_000;
/// The growth of resident memory, in bytes, that is allowed in a short run if it is more than [`MAX_GROWTH`].
const SHORT_RUN_ALLOWANCE: u64 = 1 << 20;

/// The results of a run.
pub(crate) struct Figures {
    /// The number of requests to make.
    pub(crate) requested: u64,
    /// Whether the run was stopped because a task did not end with its round.
    pub(crate) is_stuck: bool,
    /// Requests made, per kind.
    pub(crate) made: Vec<u64>,
    /// Spans with the expected outcome, per kind.
    pub(crate) as_expected: Vec<u64>,
    /// Unexpected outcomes and responses, with their counts.
    pub(crate) unexpected_outcomes: BTreeMap<String, u64>,
    pub(crate) unexpected_responses: BTreeMap<String, u64>,
    pub(crate) starts: u64,
    pub(crate) ends: u64,
    /// Calls of the callback that gets each request that has ended.
    pub(crate) completions: u64,
    /// Lines of the access log, by outcome.
    pub(crate) lines: BTreeMap<String, u64>,
    pub(crate) measured: MetricSums,
    /// Requests after the warm-up, and their duration.
    pub(crate) counted: u64,
    pub(crate) took: Duration,
    /// After the warm-up, and at the end.
    pub(crate) before: Memory,
    pub(crate) after: Memory,
}

impl Figures {
    fn requests(&self) -> u64 {
        self.made.iter().sum()
    }

    pub(crate) fn table(&self) -> String {
        let mut table = String::new();
        self.write(&mut table)
            .expect("writing to a string cannot fail");
        table
    }

    fn write(&self, to: &mut String) -> std::fmt::Result {
        write!(to, "{:27} {:27}", "path", "outcome")?;
        for protocol in Protocol::ALL {
            write!(to, " {:>11}", protocol.name())?;
        }
        writeln!(to, " {:>11}", "as expected")?;
        for (nth, path) in PATHS.iter().enumerate() {
            write!(to, "{:27} {:27}", path.name, path.end.outcome)?;
            let mut as_expected = 0;
            for protocol in Protocol::ALL {
                let kind = kind(nth, protocol);
                as_expected += self.as_expected[kind];
                let made = match self.made[kind] {
                    0 => String::new(),
                    made => grouped(made),
                };
                write!(to, " {made:>11}")?;
            }
            writeln!(to, " {:>11}", grouped(as_expected))?;
        }
        writeln!(to)?;
        for (what, count) in [
            ("requests", self.requests()),
            ("requests in the warm-up", self.requests() - self.counted),
            ("span starts", self.starts),
            ("span ends", self.ends),
            ("completions", self.completions),
            ("lines of the access log", self.lines.values().sum()),
            ("outcomes as expected", self.as_expected.iter().sum()),
            ("requests measured", self.measured.requests),
        ] {
            writeln!(to, "{what:27} {:>15}", grouped(count))?;
        }
        let active = self.measured.active;
        writeln!(to, "{:27} {active:>15}", "requests still active")?;
        let seconds = self.took.as_secs_f64();
        let rate = u128::from(self.counted) * 1_000 / self.took.as_millis().max(1);
        let rate = grouped(u64::try_from(rate).unwrap_or(u64::MAX));
        writeln!(
            to,
            "{:27} {rate:>15}   in {seconds:.1} s",
            "requests per second"
        )?;
        let made = (self.after.total - self.before.total) / self.counted.max(1);
        writeln!(
            to,
            "{:27} {:>15}\n",
            "allocations per request",
            grouped(made)
        )?;

        writeln!(
            to,
            "{:27} {:>15} {:>15} {:>15}",
            "", "after warm-up", "at the end", "growth"
        )?;
        for (what, [before, after]) in self.memory() {
            let row = [before, after].map(|value| value.map_or("unknown".to_owned(), grouped));
            let growth = before
                .zip(after)
                .map(|(before, after)| growth(before, after));
            let growth = growth.unwrap_or_default();
            writeln!(to, "{what:27} {:>15} {:>15} {growth:>15}", row[0], row[1])?;
        }
        Ok(())
    }

    fn memory(&self) -> [(&'static str, [Option<u64>; 2]); 3] {
        let values = |value: fn(&Memory) -> Option<u64>| [value(&self.before), value(&self.after)];
        [
            ("resident bytes", values(|memory| memory.resident)),
            ("allocated bytes", values(|memory| Some(memory.live_bytes))),
            ("allocations", values(|memory| Some(memory.live))),
        ]
    }

    /// Returns the requests made, by their intended outcome.
    fn expected_lines(&self) -> BTreeMap<String, u64> {
        let mut expected = BTreeMap::new();
        for (nth, path) in PATHS.iter().enumerate() {
            let made = Protocol::ALL.map(|protocol| self.made[kind(nth, protocol)]);
            let all = expected.entry(path.end.outcome.to_owned()).or_default();
            *all += made.iter().sum::<u64>();
        }
        expected
    }

    /// Returns the faults, one line each.
    pub(crate) fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let requests = self.requests();
        if self.is_stuck {
            faults.push("a task did not end with its round".to_owned());
        }
        if requests != self.requested {
            let requested = self.requested;
            faults.push(format!("{requests} requests were made, of {requested}"));
        }
        for (what, count) in [
            ("spans have started", self.starts),
            ("spans have ended", self.ends),
            ("requests have completed", self.completions),
            ("requests were measured", self.measured.requests),
        ] {
            if count != requests {
                faults.push(format!("{count} {what}, of {requests} requests"));
            }
        }
        let expected = self.expected_lines();
        for outcome in expected.keys().chain(self.lines.keys()) {
            let count = |of: &BTreeMap<String, u64>| of.get(outcome).copied().unwrap_or_default();
            let (lines, requests) = (count(&self.lines), count(&expected));
            if lines != requests {
                faults.push(format!(
                    "{lines} lines have {outcome}, of {requests} requests"
                ));
            }
        }
        faults.dedup();
        if self.measured.active != 0 {
            let active = self.measured.active;
            faults.push(format!("{active} requests are active after the last one"));
        }
        for (nth, path) in PATHS.iter().enumerate() {
            for protocol in Protocol::ALL {
                let kind = kind(nth, protocol);
                let (made, as_expected) = (self.made[kind], self.as_expected[kind]);
                if made != as_expected {
                    let (name, over) = (path.name, protocol.name());
                    faults.push(format!(
                        "{name} over {over}: {as_expected} of {made} are {}",
                        path.end.outcome
                    ));
                }
            }
        }
        for (what, count) in self
            .unexpected_outcomes
            .iter()
            .chain(&self.unexpected_responses)
        {
            faults.push(format!("{what}, {count} times"));
        }
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
        faults
    }
}

/// Formats a number with a comma every three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (nth, digit) in digits.chars().enumerate() {
        if nth > 0 && (digits.len() - nth).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Formats the growth in percent, with a sign.
#[expect(clippy::cast_precision_loss, reason = "it is shown with two digits")]
fn growth(before: u64, after: u64) -> String {
    let ratio = after as f64 / before.max(1) as f64;
    format!("{:+.2} %", (ratio - 1.0) * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tag::KINDS;

    fn memory(resident: u64, live_bytes: u64) -> Memory {
        Memory {
            total: 0,
            live: 100,
            live_bytes,
            resident: Some(resident),
        }
    }

    /// Returns a run without faults, with two requests of each kind.
    fn faultless() -> Figures {
        let requests = 2 * KINDS as u64;
        let figures = Figures {
            requested: requests,
            is_stuck: false,
            made: vec![2; KINDS],
            as_expected: vec![2; KINDS],
            unexpected_outcomes: BTreeMap::new(),
            unexpected_responses: BTreeMap::new(),
            starts: requests,
            ends: requests,
            completions: requests,
            lines: BTreeMap::new(),
            measured: MetricSums {
                requests,
                active: 0,
            },
            counted: requests,
            took: Duration::from_secs(1),
            before: memory(100_000_000, 100_000),
            after: memory(102_000_000, 102_000),
        };
        let lines = figures.expected_lines();
        Figures { lines, ..figures }
    }

    #[test]
    fn run_as_expected_has_no_faults() {
        assert_eq!(faultless().faults(), [""; 0]);
    }

    #[test]
    fn each_fault_is_reported() {
        type Breaks = fn(&mut Figures);
        let cases: [(Breaks, &str); 15] = [
            (
                |figures| figures.is_stuck = true,
                "did not end with its round",
            ),
            (|figures| figures.requested += 1, "requests were made, of"),
            (|figures| figures.after.live = 103, "allocations: +3.00 %"),
            (|figures| figures.starts -= 1, "spans have started"),
            (|figures| figures.ends -= 1, "spans have ended"),
            (
                |figures| figures.completions += 1,
                "requests have completed",
            ),
            (
                |figures| figures.measured.requests += 1,
                "requests were measured",
            ),
            (
                |figures| *figures.lines.entry("DEPARTED".to_owned()).or_default() -= 1,
                "lines have DEPARTED, of",
            ),
            (
                |figures| {
                    figures.lines.insert("ABORTED(what)".to_owned(), 1);
                },
                "1 lines have ABORTED(what), of 0 requests",
            ),
            (
                |figures| figures.measured.active = -1,
                "-1 requests are active",
            ),
            (
                |figures| figures.as_expected[0] = 1,
                "buffered over HTTP/1.1: 1 of 2 are DEPARTED",
            ),
            (
                |figures| {
                    figures.unexpected_outcomes.insert("what".to_owned(), 3);
                },
                "what, 3 times",
            ),
            (
                |figures| {
                    figures.unexpected_responses.insert("what".to_owned(), 3);
                },
                "what, 3 times",
            ),
            (
                |figures| figures.after.resident = Some(102_000_001),
                "resident bytes: +2.00 %",
            ),
            (
                |figures| figures.after.live_bytes = 102_001,
                "allocated bytes: +2.00 %",
            ),
        ];
        for (breaks, expected) in cases {
            let mut figures = faultless();
            breaks(&mut figures);
            let faults = figures.faults();
            assert!(
                faults.len() == 1 && faults[0].contains(expected),
                "{expected}: {faults:?}"
            );
        }
    }

    #[test]
    fn small_resident_growth_is_a_fault_only_in_a_long_run() {
        let mut figures = faultless();
        (figures.before.resident, figures.after.resident) = (Some(10_000_000), Some(11_000_000));
        assert_eq!(figures.faults(), [""; 0]);
        figures.after.resident = Some(11_100_000);
        assert_eq!(figures.faults().len(), 1);
        figures.after.resident = Some(11_000_000);
        let made = LONG_RUN / KINDS as u64 + 1;
        figures.made = vec![made; KINDS];
        figures.as_expected.clone_from(&figures.made);
        let all = made * KINDS as u64;
        (figures.requested, figures.starts, figures.ends) = (all, all, all);
        figures.completions = all;
        figures.measured.requests = all;
        figures.lines = figures.expected_lines();
        assert_eq!(figures.faults().len(), 1);
    }

    #[test]
    fn numbers_are_grouped_by_three_digits() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }
}
