//! Where tracers come from, and how a span is started.

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
    /// The context for its children.
    pub(crate) context: Context,
}

/// How a span is started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StartOptions {
    pub(crate) clock: Clock,
    /// Whether metrics or logs read what is recorded, also if the span does not record.
    pub(crate) has_other_readers: bool,
}

/// Where spans come from.
#[derive(Clone)]
pub(crate) enum TracerSource {
    /// The global provider, looked for until it is there.
    Global(Arc<GlobalTracer>),
    /// The given provider; `None` if that is the API's no-op.
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
        // A request may be the last to hold the tracer, and with it the provider.
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

/// The tracer of the global provider, looked for until it makes a span, and then kept.
pub(crate) struct GlobalTracer {
    lookup: Lookup<Arc<dyn StartSpan>>,
    /// Whether a provider other than the no-op was seen, which has made no span yet: its sampler dropped
    /// all, or it was shut down and may be replaced. Then every request asks.
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

    /// Starts a span with a tracer that has made none yet, and keeps the tracer if it makes one now.
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

    /// Never takes back what another request has seen: a slower one may have asked before the provider
    /// was set.
    fn mark_provider_seen(&self, is_seen: bool) {
        if is_seen {
            self.is_seen.store(true, Ordering::Relaxed);
        }
    }
}

/// Returns the tracer of the global provider as it is now.
fn global_tracer() -> Option<Arc<dyn StartSpan>> {
    catch_panic(|| -> Arc<dyn StartSpan> { Arc::new(global::tracer_with_scope(scope())) })
}

/// A tracer for one request.
pub(crate) enum FoundTracer<'a> {
    /// One that makes spans.
    Known(&'a dyn StartSpan),
    /// One that may be the API's no-op.
    Candidate(&'a GlobalTracer, Arc<dyn StartSpan>),
    /// One that is not the no-op and has made no span yet. It is made when a span is started.
    Seen(&'a GlobalTracer),
}

impl FoundTracer<'_> {
    /// Whether this is another tracer than the API's no-op.
    ///
    /// To be asked where a request may be sampled out before its span is started: a tracer that is never
    /// tried would never be found.
    pub(crate) fn is_real(&self) -> bool {
        let Self::Candidate(global, tracer) = self else {
            return true;
        };
        let is_real = catch_panic(|| !is_noop_by_trial(tracer.as_ref())).unwrap_or(false);
        global.mark_provider_seen(is_real);
        is_real
    }

    /// Starts a span. Returns `None` if the tracer makes none for this request. A tracer's panic goes
    /// through.
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

/// The answer of a tracer that made no span: its parent's span context, or an invalid one.
pub(crate) struct NotStarted(SpanContext);

/// A tracer whose type is erased.
pub(crate) trait StartSpan: Send + Sync {
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
        // The span has started. If it panics here, it is ended all the same.
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
            // An invalid span in a context would cut the children off from the caller's trace.
            parent.clone()
        };
        Ok(StartedSpan { span, context })
    }
}

/// Whether the tracer that made no span under `parent` is the API's no-op.
///
/// The no-op returns its parent's span context, or an invalid one where there is no parent. A sampler
/// that drops the span may return an invalid one, too. The answer to an unsampled parent
/// distinguishes the two.
fn is_noop(tracer: &dyn StartSpan, answer: &SpanContext, parent: &Context) -> bool {
    if answer.is_valid() {
        return true;
    }
    if parent.span().span_context().is_valid() {
        return false;
    }
    is_noop_by_trial(tracer)
}

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
