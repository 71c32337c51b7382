//! The propagator set on the layer.

use opentelemetry::Context;
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};

use crate::catch_panic::catch_panic;

/// Delegates to a propagator whose destructor may panic. `None` while that runs.
#[derive(Debug)]
pub(super) struct Given<P: TextMapPropagator>(Option<P>);

impl<P: TextMapPropagator> Given<P> {
    pub(super) fn new(propagator: P) -> Self {
        Self(Some(propagator))
    }
}

impl<P: TextMapPropagator> Drop for Given<P> {
    fn drop(&mut self) {
        // A request may be the last to hold the settings.
        catch_panic(|| drop(self.0.take()));
    }
}

impl<P: TextMapPropagator> TextMapPropagator for Given<P> {
    fn inject_context(&self, context: &Context, injector: &mut dyn Injector) {
        if let Some(propagator) = &self.0 {
            propagator.inject_context(context, injector);
        }
    }

    fn extract_with_context(&self, context: &Context, extractor: &dyn Extractor) -> Context {
        match &self.0 {
            Some(propagator) => propagator.extract_with_context(context, extractor),
            None => context.clone(),
        }
    }

    fn fields(&self) -> FieldIter<'_> {
        match &self.0 {
            Some(propagator) => propagator.fields(),
            None => FieldIter::new(&[]),
        }
    }
}
