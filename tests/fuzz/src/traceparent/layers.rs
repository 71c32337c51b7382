//! The layers: by sample rate, by trust in callers, and by propagator.

use std::cell::RefCell;
use std::sync::LazyLock;

use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{
    Extractor, Injector, TextMapCompositePropagator, TextMapPropagator,
};
use opentelemetry::trace::{Link, SpanContext, SpanKind, TraceContextExt, TraceId};
use opentelemetry::{Context, KeyValue, global};
use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};
use opentelemetry_sdk::trace::{SamplingDecision, SamplingResult, SdkTracerProvider, ShouldSample};
use tower_api_span::ApiSpanLayer;

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

/// A sampler that keeps its arguments and samples everything.
#[derive(Clone, Debug)]
struct ObservingSampler;

/// The arguments of the sampler: the parent, and the links.
#[derive(Clone, Debug, PartialEq)]
pub struct SamplerInput {
    pub parent: SpanContext,
    pub links: Vec<SpanContext>,
}

thread_local! {
    pub static SAMPLER_INPUT: RefCell<Option<SamplerInput>> = const { RefCell::new(None) };
}

impl ShouldSample for ObservingSampler {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        _: TraceId,
        _: &str,
        _: &SpanKind,
        _: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let parent = parent.expect("a parent").span().span_context().clone();
        let links = links.iter().map(|link| link.span_context.clone());
        let input = SamplerInput {
            links: links.collect(),
            parent: parent.clone(),
        };
        assert_eq!(SAMPLER_INPUT.replace(Some(input)), None, "sampled twice");
        SamplingResult {
            decision: SamplingDecision::RecordAndSample,
            attributes: Vec::new(),
            trace_state: parent.trace_state().clone(),
        }
    }
}

/// The number of propagators.
pub const KINDS: usize = 4;
/// The index of the propagator that reads baggage.
pub const WITH_BAGGAGE: usize = 3;

/// The layers by rate, by `public_endpoint`, and by propagator.
pub static LAYERS: LazyLock<Vec<ApiSpanLayer>> = LazyLock::new(|| {
    global::set_text_map_propagator(TraceContextPropagator::new());
    let provider = SdkTracerProvider::builder()
        .with_sampler(ObservingSampler)
        .build();
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
