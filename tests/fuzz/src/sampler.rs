//! A sampler that keeps its arguments: the parent of a span, and its links.

use std::cell::RefCell;

use opentelemetry::trace::{Link, SpanContext, SpanKind, TraceContextExt, TraceId};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{SamplingDecision, SamplingResult, SdkTracerProvider, ShouldSample};

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

/// Returns a provider that samples every span, and keeps the arguments of the sampler in [`SAMPLER_INPUT`].
pub fn observed_provider() -> SdkTracerProvider {
    SdkTracerProvider::builder()
        .with_sampler(ObservingSampler)
        .build()
}
