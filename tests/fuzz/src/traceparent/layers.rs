//! The layers: by sample rate, by trust in callers, and by propagator.

use std::sync::LazyLock;

use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{
    Extractor, Injector, TextMapCompositePropagator, TextMapPropagator,
};
use opentelemetry::trace::TraceId;
use opentelemetry::{Context, global};
use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};
use tower_api_span::ApiSpanLayer;

use crate::sampler::observed_provider;

pub const RATES: [f64; 3] = [1.0, 0.5, 0.0];
/// The indices of two rates.
pub const HALF: usize = 1;
pub const NONE: usize = 2;

/// Whether a trace is sampled, as the SDK's `TraceIdRatioBased` decides.
pub fn is_sampled(rate: usize, trace_id: TraceId) -> bool {
    match rate {
        NONE => false,
        // The highest bit of the lower half decides.
        HALF => trace_id.to_bytes()[8] < 0x80,
        _ => true,
    }
}

/// The SDK's propagator as another type.
#[derive(Debug)]
struct Wrapped(TraceContextPropagator);

impl TextMapPropagator for Wrapped {
    fn inject_context(&self, context: &Context, injector: &mut dyn Injector) {
        self.0.inject_context(context, injector);
    }

    fn extract_with_context(&self, context: &Context, extractor: &dyn Extractor) -> Context {
        self.0.extract_with_context(context, extractor)
    }

    fn fields(&self) -> FieldIter<'_> {
        self.0.fields()
    }
}

/// The number of propagators.
pub const KINDS: usize = 4;
/// The index of the propagator that reads baggage.
pub const WITH_BAGGAGE: usize = 3;

/// The layers by rate, by `public_endpoint`, and by propagator.
pub static LAYERS: LazyLock<Vec<ApiSpanLayer>> = LazyLock::new(|| {
    global::set_text_map_propagator(TraceContextPropagator::new());
    let provider = observed_provider();
    let mut layers = Vec::new();
    for rate in RATES {
        for is_public in [false, true] {
            let layer = || {
                ApiSpanLayer::new()
                    .tracer_provider(&provider)
                    .sample_rate(rate)
                    .public_endpoint(is_public)
                    .propagate_to_inner(true)
            };
            let both = TextMapCompositePropagator::new(vec![
                Box::new(TraceContextPropagator::new()),
                Box::new(BaggagePropagator::new()),
            ]);
            layers.extend([
                layer().propagator(TraceContextPropagator::new()),
                layer().propagator(Wrapped(TraceContextPropagator::new())),
                layer(),
                layer().propagator(both),
            ]);
        }
    }
    layers
});
