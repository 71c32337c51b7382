//! Provider to slot and context: the only file that names a `Tracer`.

use std::any::TypeId;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use opentelemetry::trace::noop::{NoopSpan, NoopTracer};
use opentelemetry::trace::{
    Span, SpanBuilder, SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState,
    Tracer, TracerProvider,
};
use opentelemetry::{Context, global};

use crate::catch_panic::catch_panic;
use crate::provider::schedule::Schedule;
use crate::recording::clock::Clock;
use crate::recording::shared_span::{Slot, SpanSlot, ThinSpan};
use crate::semconv::{SCOPE_NAME, scope};

/// A span that has started.
pub(crate) struct Started {
    pub(crate) slot: Arc<dyn Slot>,
    /// The context its children are made in.
    pub(crate) context: Context,
}

/// Under whose eyes a request is served.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StartOptions {
    pub(crate) timeline: Clock,
    /// Metrics or logs want to know of it, whether or not the span records.
    pub(crate) by_others: bool,
}

/// Where a request is watched of which there is no span: what is told of it belongs to the span in
/// `context`, if there is one.
pub(crate) fn no_span(timeline: Clock, context: &Context) -> Arc<dyn Slot> {
    let span = NoopSpan::DEFAULT;
    let belongs_to = context.span().span_context().clone();
    Arc::new(SpanSlot::new(span, belongs_to, false, true, timeline))
}

/// Where spans come from.
#[derive(Clone)]
pub(crate) enum TracerSource {
    /// The process-wide provider, looked for until it is a real one.
    Global(Arc<GlobalTracer>),
    /// The layer's own; `None` if it was given one that makes no spans.
    Given(Option<Arc<dyn StartSpan>>),
}

impl TracerSource {
    /// The global provider, whenever it will be set.
    pub(crate) fn global() -> Self {
        Self::Global(Arc::new(GlobalTracer {
            found: OnceLock::new(),
            schedule: Schedule::default(),
            is_near: AtomicBool::new(false),
        }))
    }

    /// This provider.
    pub(crate) fn given<P>(provider: &P) -> Self
    where
        P: TracerProvider,
        P::Tracer: Send + Sync + 'static,
        <P::Tracer as Tracer>::Span: Send + Sync + 'static,
    {
        let makes_no_spans = TypeId::of::<P::Tracer>() == TypeId::of::<NoopTracer>();
        Self::Given((!makes_no_spans).then(|| {
            let tracer: Arc<dyn StartSpan> = Arc::new(provider.tracer_with_scope(scope()));
            tracer
        }))
    }

    /// The tracer for this request, if there is one.
    pub(crate) fn tracer(&self) -> Option<FoundTracer<'_>> {
        match self {
            Self::Global(global) => global.tracer(),
            Self::Given(tracer) => tracer.as_deref().map(FoundTracer::Known),
        }
    }
}

impl Drop for TracerSource {
    fn drop(&mut self) {
        // A request may be the last to have the settings, and with the tracer it drops the provider.
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

/// The global provider's tracer, once there is a real one.
///
/// A tracer got before the provider was set would make no spans for ever, and asking at every
/// request would cost a lock and an allocation. So it is asked at the 1st, 2nd, 4th … request and
/// then at every 1,024th, until it makes a span; that tracer is kept.
pub(crate) struct GlobalTracer {
    found: OnceLock<Arc<dyn StartSpan>>,
    schedule: Schedule,
    /// A real tracer was seen, which has made no span yet: its sampler said no, or its provider was
    /// shut down and may be replaced. It is worth asking at every request.
    is_near: AtomicBool,
}

impl GlobalTracer {
    fn tracer(&self) -> Option<FoundTracer<'_>> {
        if let Some(tracer) = self.found.get() {
            return Some(FoundTracer::Known(tracer.as_ref()));
        }
        if self.is_near.load(Ordering::Relaxed) {
            return Some(FoundTracer::Near(self));
        }
        if self.schedule.is_due() {
            Some(FoundTracer::Candidate(self, global_tracer()?))
        } else {
            None
        }
    }
}

impl GlobalTracer {
    /// Starts a span with a tracer that has made none yet, and keeps it if it does.
    fn start(
        &self,
        tracer: &Arc<dyn StartSpan>,
        builder: SpanBuilder,
        parent: &Context,
        watch: StartOptions,
    ) -> Option<Started> {
        let started = tracer.start(builder, parent, watch);
        match &started {
            // Another request may have been faster; its tracer is as good.
            Ok(_) => drop(self.found.set(Arc::clone(tracer))),
            Err(_) if self.is_near.load(Ordering::Relaxed) => {}
            Err(answer) => {
                let is_no_op = catch_panic(|| is_no_op(tracer.as_ref(), answer, parent))?;
                self.take_note(!is_no_op);
            }
        }
        started.ok()
    }

    /// Never takes back what another request has seen in the meantime: whoever is slower may have asked
    /// when there was no more than the no-op.
    fn take_note(&self, is_real: bool) {
        if is_real {
            self.is_near.store(true, Ordering::Relaxed);
        }
    }
}

/// The tracer of the global provider as it is now.
fn global_tracer() -> Option<Arc<dyn StartSpan>> {
    catch_panic(|| -> Arc<dyn StartSpan> { Arc::new(global::tracer_with_scope(scope())) })
}

/// A tracer for one request.
pub(crate) enum FoundTracer<'a> {
    /// One that makes spans.
    Known(&'a dyn StartSpan),
    /// One that may be the API's no-op.
    Candidate(&'a GlobalTracer, Arc<dyn StartSpan>),
    /// One that is there and has made no span yet: to be got when a span is wanted.
    Near(&'a GlobalTracer),
}

impl FoundTracer<'_> {
    /// Whether this is more than the API's no-op. To be asked where a request may be sampled out
    /// before it has a span to tell by: a tracer that is never tried is never found.
    pub(crate) fn is_real(&self) -> bool {
        let Self::Candidate(global, tracer) = self else {
            return true;
        };
        let is_real = catch_panic(|| !hands_back(tracer.as_ref())).unwrap_or(false);
        global.take_note(is_real);
        is_real
    }

    /// Starts a span; `None` if the tracer makes none for this request. A tracer that panics is for the
    /// caller to catch_panic.
    pub(crate) fn start(
        &self,
        builder: SpanBuilder,
        parent: &Context,
        watch: StartOptions,
    ) -> Option<Started> {
        match self {
            Self::Known(tracer) => tracer.start(builder, parent, watch).ok(),
            Self::Candidate(global, tracer) => global.start(tracer, builder, parent, watch),
            Self::Near(global) => global.start(&global_tracer()?, builder, parent, watch),
        }
    }
}

/// A tracer whose type is forgotten.
pub(crate) trait StartSpan: Send + Sync {
    /// Starts a span. An error is the answer of a tracer that made none: the span context of its
    /// parent, or an invalid one.
    fn start(
        &self,
        builder: SpanBuilder,
        parent: &Context,
        watch: StartOptions,
    ) -> Result<Started, SpanContext>;
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
        watch: StartOptions,
    ) -> Result<Started, SpanContext> {
        let StartOptions {
            timeline,
            by_others,
        } = watch;
        let mut span = self.build_with_context(builder, parent);
        // It has started, whatever it answers: if it panics here, it is ended all the same.
        let asked = catch_panic(|| (span.span_context().clone(), span.is_recording()));
        let (span_context, recording) = asked.unwrap_or((SpanContext::NONE, false));
        let has_own_id = span_context.is_valid()
            && span_context.span_id() != parent.span().span_context().span_id();
        if !has_own_id && !recording {
            catch_panic(|| span.end());
            catch_panic(|| drop(span));
            return Err(span_context);
        }
        let slot = SpanSlot::new(span, span_context, recording, by_others, timeline);
        let slot: Arc<dyn Slot> = Arc::new(slot);
        let context = if has_own_id {
            parent.with_span(ThinSpan(Arc::clone(&slot)))
        } else {
            // An invalid span in a context would cut the children off from the caller's trace.
            parent.clone()
        };
        Ok(Started { slot, context })
    }
}

/// Whether the tracer that gave this answer, instead of a span under `parent`, is the API's no-op.
///
/// The no-op hands back its parent's span context, or an invalid one where there is no parent. A
/// sampler's "no" may be an invalid one too: there the answer to an unsampled, made-up parent tells
/// them apart.
fn is_no_op(tracer: &dyn StartSpan, answer: &SpanContext, parent: &Context) -> bool {
    if answer.is_valid() {
        return true;
    }
    if parent.span().span_context().is_valid() {
        return false;
    }
    hands_back(tracer)
}

/// Whether a tracer hands back an unsampled, made-up parent, as the API's no-op does. Telemetry is
/// suppressed, so that it makes no span that somebody would see.
fn hands_back(tracer: &dyn StartSpan) -> bool {
    let made_up = SpanContext::new(
        TraceId::from(1),
        SpanId::from(1),
        TraceFlags::NOT_SAMPLED,
        true,
        TraceState::NONE,
    );
    let parent = Context::new()
        .with_remote_span_context(made_up.clone())
        .with_telemetry_suppressed();
    let builder = SpanBuilder::from_name(SCOPE_NAME);
    let watch = StartOptions {
        timeline: Clock::start(),
        by_others: false,
    };
    match tracer.start(builder, &parent, watch) {
        Ok(started) => {
            started.slot.end(SystemTime::now(), &mut |_, _| {});
            false
        }
        Err(answer) => answer.span_id() == made_up.span_id(),
    }
}
