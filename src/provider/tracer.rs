//! Gets tracers from a given or the global tracer provider.

use std::fmt;
use std::sync::Arc;

use opentelemetry::trace::{SpanBuilder, Tracer, TracerProvider};

use crate::catch_panic::catch_panic;
use crate::provider::global_tracer::{GlobalCandidate, GlobalTracer};
use crate::provider::noop::is_noop_tracer;
use crate::provider::parent::Parent;
use crate::provider::start_span::{StartOptions, StartSpan, StartedSpan};
use crate::semconv::scope;

/// The source of a layer's tracer.
#[derive(Clone)]
pub(crate) enum TracerSource {
    /// The global provider, whatever it is at the time.
    Global(Arc<GlobalTracer>),
    /// The tracer of the given provider. `None` if that is the API's no-op.
    Given(Option<Arc<dyn StartSpan>>),
}

impl TracerSource {
    pub(crate) fn global() -> Self {
        Self::Global(Arc::default())
    }

    pub(crate) fn given<P>(provider: &P) -> Self
    where
        P: TracerProvider,
        P::Tracer: Send + Sync + 'static,
        <P::Tracer as Tracer>::Span: Send + Sync + 'static,
    {
        if is_noop_tracer::<P::Tracer>() {
            return Self::Given(None);
        }
        Self::Given(Some(Arc::new(provider.tracer_with_scope(scope()))))
    }

    /// Describes the provider in a few words.
    pub(crate) fn describe(&self) -> &'static str {
        match self {
            Self::Global(global) => global.describe(),
            Self::Given(Some(_)) => "given",
            Self::Given(None) => "given, none (the API's no-op)",
        }
    }

    /// Returns the tracer for this request, if there is one.
    pub(crate) fn tracer(&self) -> Option<FoundTracer<'_>> {
        match self {
            Self::Global(global) => global.tracer().map(FoundTracer::Global),
            Self::Given(tracer) => tracer.as_deref().map(FoundTracer::Given),
        }
    }
}

impl Default for TracerSource {
    fn default() -> Self {
        Self::global()
    }
}

impl Drop for TracerSource {
    fn drop(&mut self) {
        // A request may drop the last tracer, and with it the provider, whose destructor may panic.
        if let Self::Given(tracer) = self {
            catch_panic(|| drop(tracer.take()));
        }
    }
}

impl fmt::Debug for TracerSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Global(_) => "Global",
            Self::Given(_) => "Given",
        })
    }
}

/// A tracer for one request.
pub(crate) enum FoundTracer<'a> {
    /// The tracer of the given provider.
    Given(&'a dyn StartSpan),
    Global(GlobalCandidate<'a>),
}

impl FoundTracer<'_> {
    /// Whether this tracer is not the API's no-op.
    ///
    /// Call it if the request may be sampled out before its span is started. Starting a span marks a global
    /// provider as seen, and such a request starts no span.
    pub(crate) fn is_real(&self) -> bool {
        match self {
            Self::Given(_) => true,
            Self::Global(tracer) => tracer.is_real(),
        }
    }

    /// Starts a span. Returns `None` if the tracer makes no span for this request. A tracer's panic propagates.
    pub(crate) fn start(
        self,
        builder: SpanBuilder,
        parent: &mut Parent<'_>,
        options: StartOptions,
    ) -> Option<StartedSpan> {
        match self {
            Self::Given(tracer) => tracer.start(builder, parent, options).ok(),
            Self::Global(tracer) => tracer.start(builder, parent, options),
        }
    }
}
