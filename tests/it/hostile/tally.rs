//! A span processor that counts spans and keeps none of them.

// That of the soak.
#[path = "../../../examples/soak/lines.rs"]
mod lines;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, Span, SpanData, SpanProcessor};
use tower_api_span::{AccessLog, ApiSpanLayer};
use tracing::Dispatch;
use tracing::dispatcher::set_default;

use crate::completion::shown;
use crate::metrics::{CALL_DURATION, DURATION};
use crate::support::meters::{Meters, Series};
use crate::support::recorder::{Seen, w3c};

use lines::Lines;

/// Counts span starts, span ends and outcomes, completions, measurements and lines of the access log.
#[derive(Clone, Default)]
pub(super) struct Tally(Arc<Counts>);

impl fmt::Debug for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tally")
    }
}

#[derive(Default)]
struct Counts {
    starts: AtomicUsize,
    ends: AtomicUsize,
    outcomes: Mutex<BTreeMap<String, usize>>,
    /// What `on_completion` was called with.
    completions: Mutex<BTreeMap<String, usize>>,
    meters: Meters,
    lines: Lines,
    /// Whether it made the layer, and not only the provider.
    has_layer: AtomicBool,
}

impl Tally {
    /// Returns a layer whose spans are counted here.
    pub(super) fn layer(&self) -> ApiSpanLayer {
        let provider = SdkTracerProvider::builder()
            .with_span_processor(self.clone())
            .build();
        self.0.has_layer.store(true, Ordering::SeqCst);
        let counts = Arc::clone(&self.0);
        let subscriber = Dispatch::new(self.0.lines.clone());
        let log = AccessLog::new().filter(move |_| {
            // For whatever thread the request arrives on, which is one of this test. The layer asks for the subscriber
            // next.
            std::mem::forget(set_default(&subscriber));
            true
        });
        let layer = ApiSpanLayer::new()
            .tracer_provider(&provider)
            .propagator(w3c())
            .access_log(log);
        self.0.meters.on(layer).on_completion(move |completion| {
            let mut all = counts.completions.lock().expect("not poisoned");
            *all.entry(shown(completion)).or_default() += 1;
        })
    }

    /// Checks that the callback was called, the duration was measured and a line was written as often as spans have
    /// ended.
    fn check_balance(&self) {
        if !self.0.has_layer.load(Ordering::SeqCst) {
            return;
        }
        let completions = self.0.completions.lock().expect("not poisoned").clone();
        assert_eq!(completions.into_iter().collect::<Vec<_>>(), self.outcomes());
        let lines = self.0.lines.by_outcome();
        let expected = self.outcomes().into_iter();
        assert_eq!(
            lines,
            expected
                .map(|(outcome, spans)| (outcome, spans as u64))
                .collect()
        );
        let measured = [DURATION, CALL_DURATION].map(|metric| {
            let all = self.0.meters.of(metric);
            all.iter().map(Series::count).sum::<u64>()
        });
        assert_eq!(measured.iter().sum::<u64>(), self.ends() as u64);
    }

    pub(super) fn starts(&self) -> usize {
        self.0.starts.load(Ordering::SeqCst)
    }

    pub(super) fn ends(&self) -> usize {
        self.0.ends.load(Ordering::SeqCst)
    }

    /// Returns the number of spans for each outcome, sorted by outcome.
    pub(super) fn outcomes(&self) -> Vec<(String, usize)> {
        let outcomes = self.0.outcomes.lock().expect("not poisoned").clone();
        outcomes.into_iter().collect()
    }

    /// Checks the outcomes of all spans that have ended.
    pub(super) fn check_all(&self, outcomes: &[(&str, usize)]) {
        let outcomes = outcomes
            .iter()
            .map(|(outcome, spans)| ((*outcome).to_owned(), *spans));
        assert_eq!(self.outcomes(), outcomes.collect::<Vec<_>>());
        self.check_balance();
    }

    /// Checks that this many spans have started and ended, all with this outcome.
    pub(super) fn check(&self, case: &str, spans: usize, outcome: &str) {
        assert_eq!((self.starts(), self.ends()), (spans, spans), "{case}");
        assert_eq!(self.outcomes(), [(outcome.to_owned(), spans)], "{case}");
        self.check_balance();
    }
}

impl SpanProcessor for Tally {
    fn on_start(&self, _: &mut Span, _: &Context) {
        self.0.starts.fetch_add(1, Ordering::SeqCst);
    }

    fn on_end(&self, span: SpanData) {
        let outcome = Seen(span).outcome();
        let mut outcomes = self.0.outcomes.lock().expect("not poisoned");
        *outcomes.entry(outcome).or_default() += 1;
        drop(outcomes);
        self.0.ends.fetch_add(1, Ordering::SeqCst);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}
