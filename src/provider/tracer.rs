//! Gets tracers from a given or the global tracer provider, and starts spans.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use opentelemetry::trace::{
    Span, SpanBuilder, SpanContext, TraceContextExt, Tracer, TracerProvider,
};
use opentelemetry::{Context, global};

use crate::catch_panic::catch_panic;
use crate::provider::lookup::Lookup;
use crate::provider::noop::{is_noop_tracer, returns_parent};
use crate::recording::clock::Clock;
use crate::recording::context_span::ContextSpan;
use crate::recording::shared_span::SharedSpan;
use crate::semconv::{SCOPE_NAME, scope};

/// A span that has started.
pub(crate) struct StartedSpan {
    pub(crate) span: Arc<SharedSpan>,
    /// The parent context of its children.
    pub(crate) context: Context,
}

/// Options of the start of a span.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StartOptions {
    pub(crate) clock: Clock,
    /// Whether metrics or logs read the recorded data, even if the span does not record.
    pub(crate) has_other_readers: bool,
}

/// The source of a layer's tracer.
#[derive(Clone)]
pub(crate) enum TracerSource {
    /// The global provider, looked up until it makes spans.
    Global(Arc<GlobalTracer>),
    /// The tracer of the given provider. `None` if that is the API's no-op.
    Given(Option<Arc<dyn StartSpan>>),
}

impl TracerSource {
    pub(crate) fn global() -> Self {
        Self::Global(Arc::new(GlobalTracer {
            lookup: Lookup::default(),
            is_seen: AtomicBool::new(false),
        }))
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

    /// Returns the tracer for this request, if there is one.
    pub(crate) fn tracer(&self) -> Option<FoundTracer<'_>> {
        match self {
            Self::Global(global) => global.tracer(),
            Self::Given(tracer) => tracer.as_deref().map(FoundTracer::Known),
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

/// The tracer of the global provider, looked up until it makes a span, and then kept.
pub(crate) struct GlobalTracer {
    lookup: Lookup<Arc<dyn StartSpan>>,
    /// Whether a provider other than the no-op was seen, although it has made no span yet. Its sampler may drop
    /// all spans, or it was shut down and may be replaced. Every request then looks up the tracer.
    is_seen: AtomicBool,
}

impl GlobalTracer {
    fn tracer(&self) -> Option<FoundTracer<'_>> {
        if let Some(tracer) = self.lookup.found() {
            return Some(FoundTracer::Known(tracer.as_ref()));
        }
        if self.is_seen.load(Ordering::Relaxed) {
            return Some(FoundTracer::Seen(self));
        }
        if self.lookup.is_due() {
            Some(FoundTracer::Candidate(self, global_tracer()?))
        } else {
            None
        }
    }

    /// Starts a span with a tracer that has made no span yet. Keeps the tracer if it makes a span now.
    fn start(
        &self,
        tracer: &Arc<dyn StartSpan>,
        builder: SpanBuilder,
        parent: &Context,
        options: StartOptions,
    ) -> Option<StartedSpan> {
        match tracer.start(builder, parent, options) {
            Ok(started) => {
                self.lookup.keep(Arc::clone(tracer));
                Some(started)
            }
            Err(NotStarted(answer)) => {
                if !self.is_seen.load(Ordering::Relaxed) {
                    let is_noop = catch_panic(|| is_noop(tracer.as_ref(), &answer, parent))?;
                    self.mark_provider_seen(!is_noop);
                }
                None
            }
        }
    }

    /// Records that a real provider was seen. False has no effect: a slower request may have looked before the
    /// provider was set.
    fn mark_provider_seen(&self, is_seen: bool) {
        if is_seen {
            self.is_seen.store(true, Ordering::Relaxed);
        }
    }
}

/// Returns the tracer of the current global provider.
fn global_tracer() -> Option<Arc<dyn StartSpan>> {
    catch_panic(|| -> Arc<dyn StartSpan> { Arc::new(global::tracer_with_scope(scope())) })
}

/// A tracer for one request.
pub(crate) enum FoundTracer<'a> {
    /// The layer's own tracer, or a global one that has made a span.
    Known(&'a dyn StartSpan),
    /// A global tracer that may be the API's no-op.
    Candidate(&'a GlobalTracer, Arc<dyn StartSpan>),
    /// The tracer of a global provider that is not the no-op and has made no span yet. The tracer is created
    /// when the span is started.
    Seen(&'a GlobalTracer),
}

impl FoundTracer<'_> {
    /// Whether this tracer is not the API's no-op.
    ///
    /// Call it if the request may be sampled out before its span is started. Starting a span marks a global
    /// provider as seen, and such a request starts no span.
    pub(crate) fn is_real(&self) -> bool {
        let Self::Candidate(global, tracer) = self else {
            return true;
        };
        let is_real = catch_panic(|| !is_noop_by_trial(tracer.as_ref())).unwrap_or(false);
        global.mark_provider_seen(is_real);
        is_real
    }

    /// Starts a span. Returns `None` if the tracer makes no span for this request. A tracer's panic propagates.
    pub(crate) fn start(
        &self,
        builder: SpanBuilder,
        parent: &Context,
        options: StartOptions,
    ) -> Option<StartedSpan> {
        match self {
            Self::Known(tracer) => tracer.start(builder, parent, options).ok(),
            Self::Candidate(global, tracer) => global.start(tracer, builder, parent, options),
            Self::Seen(global) => global.start(&global_tracer()?, builder, parent, options),
        }
    }
}

/// The span context that a tracer returned without making a span: that of the parent, or an invalid one.
pub(crate) struct NotStarted(SpanContext);

/// A tracer whose type is erased.
pub(crate) trait StartSpan: Send + Sync {
    /// Starts a span.
    fn start(
        &self,
        builder: SpanBuilder,
        parent: &Context,
        options: StartOptions,
    ) -> Result<StartedSpan, NotStarted>;
}

impl<T> StartSpan for T
where
    T: Tracer + Send + Sync,
    T::Span: Send + Sync + 'static,
{
    fn start(
        &self,
        builder: SpanBuilder,
        parent: &Context,
        options: StartOptions,
    ) -> Result<StartedSpan, NotStarted> {
        let StartOptions {
            clock,
            has_other_readers,
        } = options;
        let mut span = self.build_with_context(builder, parent);
        // The span has started, so it must end even if it panics here.
        let answer = catch_panic(|| (span.span_context().clone(), span.is_recording()));
        let (span_context, is_recording) = answer.unwrap_or((SpanContext::NONE, false));
        let has_own_id = span_context.is_valid()
            && span_context.span_id() != parent.span().span_context().span_id();
        if !has_own_id && !is_recording {
            catch_panic(|| span.end());
            catch_panic(|| drop(span));
            return Err(NotStarted(span_context));
        }
        let span: Arc<SharedSpan> = Arc::new(SharedSpan::new(
            span,
            span_context,
            is_recording,
            has_other_readers,
            clock,
        ));
        let context = if has_own_id {
            parent.with_span(ContextSpan(Arc::clone(&span)))
        } else {
            // With an invalid span in the context, the children would not be in the caller's trace.
            parent.clone()
        };
        Ok(StartedSpan { span, context })
    }
}

/// Whether the tracer that made no span under `parent` is the API's no-op.
///
/// The no-op returns its parent's span context, or an invalid one if there is no parent. If a sampler drops the
/// span, its tracer may return an invalid one, too. A trial with an unsampled parent distinguishes the two.
fn is_noop(tracer: &dyn StartSpan, answer: &SpanContext, parent: &Context) -> bool {
    if answer.is_valid() {
        return true;
    }
    if parent.span().span_context().is_valid() {
        return false;
    }
    is_noop_by_trial(tracer)
}

/// Whether the tracer returns an unsampled parent instead of a span.
fn is_noop_by_trial(tracer: &dyn StartSpan) -> bool {
    let options = StartOptions {
        clock: Clock::start(),
        has_other_readers: false,
    };
    returns_parent(|parent| {
        match tracer.start(SpanBuilder::from_name(SCOPE_NAME), parent, options) {
            Ok(started) => {
                started.span.end(SystemTime::now(), &mut |_, _| {});
                None
            }
            Err(NotStarted(answer)) => Some(answer),
        }
    })
}
