//! Code that the benches share: providers, requests, services and readers.

#![allow(dead_code, reason = "each bench uses a part of it")]

pub(crate) mod allocators;
pub(crate) mod handwritten;
pub(crate) mod requests;
pub(crate) mod rung;
pub(crate) mod services;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use criterion::Criterion;
use opentelemetry::Context;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider, Span, SpanData, SpanProcessor};
use tower_api_span::ApiSpanLayer;

/// A processor that only counts the ended spans.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ends(Arc<AtomicU64>);

impl Ends {
    pub(crate) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn provider(&self, sampler: Sampler) -> SdkTracerProvider {
        SdkTracerProvider::builder()
            .with_sampler(sampler)
            .with_span_processor(self.clone())
            .build()
    }

    pub(crate) fn add(&self, ended: usize) {
        self.0.fetch_add(ended as u64, Ordering::Relaxed);
    }
}

impl SpanProcessor for Ends {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, _: SpanData) {
        self.add(1);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// Sets the W3C propagator, the usual choice.
pub(crate) fn with_w3c(layer: ApiSpanLayer) -> ApiSpanLayer {
    layer.propagator(TraceContextPropagator::new())
}

/// Returns criterion with the command line's settings and short defaults, because there are many rungs.
pub(crate) fn criterion() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args()
}

/// Whether the run only lists the benches (`--list`).
pub(crate) fn is_list() -> bool {
    std::env::args().any(|argument| argument == "--list")
}

/// Whether the run only tests the bench: with `--test`, or without the `--bench` that `cargo bench` passes. The
/// rule is criterion's.
pub(crate) fn is_test() -> bool {
    let has = |wanted: &str| std::env::args().any(|argument| argument == wanted);
    has("--test") || !has("--bench")
}
