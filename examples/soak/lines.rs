//! Counts the lines of the access log.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex, PoisonError};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// The target of the access log.
const TARGET: &str = "tower_api_span::access_log";

/// A subscriber that counts the lines of the access log by their outcome, and keeps none.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<BTreeMap<String, u64>>>);

impl Lines {
    /// Returns the number of lines of each outcome.
    pub(crate) fn by_outcome(&self) -> BTreeMap<String, u64> {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.clone()
    }
}

impl Subscriber for Lines {
    /// Spans, too, so that the request's span is made and entered.
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("tower_api_span")
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        if event.metadata().target() == TARGET {
            let mut outcome = Outcome::default();
            event.record(&mut outcome);
            let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            *lines.entry(outcome.0).or_default() += 1;
        }
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// The outcome in a line, as `DEPARTED` or `ABORTED(reason)`.
#[derive(Default)]
struct Outcome(String);

impl Visit for Outcome {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "outcome" => self.0.push_str(value),
            "reason" => {
                // Writing to a string cannot fail.
                let _ = write!(self.0, "({value})");
            }
            _ => {}
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}
