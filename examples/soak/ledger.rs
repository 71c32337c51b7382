//! What the spans say: how many have started and ended, and of which kind with which outcome.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry::trace::{Event, Status};
use opentelemetry::{Context, KeyValue, Value};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, Span, SpanData, SpanProcessor};

use crate::asked::{ATTRIBUTE, KINDS};
use crate::paths::{End, PATHS, Path, Protocol};

/// Counts spans, and keeps none.
#[derive(Clone, Debug)]
pub(crate) struct Ledger(Arc<Counts>);

#[derive(Debug)]
struct Counts {
    starts: AtomicU64,
    ends: AtomicU64,
    /// Those that have ended as they should, of each kind.
    as_intended: Vec<AtomicU64>,
    otherwise: Mutex<BTreeMap<String, u64>>,
}

impl Ledger {
    /// A provider, and what counts its spans.
    pub(crate) fn new() -> (SdkTracerProvider, Self) {
        let ledger = Self(Arc::new(Counts {
            starts: AtomicU64::new(0),
            ends: AtomicU64::new(0),
            as_intended: (0..KINDS).map(|_| AtomicU64::new(0)).collect(),
            otherwise: Mutex::default(),
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

    pub(crate) fn as_intended(&self) -> Vec<u64> {
        let counts = self.0.as_intended.iter();
        counts.map(|count| count.load(Ordering::Relaxed)).collect()
    }

    /// Outcomes that should not have been, and how often they were.
    pub(crate) fn otherwise(&self) -> BTreeMap<String, u64> {
        let otherwise = self.0.otherwise.lock();
        otherwise.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, span: &SpanData) {
        let kind = match value(&span.attributes, ATTRIBUTE) {
            Some(Value::I64(kind)) => usize::try_from(*kind).ok(),
            Some(_) | None => None,
        };
        let outcome = outcome(span);
        let instead = match kind.filter(|kind| *kind < KINDS) {
            Some(kind) => {
                let path = &PATHS[kind / Protocol::ALL.len()];
                if outcome == end_of(path) {
                    self.0.as_intended[kind].fetch_add(1, Ordering::Relaxed);
                    return;
                }
                let over = Protocol::ALL[kind % Protocol::ALL.len()].name();
                format!("{} over {over}: its span says {outcome}", path.name)
            }
            None => format!("a request nobody has made: its span says {outcome}"),
        };
        let mut otherwise = self
            .0
            .otherwise
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *otherwise.entry(instead).or_default() += 1;
    }
}

/// What the span of a path must say.
fn end_of(path: &Path) -> String {
    let End { outcome, is_error } = path.end;
    let is_error = if is_error { ", an error" } else { "" };
    let first_responses = u8::from(path.has_first_response());
    format!("{outcome}{is_error}, first responses: {first_responses}")
}

/// `DEPARTED` or `ABORTED(reason)`, and whether that is an error, if attributes, events and status agree on it.
fn outcome(span: &SpanData) -> String {
    let is_error = match (&span.status, value(&span.attributes, "error.type")) {
        (Status::Error { .. }, Some(_)) => ", an error",
        (Status::Unset, None) => "",
        (status, error_type) => return format!("{status:?}, but error.type {error_type:?}"),
    };
    let text = |attributes, key| value(attributes, key).map(Value::as_str);
    let last = span.events.iter().next_back();
    let said = text(&span.attributes, "api.outcome").unwrap_or_default();
    let reason = text(&span.attributes, "api.abort.reason");
    let told = last.map(|event| (event.name.as_ref(), text(&event.attributes, "reason")));
    if told != Some((&*format!("api.{said}"), reason.clone())) {
        return format!("{said}, {reason:?}, but its last event {told:?}");
    }
    let first = |event: &&Event| event.name == "api.FIRST_RESPONSE_FROM_CORE";
    let first_responses = span.events.iter().filter(first).count();
    let said = match reason {
        Some(reason) => format!("{said}({reason}){is_error}"),
        None => format!("{said}{is_error}"),
    };
    format!("{said}, first responses: {first_responses}")
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
        self.note(&span);
        self.0.ends.fetch_add(1, Ordering::SeqCst);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}
