//! Counts the lines of the access log.

use std::fmt::{self, Write as _};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::signals::Counts;

/// The target of the access log.
const TARGET: &str = "tower_api_span::access_log";

/// A subscriber that counts the lines of the access log by their outcome, and keeps none.
#[derive(Clone, Default)]
pub(crate) struct Lines(pub(crate) Counts);

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
            self.0.count(outcome.0);
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
