//! Detects whether a provider is the API's no-op, which records no data.
//!
//! If the type is known, it decides. The type of a global provider is erased, so its behaviour decides. A
//! provider that resembles the no-op but behaves differently does not count as the no-op.

use std::any::TypeId;
use std::sync::Arc;
use std::time::SystemTime;

use opentelemetry::Context;
use opentelemetry::logs::{LoggerProvider, NoopLoggerProvider};
use opentelemetry::metrics::{Meter, MeterProvider};
use opentelemetry::trace::noop::NoopTracer;
use opentelemetry::trace::{
    SpanBuilder, SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState,
};

use crate::provider::parent::Parent;
use crate::provider::start_span::{NotStarted, StartOptions, StartSpan};
use crate::recording::clock::Clock;
use crate::semconv::SCOPE_NAME;

/// Whether a tracer of this type is the no-op.
pub(super) fn is_noop_tracer<T: 'static>() -> bool {
    TypeId::of::<T>() == TypeId::of::<NoopTracer>()
}

/// Whether a logger of this type is the no-op.
pub(super) fn is_noop_logger<L: 'static>() -> bool {
    TypeId::of::<L>() == TypeId::of::<<NoopLoggerProvider as LoggerProvider>::Logger>()
}

/// Whether a meter provider of this type is the no-op. Names are compared: version 0.31 of the API does not export it.
pub(super) fn is_noop_meter_provider<P: ?Sized>() -> bool {
    std::any::type_name::<P>() == "opentelemetry::metrics::noop::NoopMeterProvider"
}

/// Whether a meter provider whose type is erased, and of which `meter` comes, is the no-op.
///
/// The no-op has no state. Another provider without state may delegate, so it is tried: the no-op
/// discards callbacks of observable instruments, which a meter that records must keep. No provider
/// with state, as the SDK's, gets that trial instrument.
pub(super) fn discards_metrics(provider: &dyn MeterProvider, meter: &Meter) -> bool {
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

/// Whether the tracer that made no span under `parent` is the API's no-op.
///
/// The no-op returns its parent's span context, or an invalid one if there is no parent. If a sampler drops the
/// span, its tracer may return an invalid one, too. A trial with an unsampled parent distinguishes the two.
pub(super) fn is_noop(
    tracer: &dyn StartSpan,
    NotStarted(answer): &NotStarted,
    parent: &Context,
) -> bool {
    if answer.is_valid() {
        return true;
    }
    if parent.span().span_context().is_valid() {
        return false;
    }
    is_noop_by_trial(tracer)
}

/// Whether the tracer returns an unsampled parent instead of a span.
pub(super) fn is_noop_by_trial(tracer: &dyn StartSpan) -> bool {
    let options = StartOptions {
        clock: Clock::start(),
        has_other_readers: false,
    };
    returns_parent(|parent| {
        let (builder, mut caller) = (SpanBuilder::from_name(SCOPE_NAME), None);
        let mut parent = Parent::new(parent, &mut caller, false);
        match tracer.start(builder, &mut parent, options) {
            Ok(started) => {
                started.span.end(SystemTime::now(), &mut |_, _| {});
                None
            }
            Err(NotStarted(answer)) => Some(answer),
        }
    })
}

/// Whether a tracer whose type is erased is the no-op.
///
/// `start` starts a span under a parent. If the tracer makes no span, it returns the span context that the
/// tracer returned. The no-op returns that of its parent. The parent here is unsampled, and telemetry is
/// suppressed, so that no tracer exports a span for it.
fn returns_parent(start: impl FnOnce(&Context) -> Option<SpanContext>) -> bool {
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
    fn only_the_no_op_meter_provider_is_taken_for_one() {
        let is_noop =
            |provider: &dyn MeterProvider| discards_metrics(provider, &provider.meter("test"));
        assert!(is_noop(&NoopMeterProvider::new()));
        assert!(!is_noop(&SdkMeterProvider::default()));
        assert!(!is_noop(&Delegates), "without state, but it records");
        assert!(is_noop_meter_provider::<NoopMeterProvider>());
        assert!(!is_noop_meter_provider::<SdkMeterProvider>());
        assert!(!is_noop_meter_provider::<Delegates>());
    }
}
