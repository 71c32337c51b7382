//! A propagator that reads headers of the application's own, and does not declare them.

use opentelemetry::Context;
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry_sdk::propagation::TraceContextPropagator;

/// Reads the caller from `x-old`, or from `x-older` if that is absent. Looks at `authorization`, too, on which nothing
/// depends. Writes `traceparent`.
#[derive(Debug, Default)]
pub struct Renamed(TraceContextPropagator);

struct Headers<'a>(&'a dyn Extractor);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        let Self(headers) = self;
        let value = || headers.get("x-old").or_else(|| headers.get("x-older"));
        (key == "traceparent").then(value).flatten()
    }

    fn keys(&self) -> Vec<&str> {
        Vec::new()
    }
}

impl TextMapPropagator for Renamed {
    fn inject_context(&self, context: &Context, injector: &mut dyn Injector) {
        self.0.inject_context(context, injector);
    }

    fn extract_with_context(&self, context: &Context, extractor: &dyn Extractor) -> Context {
        let _ = extractor.get("authorization");
        self.0.extract_with_context(context, &Headers(extractor))
    }

    fn fields(&self) -> FieldIter<'_> {
        self.0.fields()
    }
}
