//! The table, and what is wrong with it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use crate::asked::number;
use crate::measures::Measured;
use crate::memory::Memory;
use crate::paths::{PATHS, Protocol};

/// How much more memory may be resident at the end than after the warm-up, in percent.
const GROWTH: u64 = 2;

/// How many requests are many: of fewer, and of debug builds, pages come and go that say nothing.
const MANY: u64 = 1_000_000;
/// How much more may be resident all the same after fewer, in bytes. What lives on is counted to the byte.
const FEW_MAY_GROW: u64 = 1 << 20;

/// All that was counted.
pub(crate) struct Figures {
    /// Requests that were asked for.
    pub(crate) requested: u64,
    /// A task went on after its round, and so the run was stopped.
    pub(crate) is_stuck: bool,
    /// Requests that were made, of each kind.
    pub(crate) made: Vec<u64>,
    /// Spans that have ended as they should, of each kind.
    pub(crate) as_intended: Vec<u64>,
    /// What other spans say, and what clients have got that they should not have.
    pub(crate) otherwise: BTreeMap<String, u64>,
    pub(crate) surprises: BTreeMap<String, u64>,
    pub(crate) starts: u64,
    pub(crate) ends: u64,
    pub(crate) measured: Measured,
    /// Requests after the warm-up, and how long they took.
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
        self.write(&mut table).expect("a string takes all");
        table
    }

    fn write(&self, to: &mut String) -> std::fmt::Result {
        write!(to, "{:27} {:27}", "path", "outcome")?;
        for protocol in Protocol::ALL {
            write!(to, " {:>11}", protocol.name())?;
        }
        writeln!(to, " {:>11}", "as intended")?;
        for (nth, path) in PATHS.iter().enumerate() {
            write!(to, "{:27} {:27}", path.name, path.end.outcome)?;
            let mut as_intended = 0;
            for protocol in Protocol::ALL {
                let kind = number(nth, protocol);
                as_intended += self.as_intended[kind];
                let made = match self.made[kind] {
                    0 => String::new(),
                    made => grouped(made),
                };
                write!(to, " {made:>11}")?;
            }
            writeln!(to, " {:>11}", grouped(as_intended))?;
        }
        writeln!(to)?;
        for (what, count) in [
            ("requests", self.requests()),
            ("of them to warm up", self.requests() - self.counted),
            ("span starts", self.starts),
            ("span ends", self.ends),
            ("outcomes as intended", self.as_intended.iter().sum()),
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
            "requests a second"
        )?;
        let made = (self.after.made - self.before.made) / self.counted.max(1);
        writeln!(to, "{:27} {:>15}\n", "allocations a request", grouped(made))?;

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
        let of = |value: fn(&Memory) -> Option<u64>| [value(&self.before), value(&self.after)];
        [
            ("resident bytes", of(|memory| memory.resident)),
            ("allocated bytes", of(|memory| Some(memory.live_bytes))),
            ("allocations", of(|memory| Some(memory.live))),
        ]
    }

    /// What is wrong, a sentence each.
    pub(crate) fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let requests = self.requests();
        if self.is_stuck {
            faults.push("something of a round goes on after it".to_owned());
        }
        if requests != self.requested {
            let requested = self.requested;
            faults.push(format!("{requests} requests were made, of {requested}"));
        }
        for (what, count) in [
            ("spans have started", self.starts),
            ("spans have ended", self.ends),
            ("requests were measured", self.measured.requests),
        ] {
            if count != requests {
                faults.push(format!("{count} {what}, of {requests} requests"));
            }
        }
        if self.measured.active != 0 {
            let active = self.measured.active;
            faults.push(format!("{active} requests are active after the last one"));
        }
        for (nth, path) in PATHS.iter().enumerate() {
            for protocol in Protocol::ALL {
                let kind = number(nth, protocol);
                let (made, as_intended) = (self.made[kind], self.as_intended[kind]);
                if made != as_intended {
                    let (name, over) = (path.name, protocol.name());
                    faults.push(format!(
                        "{name} over {over}: {as_intended} of {made} are {}",
                        path.end.outcome
                    ));
                }
            }
        }
        for (what, count) in self.otherwise.iter().chain(&self.surprises) {
            faults.push(format!("{what}, {count} times"));
        }
        for (what, memory) in self.memory() {
            let [Some(before), Some(after)] = memory else {
                continue;
            };
            let is_resident = what.starts_with("resident");
            let floor = if is_resident && self.requested < MANY {
                FEW_MAY_GROW
            } else {
                0
            };
            if after > before + (before * GROWTH / 100).max(floor) {
                let growth = growth(before, after);
                faults.push(format!("{what}: {growth}, more than {GROWTH} %"));
            }
        }
        faults
    }
}

/// With a comma every three digits.
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

/// In percent, with a sign.
#[expect(clippy::cast_precision_loss, reason = "it is shown with two digits")]
fn growth(before: u64, after: u64) -> String {
    let ratio = after as f64 / before.max(1) as f64;
    format!("{:+.2} %", (ratio - 1.0) * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asked::KINDS;

    fn memory(resident: u64, live_bytes: u64) -> Memory {
        Memory {
            made: 0,
            live: 100,
            live_bytes,
            resident: Some(resident),
        }
    }

    /// A run in which there were two requests of each kind, and nothing was wrong.
    fn well() -> Figures {
        let requests = 2 * KINDS as u64;
        Figures {
            requested: requests,
            is_stuck: false,
            made: vec![2; KINDS],
            as_intended: vec![2; KINDS],
            otherwise: BTreeMap::new(),
            surprises: BTreeMap::new(),
            starts: requests,
            ends: requests,
            measured: Measured {
                requests,
                active: 0,
            },
            counted: requests,
            took: Duration::from_secs(1),
            before: memory(100_000_000, 100_000),
            after: memory(102_000_000, 102_000),
        }
    }

    #[test]
    fn a_run_in_which_all_is_as_intended_has_no_faults() {
        assert_eq!(well().faults(), [""; 0]);
    }

    #[test]
    fn whatever_is_wrong_is_said() {
        type Breaks = fn(&mut Figures);
        let cases: [(Breaks, &str); 12] = [
            (|it| it.is_stuck = true, "goes on after it"),
            (|it| it.requested += 1, "requests were made, of"),
            (|it| it.after.live = 103, "allocations: +3.00 %"),
            (|it| it.starts -= 1, "spans have started"),
            (|it| it.ends -= 1, "spans have ended"),
            (|it| it.measured.requests += 1, "requests were measured"),
            (|it| it.measured.active = -1, "-1 requests are active"),
            (
                |it| it.as_intended[0] = 1,
                "whole over HTTP/1.1: 1 of 2 are DEPARTED",
            ),
            (
                |it| {
                    it.otherwise.insert("what".to_owned(), 3);
                },
                "what, 3 times",
            ),
            (
                |it| {
                    it.surprises.insert("what".to_owned(), 3);
                },
                "what, 3 times",
            ),
            (
                |it| it.after.resident = Some(102_000_001),
                "resident bytes: +2.00 %",
            ),
            (
                |it| it.after.live_bytes = 102_001,
                "allocated bytes: +2.00 %",
            ),
        ];
        for (breaks, said) in cases {
            let mut figures = well();
            breaks(&mut figures);
            let faults = figures.faults();
            assert!(
                faults.len() == 1 && faults[0].contains(said),
                "{said}: {faults:?}"
            );
        }
    }

    #[test]
    fn a_few_pages_more_say_nothing_of_a_short_run_and_do_of_a_long_one() {
        let mut figures = well();
        (figures.before.resident, figures.after.resident) = (Some(10_000_000), Some(11_000_000));
        assert_eq!(figures.faults(), [""; 0]);
        figures.after.resident = Some(11_100_000);
        assert_eq!(figures.faults().len(), 1);
        figures.after.resident = Some(11_000_000);
        let made = MANY / KINDS as u64 + 1;
        figures.made = vec![made; KINDS];
        figures.as_intended.clone_from(&figures.made);
        let all = made * KINDS as u64;
        (figures.requested, figures.starts, figures.ends) = (all, all, all);
        figures.measured.requests = all;
        assert_eq!(figures.faults().len(), 1);
    }

    #[test]
    fn numbers_are_grouped_by_three() {
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
