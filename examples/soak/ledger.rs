//! Counts the spans: started, ended, and with the expected outcome per kind of request.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry::trace::{Event, Status};
use opentelemetry::{Context, KeyValue, Value};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, Span, SpanData, SpanProcessor};

use crate::paths::{End, PATHS, Path, Protocol};
use crate::tag::{ATTRIBUTE, KINDS};

/// A processor that counts spans and keeps none.
#[derive(Clone, Debug)]
pub(crate) struct Ledger(Arc<Counts>);

#[derive(Debug)]
struct Counts {
    starts: AtomicU64,
    ends: AtomicU64,
    completions: AtomicU64,
    /// Spans with the expected outcome, per kind.
    as_expected: Vec<AtomicU64>,
    unexpected: Mutex<BTreeMap<String, u64>>,
}

impl Ledger {
    /// Returns a provider, and the counts of its spans.
    pub(crate) fn new() -> (SdkTracerProvider, Self) {
        let ledger = Self(Arc::new(Counts {
            starts: AtomicU64::new(0),
            ends: AtomicU64::new(0),
            completions: AtomicU64::new(0),
            as_expected: (0..KINDS).map(|_| AtomicU64::new(0)).collect(),
            unexpected: Mutex::default(),
        }));
        let provider = SdkTracerProvider::builder()
            .with_span_processor(ledger.clone())
            .build();
        (provider, ledger)
    }

    pub(crate) fn starts(&self) -> u64 {
        self.0.starts.load(Ordering::SeqCst)
    }

    pub(crate) fn ends(&self) -> u64 {
        self.0.ends.load(Ordering::SeqCst)
    }

    pub(crate) fn completions(&self) -> u64 {
        self.0.completions.load(Ordering::SeqCst)
    }

    pub(crate) fn count_completion(&self) {
        self.0.completions.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn as_expected(&self) -> Vec<u64> {
        let counts = self.0.as_expected.iter();
        counts.map(|count| count.load(Ordering::Relaxed)).collect()
    }

    /// Returns the unexpected outcomes and their counts.
    pub(crate) fn unexpected(&self) -> BTreeMap<String, u64> {
        let unexpected = self.0.unexpected.lock();
        unexpected.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn record(&self, span: &SpanData) {
        let kind = match value(&span.attributes, ATTRIBUTE) {
            Some(Value::I64(kind)) => usize::try_from(*kind).ok(),
            Some(_) | None => None,
        };
        let outcome = outcome(span);
        let description = match kind.filter(|kind| *kind < KINDS) {
            Some(kind) => {
                let path = &PATHS[kind / Protocol::ALL.len()];
                if outcome == expected_outcome(path) {
                    self.0.as_expected[kind].fetch_add(1, Ordering::Relaxed);
                    return;
                }
                let over = Protocol::ALL[kind % Protocol::ALL.len()].name();
                format!("{} over {over}: its span has {outcome}", path.name)
            }
            None => format!("a request without a valid tag: its span has {outcome}"),
        };
        let mut unexpected = self
            .0
            .unexpected
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *unexpected.entry(description).or_default() += 1;
    }
}

/// Returns the expected outcome of a path, as [`outcome`] writes it.
fn expected_outcome(path: &Path) -> String {
    let End { outcome, is_error } = path.end;
    let is_error = if is_error { ", an error" } else { "" };
    let first_responses = u8::from(path.has_first_response());
    format!("{outcome}{is_error}, first responses: {first_responses}")
}

/// Returns the outcome, the error status and the number of first responses, or a contradiction between the
/// span's attributes, events and status.
fn outcome(span: &SpanData) -> String {
    let is_error = match (&span.status, value(&span.attributes, "error.type")) {
        (Status::Error { .. }, Some(_)) => ", an error",
        (Status::Unset, None) => "",
        (status, error_type) => return format!("{status:?}, but error.type {error_type:?}"),
    };
    let text = |attributes, key| value(attributes, key).map(Value::as_str);
    let last = span.events.iter().next_back();
    let outcome = text(&span.attributes, "api.outcome").unwrap_or_default();
    let reason = text(&span.attributes, "api.abort.reason");
    let event = last.map(|event| (event.name.as_ref(), text(&event.attributes, "reason")));
    if event != Some((&*format!("api.{outcome}"), reason.clone())) {
        return format!("{outcome}, {reason:?}, but its last event {event:?}");
    }
    let first = |event: &&Event| event.name == "api.FIRST_RESPONSE_FROM_CORE";
    let first_responses = span.events.iter().filter(first).count();
    let outcome = match reason {
        Some(reason) => format!("{outcome}({reason}){is_error}"),
        None => format!("{outcome}{is_error}"),
    };
    format!("{outcome}, first responses: {first_responses}")
}

fn value<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a Value> {
    let found = attributes.iter().find(|found| found.key.as_str() == key)?;
    Some(&found.value)
}

impl SpanProcessor for Ledger {
    fn on_start(&self, _: &mut Span, _: &Context) {
        self.0.starts.fetch_add(1, Ordering::SeqCst);
    }

    fn on_end(&self, span: SpanData) {
        self.record(&span);
        self.0.ends.fetch_add(1, Ordering::SeqCst);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}
