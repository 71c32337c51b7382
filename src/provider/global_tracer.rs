//! The tracer of the global provider, which may be set and replaced while requests are served.

// Not `std`: loom would try many more orders.
use core::sync::atomic::AtomicU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::Guard;
use opentelemetry::Context;
use opentelemetry::global::{self, BoxedTracer};
use opentelemetry::trace::SpanBuilder;

use crate::catch_panic::catch_panic;
use crate::provider::lookup::{Found, Latest, Lookup, NOT_YET_FOUND, Renewal, Schedule};
use crate::provider::missing_tracer::MissingTracer;
use crate::provider::noop::{is_noop, is_noop_by_trial};
use crate::provider::parent::Parent;
use crate::provider::start_span::{NotStarted, StartOptions, StartSpan, StartedSpan};
use crate::recording::clock::Clock;
use crate::semconv::scope;

/// The tracer of the global provider: looked up until it makes a span, and then kept and renewed.
///
/// A new tracer replaces the kept one whether or not the provider is another, because the API cannot compare them. A
/// tracer keeps its provider alive. So nothing of the layer keeps a provider that was replaced, except open spans.
#[derive(Default)]
pub(crate) struct GlobalTracer {
    latest: Latest<Finding>,
    /// Selects the requests that look while there is no real provider.
    schedule: Schedule,
    /// Selects the requests that look again.
    renewal: Renewal,
    /// Counts the requests for which the kept tracer made no span, since the last renewal.
    misses: Schedule,
    /// Whether the next request looks again, after a miss.
    is_retry_due: AtomicBool,
    /// The lookup of the tracer that made no span for the latest request without one; 0 if there was none.
    missed_by: AtomicU64,
    /// Whether a tracer that has made no span yet refused to start one.
    is_start_refused: AtomicBool,
    missing: MissingTracer,
}

/// What a lookup of the global tracer has found.
pub(crate) enum Finding {
    /// The provider is the API's no-op.
    Noop,
    /// The provider is real, although it has made no span yet. Its sampler may drop all spans, or it was shut down and
    /// may be replaced. Every request then looks up the tracer.
    Seen,
    /// A tracer that has made a span, or has replaced one that had.
    Kept(GlobalProviderTracer),
}

/// What the latest lookup has found.
pub(crate) type LatestFinding = Guard<Option<Arc<Found<Finding>>>>;

impl GlobalTracer {
    /// Returns the tracer for this request, if there is one.
    pub(crate) fn tracer(&self) -> Option<GlobalCandidate<'_>> {
        let latest = self.latest.get();
        match latest.as_ref().map(|found| &found.value) {
            Some(Finding::Kept(_)) => Some(GlobalCandidate::Kept(self, latest)),
            Some(Finding::Seen) => Some(GlobalCandidate::Seen(self)),
            Some(Finding::Noop) | None if self.schedule.is_due() => {
                let lookup = self.latest.begin();
                let tracer = GlobalProviderTracer::look_up()?;
                Some(GlobalCandidate::Untried(self, lookup, tracer))
            }
            Some(Finding::Noop) | None => None,
        }
    }

    /// Starts a span with the kept tracer, or with a new one if this request renews it.
    fn start_with_kept(
        &self,
        kept: &LatestFinding,
        builder: SpanBuilder,
        parent: &mut Parent<'_>,
        options: StartOptions,
    ) -> Option<StartedSpan> {
        let renewed = if self.is_renewal_due(options.clock) {
            self.renew()
        } else {
            None
        };
        let found = renewed.as_deref().or(kept.as_deref())?;
        let Finding::Kept(tracer) = &found.value else {
            return None;
        };
        let tracer = tracer.get()?;
        match tracer.start(builder, parent, options) {
            Ok(started) => Some(started),
            Err(answer) => {
                self.count_miss(found, tracer, &answer, parent.context());
                None
            }
        }
    }

    fn is_renewal_due(&self, clock: Clock) -> bool {
        if self.renewal.is_due(clock.start_moment()) {
            self.misses.restart();
            return true;
        }
        // Most requests only read it.
        self.is_retry_due.load(Ordering::Relaxed)
            && self.is_retry_due.swap(false, Ordering::Relaxed)
    }

    /// Replaces the kept tracer. Returns the new one.
    fn renew(&self) -> Option<Arc<Found<Finding>>> {
        let lookup = self.latest.begin();
        let tracer = GlobalProviderTracer::look_up()?;
        Some(self.latest.keep(lookup, Finding::Kept(tracer)))
    }

    /// Counts a request for which the kept tracer made no span. The provider was shut down, and may have been replaced
    /// since. Or the no-op has replaced it. Or its sampler drops spans without an id, which the SDK's does not.
    fn count_miss(
        &self,
        found: &Found<Finding>,
        tracer: &BoxedTracer,
        answer: &NotStarted,
        parent: &Context,
    ) {
        self.missed_by.store(found.number(), Ordering::Relaxed);
        if !self.misses.is_due() {
            return;
        }
        if catch_panic(|| is_noop(tracer, answer, parent)) == Some(true) {
            self.lose(found.successor());
        } else {
            self.is_retry_due.store(true, Ordering::Relaxed);
        }
    }

    /// Starts a span with the current global tracer, which has made no span yet. Keeps the tracer if it makes one now.
    fn start_with_current(
        &self,
        lookup: Lookup,
        tracer: GlobalProviderTracer,
        builder: SpanBuilder,
        parent: &mut Parent<'_>,
        options: StartOptions,
    ) -> Option<StartedSpan> {
        let started = tracer.get()?.start(builder, parent, options);
        match started {
            Ok(started) => {
                self.renewal.restart(options.clock.start_moment());
                self.latest.keep(lookup, Finding::Kept(tracer));
                Some(started)
            }
            Err(answer) => {
                self.is_start_refused.store(true, Ordering::Relaxed);
                let (tracer, parent) = (tracer.get()?, parent.context());
                self.check_unsampled(lookup, tracer, &answer, parent, options.clock);
                None
            }
        }
    }

    /// Finds out whether a tracer that has made no span yet is the API's no-op. Most requests that have seen a real
    /// provider do not ask again.
    fn check_unsampled(
        &self,
        lookup: Lookup,
        tracer: &BoxedTracer,
        answer: &NotStarted,
        parent: &Context,
        clock: Clock,
    ) {
        let is_seen = self.is_seen();
        if is_seen && !self.renewal.is_due(clock.start_moment()) {
            return;
        }
        match catch_panic(|| is_noop(tracer, answer, parent)) {
            Some(true) if is_seen => self.lose(lookup),
            Some(true) => self.missing.report(),
            Some(false) if !is_seen => self.mark_seen(lookup, clock),
            _ => {}
        }
    }

    /// Describes the current provider, and what requests have found.
    pub(super) fn describe(&self) -> &'static str {
        let tracer = GlobalProviderTracer::look_up();
        let Some(is_noop) = tracer.and_then(|tracer| tracer.is_noop()) else {
            return "global, panics";
        };
        if is_noop {
            return "global, none (the API's no-op)";
        }
        let latest = self.latest.get();
        let missed_by = self.missed_by.load(Ordering::Relaxed);
        match latest.as_ref().map(|found| (&found.value, found.number())) {
            Some((Finding::Kept(_), number)) if number == missed_by => {
                "global, set, but a request had no span (shut down?)"
            }
            Some((Finding::Seen, _)) if self.is_start_refused.load(Ordering::Relaxed) => {
                "global, set, but no request had a span (shut down?)"
            }
            Some((Finding::Noop, _)) => NOT_YET_FOUND,
            None if self.schedule.has_begun() => NOT_YET_FOUND,
            Some((Finding::Kept(_) | Finding::Seen, _)) | None => "global, set",
        }
    }

    fn is_seen(&self) -> bool {
        let latest = self.latest.get();
        let finding = latest.as_ref().map(|found| &found.value);
        matches!(finding, Some(Finding::Seen | Finding::Kept(_)))
    }

    /// Records that a real provider was seen.
    fn mark_seen(&self, lookup: Lookup, clock: Clock) {
        self.renewal.restart(clock.start_moment());
        self.latest.keep_if_unchanged(lookup, Finding::Seen);
    }

    /// Records that the no-op has replaced the provider.
    fn lose(&self, lookup: Lookup) {
        self.schedule.restart();
        self.latest.keep_if_unchanged(lookup, Finding::Noop);
    }
}

/// The global tracer for one request.
pub(crate) enum GlobalCandidate<'a> {
    /// It has made a span.
    Kept(&'a GlobalTracer, LatestFinding),
    /// It is not the no-op and has made no span yet. It is looked up when the span is started.
    Seen(&'a GlobalTracer),
    /// It may be the API's no-op.
    Untried(&'a GlobalTracer, Lookup, GlobalProviderTracer),
}

impl GlobalCandidate<'_> {
    /// Whether this tracer is not the API's no-op.
    pub(crate) fn is_real(&self) -> bool {
        let Self::Untried(global, lookup, tracer) = self else {
            return true;
        };
        let is_noop = tracer.is_noop();
        match is_noop {
            Some(true) => global.missing.report(),
            Some(false) => global.mark_seen(*lookup, Clock::start()),
            None => {}
        }
        is_noop == Some(false)
    }

    /// Starts a span. Returns `None` if the tracer makes no span for this request. A tracer's panic propagates.
    pub(crate) fn start(
        self,
        builder: SpanBuilder,
        parent: &mut Parent<'_>,
        options: StartOptions,
    ) -> Option<StartedSpan> {
        let (global, lookup, tracer) = match self {
            Self::Kept(global, kept) => {
                return global.start_with_kept(&kept, builder, parent, options);
            }
            Self::Seen(global) => {
                let lookup = global.latest.begin();
                (global, lookup, GlobalProviderTracer::look_up()?)
            }
            Self::Untried(global, lookup, tracer) => (global, lookup, tracer),
        };
        global.start_with_current(lookup, tracer, builder, parent, options)
    }
}

/// A tracer of the global provider.
///
/// Dropping the last one may drop the provider, in a request. A panic of the provider's destructor is caught.
pub(crate) struct GlobalProviderTracer(Option<BoxedTracer>);

impl GlobalProviderTracer {
    /// Returns the tracer of the current global provider.
    fn look_up() -> Option<Self> {
        catch_panic(|| Self(Some(global::tracer_with_scope(scope()))))
    }

    fn get(&self) -> Option<&BoxedTracer> {
        self.0.as_ref()
    }

    /// Whether it is the API's no-op. Returns `None` if it panics.
    fn is_noop(&self) -> Option<bool> {
        catch_panic(|| self.get().is_none_or(|tracer| is_noop_by_trial(tracer)))
    }
}

impl Drop for GlobalProviderTracer {
    fn drop(&mut self) {
        catch_panic(|| drop(self.0.take()));
    }
}
