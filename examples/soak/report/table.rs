//! The table of results.

use std::fmt::{Result, Write as _};

use super::{Figures, grouped, growth};
use crate::paths::{PATHS, Protocol};
use crate::tag::kind;

impl Figures {
    pub(crate) fn table(&self) -> String {
        let mut table = String::new();
        let mut write = || {
            self.write_paths(&mut table)?;
            self.write_counts(&mut table)?;
            self.write_rate(&mut table)?;
            self.write_memory(&mut table)
        };
        write().expect("writing to a string cannot fail");
        table
    }

    fn write_paths(&self, to: &mut String) -> Result {
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
                let spans = self.spans.iter().map(|spans| spans.as_expected[kind]);
                as_expected += spans.min().unwrap_or_default();
                let made = match self.made[kind] {
                    0 => String::new(),
                    made => grouped(made),
                };
                write!(to, " {made:>11}")?;
            }
            writeln!(to, " {:>11}", grouped(as_expected))?;
        }
        writeln!(to)
    }

    fn write_counts(&self, to: &mut String) -> Result {
        let [outer, inner] = &self.spans;
        for (what, count) in [
            ("requests", self.requests()),
            ("requests in the warm-up", self.requests() - self.counted),
            ("outer spans: starts", outer.starts),
            ("outer spans: ends", outer.ends),
            ("outer spans as expected", outer.as_expected.iter().sum()),
            ("inner spans: starts", inner.starts),
            ("inner spans: ends", inner.ends),
            ("inner spans as expected", inner.as_expected.iter().sum()),
            ("observers and spans agree", self.agreed),
            ("they disagree", self.disagreements.values().sum()),
            ("completions", self.completions.values().sum()),
            ("lines of the access log", self.lines.values().sum()),
            ("requests measured", self.measured.requests.values().sum()),
            ("log events", self.log_events),
        ] {
            writeln!(to, "{what:27} {:>15}", grouped(count))?;
        }
        let active = self.measured.active;
        writeln!(to, "{:27} {active:>15}", "requests still active")
    }

    fn write_rate(&self, to: &mut String) -> Result {
        let seconds = self.took.as_secs_f64();
        let rate = u128::from(self.counted) * 1_000 / self.took.as_millis().max(1);
        let rate = grouped(u64::try_from(rate).unwrap_or(u64::MAX));
        let what = "requests per second";
        writeln!(to, "{what:27} {rate:>15}   in {seconds:.1} s")?;
        let made = grouped((self.after.total - self.before.total) / self.counted.max(1));
        writeln!(to, "{:27} {made:>15}\n", "allocations per request")
    }

    fn write_memory(&self, to: &mut String) -> Result {
        let [before, after] = ["after warm-up", "at the end"];
        writeln!(to, "{:27} {before:>15} {after:>15} {:>15}", "", "growth")?;
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
}
