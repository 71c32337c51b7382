//! What the raw observers have seen of each response, compared with the outcomes of its two spans.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::paths::{PATHS, Protocol};

/// How a response ended, by its frames, its errors and the moment it was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Whole, and a success by its status.
    Complete = 1,
    /// Whole, with the status of a client's fault.
    ClientError = 2,
    /// Whole, with the status of a server's fault.
    ServerError = 3,
    /// At its end, but not of the declared length.
    WrongLength = 4,
    /// The service or the body returned an error.
    Failed = 5,
    /// The service or the body panicked.
    Panicked = 6,
    /// The client left before the end of the response, or in the middle of its request.
    Left = 7,
}

const VERDICTS: [Verdict; 7] = [
    Verdict::Complete,
    Verdict::ClientError,
    Verdict::ServerError,
    Verdict::WrongLength,
    Verdict::Failed,
    Verdict::Panicked,
    Verdict::Left,
];

/// The outcomes of spans, and the verdicts with which they agree. What a handler or the content of a response reports
/// is not visible in frames: then the response is whole.
const OUTCOMES: [(&str, &[Verdict]); 12] = [
    ("DEPARTED", &[Verdict::Complete]),
    ("ABORTED(client_error)", &[Verdict::ClientError]),
    ("ABORTED(validation_error)", &[Verdict::ClientError]),
    (
        "ABORTED(exception)",
        &[Verdict::ServerError, Verdict::Failed],
    ),
    ("ABORTED(length_mismatch)", &[Verdict::WrongLength]),
    ("ABORTED(panic)", &[Verdict::Panicked]),
    ("ABORTED(client_disconnect)", &[Verdict::Left]),
    ("ABORTED(generator_exit)", &[Verdict::Left]),
    ("ABORTED(deadline_exceeded)", &[Verdict::Left]),
    ("ABORTED(truncated_stream)", &[Verdict::Complete]),
    ("ABORTED(generation_error)", &[Verdict::Complete]),
    ("ABORTED(content_filter)", &[Verdict::Complete]),
];

/// The layer that a span or an observer belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Outer,
    Inner,
}

impl Place {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Outer => "outer",
            Self::Inner => "inner",
        }
    }
}

/// The slots of open requests. Far more than lanes, so that no two requests share one.
const SLOTS: usize = 1 << 14;
/// The bits of each of the four reports in a slot.
const BITS: u32 = 4;
/// The first bit of the request's kind.
const KIND: u32 = 32;

/// The reports on the open requests, and the result of their comparison.
#[derive(Clone, Debug)]
pub(crate) struct Verdicts(Arc<Table>);

#[derive(Debug)]
struct Table {
    next: AtomicU64,
    agreed: AtomicU64,
    slots: Box<[AtomicU64]>,
    disagreements: Mutex<BTreeMap<String, u64>>,
}

impl Verdicts {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Table {
            next: AtomicU64::new(0),
            agreed: AtomicU64::new(0),
            slots: (0..SLOTS).map(|_| AtomicU64::new(0)).collect(),
            disagreements: Mutex::default(),
        }))
    }

    /// Begins a request of this kind. Returns its number.
    pub(crate) fn begin(&self, kind: usize) -> u64 {
        let request = self.0.next.fetch_add(1, Ordering::Relaxed);
        let left = self
            .slot(request)
            .swap((kind as u64) << KIND | FIRST, Ordering::SeqCst);
        if left != 0 {
            self.disagree(format!("an earlier request has {}", describe(left)));
        }
        request
    }

    /// Records an observer's verdict.
    pub(crate) fn observe(&self, request: u64, by: Place, verdict: Verdict) {
        self.report(request, by as u32, verdict as u64);
    }

    /// Records the outcome of a span, as `DEPARTED` or `ABORTED(reason)`.
    pub(crate) fn end_span(&self, request: u64, by: Place, outcome: &str) {
        match OUTCOMES.iter().position(|(name, _)| *name == outcome) {
            Some(nth) => self.report(request, 2 + by as u32, 1 + nth as u64),
            None => self.disagree(format!("no verdict agrees with {outcome}")),
        }
    }

    /// Records one of the four reports on a request. The last one compares them.
    fn report(&self, request: u64, nth: u32, report: u64) {
        let slot = self.slot(request);
        let before = slot.fetch_or(report << (nth * BITS), Ordering::SeqCst);
        if before & FIRST == 0 || field(before, nth) != 0 {
            self.disagree(format!(
                "a request was reported twice: {}",
                describe(before)
            ));
            return;
        }
        let all = before | report << (nth * BITS);
        if (0..4).any(|nth| field(all, nth) == 0) {
            return;
        }
        slot.store(0, Ordering::SeqCst);
        if agree(all) {
            self.0.agreed.fetch_add(1, Ordering::Relaxed);
        } else {
            self.disagree(describe(all));
        }
    }

    /// Returns the number of requests whose reports agree.
    pub(crate) fn agreed(&self) -> u64 {
        self.0.agreed.load(Ordering::Relaxed)
    }

    /// Returns the disagreements, and the requests that lack a report. Call it when no request is open.
    pub(crate) fn disagreements(&self) -> BTreeMap<String, u64> {
        let all = self.0.disagreements.lock();
        let mut all = all.unwrap_or_else(PoisonError::into_inner).clone();
        for slot in &self.0.slots {
            let left = slot.load(Ordering::SeqCst);
            if left != 0 {
                *all.entry(format!("a report is missing: {}", describe(left)))
                    .or_default() += 1;
            }
        }
        all
    }

    fn disagree(&self, what: String) {
        let mut all = self
            .0
            .disagreements
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *all.entry(what).or_default() += 1;
    }

    fn slot(&self, request: u64) -> &AtomicU64 {
        let slots = self.0.slots.len() as u64;
        &self.0.slots[usize::try_from(request % slots).expect("below the number of slots")]
    }
}

/// Marks a slot in use, also if its kind is 0.
const FIRST: u64 = 1 << (KIND - 1);

fn field(slot: u64, nth: u32) -> usize {
    let mask = (1 << BITS) - 1;
    usize::try_from(slot >> (nth * BITS) & mask).expect("four bits")
}

fn verdict(slot: u64, by: Place) -> Option<Verdict> {
    VERDICTS
        .get(field(slot, by as u32).wrapping_sub(1))
        .copied()
}

fn outcome(slot: u64, by: Place) -> Option<(&'static str, &'static [Verdict])> {
    OUTCOMES
        .get(field(slot, 2 + by as u32).wrapping_sub(1))
        .copied()
}

/// Whether both observers have seen the same, and both spans agree with it.
fn agree(slot: u64) -> bool {
    let [outer, inner] = [Place::Outer, Place::Inner].map(|by| verdict(slot, by));
    let agrees = |by| {
        let seen = outcome(slot, by).zip(outer);
        seen.is_some_and(|((_, agreeing), verdict)| agreeing.contains(&verdict))
    };
    outer == inner && agrees(Place::Outer) && agrees(Place::Inner)
}

fn describe(slot: u64) -> String {
    let kind = usize::try_from(slot >> KIND).unwrap_or_default();
    let path = PATHS.get(kind / Protocol::ALL.len());
    let name = path.map_or("no path", |path| path.name);
    let over = Protocol::ALL[kind % Protocol::ALL.len()].name();
    let reports = [Place::Outer, Place::Inner].map(|by| {
        let verdict = verdict(slot, by).map_or("nothing".to_owned(), |seen| format!("{seen:?}"));
        let outcome = outcome(slot, by).map_or("no outcome", |(name, _)| name);
        let place = by.name();
        format!("{place} observer {verdict}, {place} span {outcome}")
    });
    format!("{name} over {over}: {}", reports.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OK: &str = "DEPARTED";

    fn reported(verdicts: [Verdict; 2], outcomes: [&str; 2]) -> Verdicts {
        let table = Verdicts::new();
        let request = table.begin(0);
        table.observe(request, Place::Inner, verdicts[1]);
        table.end_span(request, Place::Inner, outcomes[1]);
        table.end_span(request, Place::Outer, outcomes[0]);
        table.observe(request, Place::Outer, verdicts[0]);
        table
    }

    #[test]
    fn each_outcome_agrees_with_its_verdicts_only() {
        for (outcome, agreeing) in OUTCOMES {
            for verdict in VERDICTS {
                let table = reported([verdict; 2], [outcome; 2]);
                let expected = u64::from(agreeing.contains(&verdict));
                assert_eq!(table.agreed(), expected, "{outcome} {verdict:?}");
                let found = table.disagreements().values().sum::<u64>();
                assert_eq!(found, 1 - expected);
            }
        }
    }

    #[test]
    fn both_sides_must_agree() {
        use Verdict::{Complete, Left};
        assert_eq!(reported([Complete; 2], [OK; 2]).agreed(), 1);
        let gone = "ABORTED(client_disconnect)";
        for (verdicts, outcomes) in [
            ([Left, Complete], [OK; 2]),
            ([Complete, Left], [OK; 2]),
            ([Complete; 2], [gone, OK]),
            ([Complete; 2], [OK, gone]),
        ] {
            let table = reported(verdicts, outcomes);
            assert_eq!((table.agreed(), table.disagreements().len()), (0, 1));
        }
    }

    #[test]
    fn missing_and_doubled_reports_are_found() {
        let table = Verdicts::new();
        let request = table.begin(0);
        table.observe(request, Place::Outer, Verdict::Complete);
        let found = table.disagreements();
        assert!(
            found
                .keys()
                .all(|what| what.starts_with("a report is missing")),
            "{found:?}"
        );
        assert_eq!(found.len(), 1);

        let table = reported([Verdict::Complete; 2], [OK; 2]);
        table.end_span(0, Place::Inner, OK);
        assert!(!table.disagreements().is_empty(), "after the comparison");

        let table = Verdicts::new();
        let request = table.begin(0);
        table.end_span(request, Place::Inner, OK);
        table.end_span(request, Place::Inner, OK);
        let found = table.disagreements();
        assert!(
            found.keys().any(|what| what.contains("reported twice")),
            "{found:?}"
        );
    }
}
