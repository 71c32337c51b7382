//! Where an open span lives: behind a lock of ours, outside every `Context`.
//!
//! If the span lived only in a `Context`, a panic under that API's mutex would poison it, and
//! ending the span would silently be skipped; and a processor that reads the current span while it
//! ends would wait for itself. So a `Context` holds a [`ThinSpan`] over the slot, and settling
//! takes the span *out* of the slot before it writes and ends it.

use std::borrow::Cow;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use opentelemetry::global::ObjectSafeSpan;
use opentelemetry::trace::{Span, SpanContext, Status};
use opentelemetry::{Key, KeyValue};

use crate::contain::contain;
use crate::outcome::Verdict;
use crate::timeline::{self, Timeline};

/// How many events a request may add to its span, beside the layer's own. The SDK keeps 128 by
/// default and drops the last ones first: one more, and the terminal event would be gone.
const MAX_EVENTS: usize = 120;

/// How many attributes a handler may keep; as many as the SDK keeps by default.
const MAX_ATTRIBUTES: usize = 128;

/// What was told about a request while its span was open.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) verdict: Option<Verdict>,
    pub(crate) disconnect_allowed: bool,
    pub(crate) route: Option<String>,
    /// Each key once, the last value wins.
    pub(crate) attributes: Vec<KeyValue>,
    /// When the last thing was recorded: the span does not end before.
    pub(crate) last: Option<Instant>,
    events: usize,
}

impl Told {
    /// Keeps a verdict; the first wins.
    pub(crate) fn verdict(&mut self, verdict: impl FnOnce() -> Verdict) {
        self.verdict.get_or_insert_with(verdict);
    }

    /// Keeps an attribute; the last value of a key wins.
    pub(crate) fn attribute(&mut self, attribute: KeyValue) {
        let position = self
            .attributes
            .iter()
            .position(|known| known.key == attribute.key);
        match position {
            Some(position) => self.attributes[position] = attribute,
            None if self.attributes.len() < MAX_ATTRIBUTES => self.attributes.push(attribute),
            None => {}
        }
    }
}

/// A span of some tracer, and what was told about it.
struct Open<S> {
    span: S,
    told: Told,
}

/// The slot of a span of type `S`.
pub(crate) struct SpanSlot<S> {
    span_context: SpanContext,
    recording: bool,
    timeline: Timeline,
    open: Mutex<Option<Open<S>>>,
}

impl<S: Span> SpanSlot<S> {
    /// The span says itself what its ids are and whether it records; it is not asked again.
    pub(crate) fn new(
        span: S,
        span_context: SpanContext,
        recording: bool,
        timeline: Timeline,
    ) -> Self {
        Self {
            span_context,
            recording,
            timeline,
            open: Mutex::new(Some(Open {
                span,
                told: Told::default(),
            })),
        }
    }

    /// A poisoned lock is as good as any: no panic can leave the slot half written.
    fn open(&self) -> MutexGuard<'_, Option<Open<S>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A slot of any span.
///
/// Nothing here panics, and no lock is held while a span processor runs.
pub(crate) trait Slot: Send + Sync {
    fn span_context(&self) -> &SpanContext;

    /// Whether the span records; the answer of its start, whether or not it is still open.
    fn records(&self) -> bool;

    /// Whether the span is open and records.
    fn is_recording(&self) -> bool;

    /// Hands what was told to `f`, unless the span has ended or does not record.
    fn tell(&self, f: &mut dyn FnMut(&mut Told));

    /// Adds an event with the time of now, by the request's own clock, or with the given one unless
    /// that is now too.
    fn add_event(&self, name: Cow<'static, str>, at: Option<SystemTime>, with: Vec<KeyValue>);

    /// Hands the span to `f`, unless it has ended or does not record.
    fn change(&self, f: &mut dyn FnMut(&mut dyn ObjectSafeSpan));

    /// Takes the span out, lets `write` write to it, ends it and drops it. Each step is contained.
    /// It ends at `at` (`None`: now), or when the last thing was recorded if that is later; `write`
    /// is told when.
    /// Only the first call does anything.
    fn settle(
        &self,
        at: Option<Instant>,
        write: &mut dyn FnMut(&mut dyn ObjectSafeSpan, Told, SystemTime),
    );
}

impl<S: Span + Send + Sync> Slot for SpanSlot<S> {
    fn span_context(&self) -> &SpanContext {
        &self.span_context
    }

    fn records(&self) -> bool {
        self.recording
    }

    fn is_recording(&self) -> bool {
        self.recording && self.open().is_some()
    }

    fn tell(&self, f: &mut dyn FnMut(&mut Told)) {
        if self.recording
            && let Some(open) = &mut *self.open()
        {
            open.told.last = Some(timeline::now());
            f(&mut open.told);
        }
    }

    fn add_event(&self, name: Cow<'static, str>, at: Option<SystemTime>, with: Vec<KeyValue>) {
        if self.recording
            && let Some(Open { span, told }) = &mut *self.open()
            && told.events < MAX_EVENTS
        {
            let now = timeline::now();
            told.events += 1;
            told.last = Some(now);
            let now = self.timeline.at(now);
            let at = at.filter(|at| !is_near(*at, now)).unwrap_or(now);
            contain(|| span.add_event_with_timestamp(name, at, with));
        }
    }

    fn change(&self, f: &mut dyn FnMut(&mut dyn ObjectSafeSpan)) {
        if self.recording
            && let Some(Open { span, told }) = &mut *self.open()
        {
            told.last = Some(timeline::now());
            contain(|| f(span));
        }
    }

    fn settle(
        &self,
        at: Option<Instant>,
        write: &mut dyn FnMut(&mut dyn ObjectSafeSpan, Told, SystemTime),
    ) {
        // In a statement of its own, so that the lock is free again before anything is called.
        let open = self.open().take();
        let Some(Open { mut span, told }) = open else {
            return;
        };
        if self.recording {
            let at = at.unwrap_or_else(timeline::now);
            let at = self.timeline.at(told.last.map_or(at, |last| last.max(at)));
            contain(|| write(&mut span, told, at));
            contain(|| span.end_with_timestamp(at));
        } else {
            contain(|| span.end());
        }
        // A span that has not ended because `end` panicked still ends when it is dropped.
        contain(|| drop(span));
    }
}

/// The span that a `Context` holds: it reads and changes the one in the slot, and cannot end it.
pub(crate) struct ThinSpan(pub(crate) std::sync::Arc<dyn Slot>);

impl std::fmt::Debug for ThinSpan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ThinSpan")
            .field(self.0.span_context())
            .finish()
    }
}

impl Span for ThinSpan {
    fn add_event_with_timestamp<T>(&mut self, name: T, at: SystemTime, with: Vec<KeyValue>)
    where
        T: Into<Cow<'static, str>>,
    {
        self.0.add_event(name.into(), Some(at), with);
    }

    fn span_context(&self) -> &SpanContext {
        self.0.span_context()
    }

    fn is_recording(&self) -> bool {
        self.0.is_recording()
    }

    fn set_attribute(&mut self, attribute: KeyValue) {
        let mut attribute = Some(attribute);
        self.0.tell(&mut |told| {
            if let Some(attribute) = attribute.take() {
                told.attribute(attribute);
            }
        });
    }

    /// An error is a verdict like any other. `Ok` is nothing: whether the response is well is for
    /// its end to say.
    fn set_status(&mut self, status: Status) {
        if let Status::Error { description } = status {
            self.0
                .tell(&mut |told| told.verdict(|| Verdict::of_status(&description)));
        }
    }

    fn update_name<T>(&mut self, new_name: T)
    where
        T: Into<Cow<'static, str>>,
    {
        let mut new_name = Some(new_name.into());
        self.0.change(&mut |span| {
            if let Some(new_name) = new_name.take() {
                span.update_name(new_name);
            }
        });
    }

    fn add_link(&mut self, span_context: SpanContext, attributes: Vec<KeyValue>) {
        let mut link = Some((span_context, attributes));
        self.0.change(&mut |span| {
            if let Some((span_context, attributes)) = link.take() {
                span.add_link(span_context, attributes);
            }
        });
    }

    /// Nothing: the end of the response ends the span, not who happens to hold its context.
    fn end_with_timestamp(&mut self, _: SystemTime) {}
}

/// Whether a time is now, read from the wall clock by the API: of two events that follow each other
/// the times must not fall because one was read from another clock.
fn is_near(at: SystemTime, now: SystemTime) -> bool {
    let distance = match at.duration_since(now) {
        Ok(after) => after,
        Err(before) => before.duration(),
    };
    distance < Duration::from_millis(1)
}

/// Whether `attributes` has one with this key.
pub(crate) fn has_key(attributes: &[KeyValue], key: &Key) -> bool {
    attributes.iter().any(|attribute| attribute.key == *key)
}
