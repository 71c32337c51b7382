//! The table of results of the reloads, and its faults.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use super::providers::ProviderCounts;
use crate::memory::Memory;
use crate::report::{grouped, growth};

/// The maximal growth of allocated memory after the first round, in percent.
const MAX_GROWTH: u64 = 1;

/// Requests, by what has become of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// Their span has arrived at the provider that has started it.
    pub(crate) arrived: u64,
    /// They have no span.
    pub(crate) without_span: u64,
    /// Their span was open when its provider was shut down.
    pub(crate) open_at_shutdown: u64,
    pub(crate) in_callers_trace: u64,
    /// The number of requests that each meter provider has measured.
    pub(crate) measured: BTreeMap<usize, u64>,
    /// How many of them each meter provider must and may have measured.
    pub(crate) measurable: BTreeMap<usize, Limits>,
    /// The setting of a provider, and the number of requests since then that had no span.
    pub(crate) wait: (usize, u64),
    /// The largest such number.
    pub(crate) longest_wait: u64,
    /// Faults: requests that have not ended.
    pub(crate) open: u64,
    /// A span arrived more than once.
    pub(crate) doubled: u64,
    /// A span was started and has not arrived.
    pub(crate) lost: u64,
    /// A span arrived at another provider than the one that has started it.
    pub(crate) elsewhere: u64,
    /// No span was started, although a provider was set.
    pub(crate) missing: u64,
    /// A span was started by a provider that was replaced before the documented delay.
    pub(crate) wrong_provider: u64,
    pub(crate) wrong_propagator: u64,
    pub(crate) wrong_outcomes: u64,
}

/// The least and the largest number of requests that a meter provider may have measured.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Limits {
    pub(crate) least: u64,
    pub(crate) most: u64,
}

/// The results of a run.
pub(crate) struct Figures {
    pub(crate) steps: u64,
    pub(crate) simulated: Duration,
    pub(crate) took: Duration,
    requests: u64,
    completions: u64,
    log_events: u64,
    expected_log_events: u64,
    pub(super) tally: Tally,
    providers: ProviderCounts,
    /// Found while the run went on.
    faults: Vec<String>,
    /// After the first round, and at the end.
    pub(crate) before: Memory,
    pub(crate) after: Memory,
}

impl Figures {
    /// The three counts are those of completions, of log events, and of the expected log events.
    pub(crate) fn new(
        requests: u64,
        [completions, log_events, expected_log_events]: [u64; 3],
        tally: Tally,
        providers: ProviderCounts,
        faults: Vec<String>,
    ) -> Self {
        let now = Memory::now();
        Self {
            steps: 0,
            simulated: Duration::ZERO,
            took: Duration::ZERO,
            requests,
            completions,
            log_events,
            expected_log_events,
            tally,
            providers,
            faults,
            before: now,
            after: now,
        }
    }

    pub(crate) fn table(&self) -> String {
        let mut table = String::new();
        let mut row = |what: &str, value: u64| {
            writeln!(table, "{what:43} {:>13}", grouped(value))
                .expect("writing to a string cannot fail");
        };
        let Tally {
            arrived,
            without_span,
            open_at_shutdown,
            in_callers_trace,
            longest_wait,
            ..
        } = self.tally;
        row("simulated seconds", self.simulated.as_secs());
        row("seconds", self.took.as_secs());
        row("steps", self.steps);
        row("changes of the global providers", self.providers.changes);
        row("tracer providers", self.providers.made);
        row("requests", self.requests);
        row("spans that arrived at their provider, once", arrived);
        row("spans open when it was shut down", open_at_shutdown);
        row("requests without a span: no-op or shut down", without_span);
        row("most of them after a provider was set", longest_wait);
        row("spans in the caller's trace", in_callers_trace);
        row("requests measured", self.tally.measured.values().sum());
        row("completions", self.completions);
        row("log events", self.log_events);
        row("most providers alive", self.providers.most_alive);
        row("replaced providers alive at the end", self.providers.alive);
        for (what, [before, after]) in self.memory() {
            let values = [before, after].map(|value| value.map_or("unknown".to_owned(), grouped));
            let growth = before
                .zip(after)
                .map(|(before, after)| growth(before, after));
            let growth = growth.unwrap_or_default();
            writeln!(
                table,
                "{what:43} {:>13} {:>13} {growth:>9}",
                values[0], values[1]
            )
            .expect("writing to a string cannot fail");
        }
        table
    }

    fn memory(&self) -> [(&'static str, [Option<u64>; 2]); 3] {
        let values = |value: fn(&Memory) -> Option<u64>| [value(&self.before), value(&self.after)];
        [
            ("resident bytes", values(|memory| memory.resident)),
            ("allocated bytes", values(|memory| Some(memory.live_bytes))),
            ("allocations", values(|memory| Some(memory.live))),
        ]
    }

    /// Returns the faults, one line each.
    pub(crate) fn faults(&self) -> Vec<String> {
        let mut faults = self.faults.clone();
        let tally = &self.tally;
        for (what, count) in [
            ("requests have not ended", tally.open),
            ("spans arrived more than once", tally.doubled),
            ("spans were lost", tally.lost),
            ("spans arrived at another provider", tally.elsewhere),
            (
                "requests have no span, although a provider was set",
                tally.missing,
            ),
            (
                "spans are at a provider that was replaced long before",
                tally.wrong_provider,
            ),
            (
                "spans were made with another propagator",
                tally.wrong_propagator,
            ),
            ("spans have another outcome", tally.wrong_outcomes),
            ("replaced providers are alive", self.providers.alive),
        ] {
            if count > 0 {
                faults.push(format!("{count} {what}"));
            }
        }
        let requests = self.requests;
        for (what, count, expected) in [
            ("completions", self.completions, requests),
            ("log events", self.log_events, self.expected_log_events),
            (
                "requests accounted for",
                tally.arrived + tally.open_at_shutdown + tally.without_span,
                requests,
            ),
        ] {
            if count != expected {
                faults.push(format!("{count} {what}, of {expected}"));
            }
        }
        for (provider, Limits { least, most }) in &tally.measurable {
            let measured = self.tally.measured.get(provider);
            let measured = measured.copied().unwrap_or_default();
            if !(*least..=*most).contains(&measured) {
                faults.push(format!(
                    "meter provider {provider} has measured {measured} requests, of {least} to {most}"
                ));
            }
        }
        faults.extend(self.memory_faults());
        faults
    }

    /// Few allocations are alive, and the runtime makes some of them late. So each tenth provider may leave one: what
    /// leaks with every change leaves more.
    fn memory_faults(&self) -> impl Iterator<Item = String> {
        let Self { before, after, .. } = self;
        let rows = [
            ("bytes", before.live_bytes, after.live_bytes, 0),
            (
                "allocations",
                before.live,
                after.live,
                self.providers.made / 10,
            ),
        ];
        rows.into_iter()
            .filter_map(|(what, before, after, at_least)| {
                let allowed = at_least.max(before * MAX_GROWTH / 100);
                (after > before + allowed).then(|| {
                    let growth = growth(before, after);
                    format!("{what}: {growth}, more than {allowed} of {before}")
                })
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a run without faults, of a hundred requests.
    fn faultless() -> Figures {
        let tally = Tally {
            arrived: 90,
            without_span: 8,
            open_at_shutdown: 2,
            measured: BTreeMap::from([(3, 95)]),
            measurable: BTreeMap::from([(
                3,
                Limits {
                    least: 80,
                    most: 95,
                },
            )]),
            ..Tally::default()
        };
        Figures::new(
            100,
            [100, 7, 7],
            tally,
            ProviderCounts::default(),
            Vec::new(),
        )
    }

    #[test]
    fn each_fault_is_reported() {
        type Breaks = fn(&mut Figures);

        assert_eq!(faultless().faults(), [""; 0]);
        let cases: [(Breaks, &str); 17] = [
            (|run| run.tally.open = 1, "1 requests have not ended"),
            (|run| run.tally.doubled = 1, "1 spans arrived more than"),
            (|run| run.tally.lost = 1, "1 spans were lost"),
            (|run| run.tally.elsewhere = 1, "1 spans arrived at another"),
            (|run| run.tally.missing = 1, "1 requests have no span"),
            (|run| run.tally.wrong_provider = 1, "replaced long before"),
            (|run| run.tally.wrong_propagator = 1, "another propagator"),
            (|run| run.tally.wrong_outcomes = 1, "another outcome"),
            (|run| run.providers.alive = 1, "1 replaced providers"),
            (|run| run.completions -= 1, "99 completions, of 100"),
            (|run| run.log_events += 1, "8 log events, of 7"),
            (|run| run.tally.arrived -= 1, "99 requests accounted for"),
            (
                |run| run.tally.measured.clear(),
                "provider 3 has measured 0 requests, of 80 to 95",
            ),
            (
                |run| *run.tally.measured.entry(3).or_default() += 1,
                "provider 3 has measured 96 requests, of 80 to 95",
            ),
            (
                |run| run.after.live_bytes = run.before.live_bytes * 2,
                "bytes: +100.00 %",
            ),
            (
                |run| {
                    run.providers.made = 100;
                    (run.before.live, run.after.live) = (100, 111);
                },
                "allocations: +11.00 %, more than 10 of 100",
            ),
            (|run| run.faults.push("what".to_owned()), "what"),
        ];
        for (breaks, expected) in cases {
            let mut run = faultless();
            breaks(&mut run);
            let faults = run.faults();
            assert!(
                faults.len() == 1 && faults[0].contains(expected),
                "{expected}: {faults:?}"
            );
        }
    }
}
