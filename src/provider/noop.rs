//! Detects whether a provider is the API's no-op, which records no data.
//!
//! If the type is known, it decides. The type of a global provider is erased, so its behaviour decides. A
//! provider that resembles the no-op but behaves differently does not count as the no-op.

use std::any::TypeId;
use std::sync::Arc;

use opentelemetry::Context;
use opentelemetry::logs::{LoggerProvider, NoopLoggerProvider};
use opentelemetry::metrics::{Meter, MeterProvider};
use opentelemetry::trace::noop::NoopTracer;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};

/// Whether a tracer of this type is the no-op.
pub(super) fn is_noop_tracer<T: 'static>() -> bool {
    TypeId::of::<T>() == TypeId::of::<NoopTracer>()
}

/// Whether a logger of this type is the no-op.
pub(super) fn is_noop_logger<L: 'static>() -> bool {
    TypeId::of::<L>() == TypeId::of::<<NoopLoggerProvider as LoggerProvider>::Logger>()
}

/// Whether a meter provider, which made `meter`, is the no-op.
///
/// The no-op has size 0. Another provider of size 0 may delegate, so its meter is tried: the no-op discards the
/// callbacks of observable instruments, and a meter that records must keep them. A provider with fields, such
/// as the SDK's, never gets that trial instrument.
pub(super) fn is_noop_meter_provider(provider: &dyn MeterProvider, meter: &Meter) -> bool {
    size_of_val(provider) == 0 && discards_callbacks(meter)
}

/// Whether a meter drops the callback of an observable instrument.
fn discards_callbacks(meter: &Meter) -> bool {
    let token = Arc::new(());
    let held = Arc::clone(&token);
    let _instrument = meter
        .u64_observable_counter("api.server.probe")
        // The callback observes no value, so no metric is exported.
        .with_callback(move |_| drop(Arc::clone(&held)))
        .build();
    Arc::strong_count(&token) == 1
}

/// Whether a tracer whose type is erased is the no-op.
///
/// `start` starts a span under a parent. If the tracer makes no span, it returns the span context that the
/// tracer returned. The no-op returns that of its parent. The parent here is unsampled, and telemetry is
/// suppressed, so that no tracer exports a span for it.
pub(super) fn returns_parent(start: impl FnOnce(&Context) -> Option<SpanContext>) -> bool {
    let probe = SpanContext::new(
        TraceId::from(1),
        SpanId::from(1),
        TraceFlags::NOT_SAMPLED,
        true,
        TraceState::NONE,
    );
    let span_id = probe.span_id();
    let parent = Context::new()
        .with_remote_span_context(probe)
        .with_telemetry_suppressed();
    start(&parent).is_some_and(|answer| answer.span_id() == span_id)
}

#[cfg(test)]
mod tests {
    use opentelemetry::InstrumentationScope;
    use opentelemetry::metrics::noop::NoopMeterProvider;
    use opentelemetry_sdk::metrics::SdkMeterProvider;

    use super::*;

    /// A provider of size 0 that delegates to a provider that records.
    struct Delegates;

    impl MeterProvider for Delegates {
        fn meter_with_scope(&self, scope: InstrumentationScope) -> Meter {
            use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader};
            let exporter = InMemoryMetricExporter::default();
            let reader = PeriodicReader::builder(exporter).build();
            let provider = SdkMeterProvider::builder().with_reader(reader).build();
            provider.meter_with_scope(scope)
        }
    }

    #[test]
    fn only_the_noop_meter_provider_is_detected_as_noop() {
        let is_noop = |provider: &dyn MeterProvider| {
            is_noop_meter_provider(provider, &provider.meter("test"))
        };
        assert!(is_noop(&NoopMeterProvider::new()));
        assert!(!is_noop(&SdkMeterProvider::default()));
        assert!(!is_noop(&Delegates), "of size 0, but it records");
    }
}
