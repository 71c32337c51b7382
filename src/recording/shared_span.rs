//! Where an open span lives: behind a lock of ours, outside every `Context`.
//!
//! If the span lived only in a `Context`, a panic under that API's mutex would poison it, and
//! ending the span would silently be skipped; and a processor that reads the current span while it
//! ends would wait for itself. So a `Context` holds a [`ThinSpan`] over the slot, and settling
//! takes the span *out* of the slot before it writes and ends it.

use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use opentelemetry::KeyValue;
use opentelemetry::global::ObjectSafeSpan;
use opentelemetry::trace::{Span, SpanContext, Status};

use crate::catch_panic::catch_panic;
use crate::outcome::Verdict;
use crate::recording::buffer::{Event, SpanBuffer};
use crate::recording::clock::{self, Clock};
use crate::semconv::OWN_PREFIX;

/// A span of some tracer, and what was told about it.
struct Open<S> {
    span: S,
    /// Of most requests nothing is told, and a stream that is open for hours holds no room for it.
    told: Option<Box<SpanBuffer>>,
    /// The outcome is decided: what is told from now on is late.
    is_closed: bool,
}

impl<S> Open<S> {
    fn told(&mut self) -> &mut SpanBuffer {
        let is_late = self.is_closed;
        self.told.get_or_insert_with(|| {
            Box::new(SpanBuffer {
                is_late,
                ..SpanBuffer::default()
            })
        })
    }
}

/// The slot of a span of type `S`.
pub(crate) struct SpanSlot<S> {
    span_context: SpanContext,
    recording: bool,
    /// Somebody else wants to know what is told: metrics or logs.
    watched: bool,
    timeline: Clock,
    open: Mutex<Option<Open<S>>>,
    /// One more than the bytes of the request's body that have passed; 0 while nobody counts them.
    request_bytes: AtomicU64,
}

impl<S: Span> SpanSlot<S> {
    /// The span says itself what its ids are and whether it records; it is not asked again.
    pub(crate) fn new(
        span: S,
        span_context: SpanContext,
        recording: bool,
        watched: bool,
        timeline: Clock,
    ) -> Self {
        Self {
            span_context,
            recording,
            watched,
            timeline,
            open: Mutex::new(Some(Open {
                span,
                told: None,
                is_closed: false,
            })),
            request_bytes: AtomicU64::new(0),
        }
    }

    /// A poisoned lock is as good as any: no panic can leave the slot half written.
    fn open(&self) -> MutexGuard<'_, Option<Open<S>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A slot of any span.
///
/// Nothing here panics, and nothing of the tracer's, its processors' or a user's runs under the lock.
pub(crate) trait Slot: Send + Sync {
    fn span_context(&self) -> &SpanContext;

    fn timeline(&self) -> &Clock;

    /// Whether the span records; the answer of its start, whether or not it is still open.
    fn records(&self) -> bool;

    /// Whether the span records, or somebody else wants to know what is told.
    fn listens(&self) -> bool;

    /// Whether the span is open and records.
    fn is_recording(&self) -> bool;

    /// Whether the request is not over, and somebody listens.
    fn is_listening(&self) -> bool;

    /// Hands what was told and the time of now to `f`, unless the span has ended or nobody listens.
    /// To be called through `tell`.
    fn tell_mut(&self, f: &mut dyn FnMut(&mut SpanBuffer, Instant));

    /// Takes note that so many bytes of the request's body have passed; of copies of a request that are
    /// read, the most. Beside the lock, and no reason for the span to end later.
    fn count_request_bytes(&self, bytes: u64);

    /// Bytes of the request's body that were counted, if somebody does count them.
    fn request_bytes(&self) -> Option<u64>;

    /// Takes what was told, if anything was: with that the outcome is decided. The span stays open, and
    /// what is told from now on is late.
    fn close(&self) -> Option<Box<SpanBuffer>>;

    /// Takes the span out, lets `write` write to it, with what was told late, ends it at `at` and drops
    /// it. Each step is contained. Only the first call does anything.
    fn end(&self, at: SystemTime, write: &mut Write<'_>);

    /// The same for a span that does not record: nothing is written, and no clock is needed.
    fn end_unrecorded(&self);
}

/// Writes to a span that is taken out of its slot, with what was told late.
pub(crate) type Write<'a> = dyn FnMut(&mut dyn ObjectSafeSpan, Option<Box<SpanBuffer>>) + 'a;

impl dyn Slot {
    /// Hands what was told to `f`, once, unless the span has ended or nobody listens. The span ends no
    /// earlier than that.
    pub(crate) fn tell(&self, f: impl FnOnce(&mut SpanBuffer)) {
        let mut f = Some(f);
        self.tell_mut(&mut |told, now| {
            told.last = Some(now);
            if let Some(f) = f.take() {
                f(told);
            }
        });
    }

    /// The same of what the layer has found itself: it is no reason for the span to end later.
    pub(crate) fn note(&self, f: impl FnOnce(&mut SpanBuffer)) {
        let mut f = Some(f);
        self.tell_mut(&mut |told, _| {
            if let Some(f) = f.take() {
                f(told);
            }
        });
    }

    /// Adds an event of the layer's own with the time of now, once: whatever a handler adds, there is
    /// room for it. The time is read under the lock, so that it is not behind that of an event which
    /// another thread has added first.
    pub(crate) fn add_own_event(&self, name: &'static str) {
        self.tell_mut(&mut |told, now| {
            told.last = Some(now);
            if !told.is_late && told.events.iter().all(|event| event.name != name) {
                told.events.push(Event {
                    name: name.into(),
                    at: self.timeline().at(now),
                    attributes: Vec::new(),
                });
            }
        });
    }

    /// Adds an event with the time of now, by the request's own clock, or with the given one unless
    /// that is now too. Names that are empty or the layer's own are not added.
    pub(crate) fn add_event(
        &self,
        name: Cow<'static, str>,
        at: Option<SystemTime>,
        attributes: Vec<KeyValue>,
    ) {
        if name.is_empty() || name.starts_with(OWN_PREFIX) {
            return;
        }
        let mut event = Some((name, attributes));
        self.tell_mut(&mut |told, now| {
            told.last = Some(now);
            if let Some((name, attributes)) = event.take() {
                let now = self.timeline().at(now);
                told.event(Event {
                    name,
                    at: at.filter(|at| !is_near(*at, now)).unwrap_or(now),
                    attributes,
                });
            }
        });
    }
}

impl<S: Span + Send + Sync> Slot for SpanSlot<S> {
    fn span_context(&self) -> &SpanContext {
        &self.span_context
    }

    fn timeline(&self) -> &Clock {
        &self.timeline
    }

    fn records(&self) -> bool {
        self.recording
    }

    fn listens(&self) -> bool {
        self.recording || self.watched
    }

    fn is_recording(&self) -> bool {
        self.recording && self.open().is_some()
    }

    fn is_listening(&self) -> bool {
        self.listens() && self.open().is_some()
    }

    fn tell_mut(&self, f: &mut dyn FnMut(&mut SpanBuffer, Instant)) {
        if self.listens()
            && let Some(open) = &mut *self.open()
        {
            let now = clock::now();
            f(open.told(), now);
        }
    }

    fn count_request_bytes(&self, bytes: u64) {
        let counted = bytes.saturating_add(1);
        self.request_bytes.fetch_max(counted, Ordering::Relaxed);
    }

    fn request_bytes(&self) -> Option<u64> {
        self.request_bytes.load(Ordering::Relaxed).checked_sub(1)
    }

    fn close(&self) -> Option<Box<SpanBuffer>> {
        let mut open = self.open();
        let open = open.as_mut()?;
        open.is_closed = true;
        open.told.take()
    }

    fn end(&self, at: SystemTime, write: &mut Write<'_>) {
        if !self.recording {
            return self.end_unrecorded();
        }
        // In a statement of its own, so that the lock is free again before anything is called.
        let mut open = self.open().take();
        if let Some(Open { span, told, .. }) = &mut open {
            catch_panic(|| write(span, told.take()));
            catch_panic(|| span.end_with_timestamp(at));
        }
        // A span that has not ended because `end` panicked still ends when it is dropped; in place, since
        // to move a span is dear.
        catch_panic(|| open = None);
    }

    fn end_unrecorded(&self) {
        let mut open = self.open().take();
        if let Some(Open { span, .. }) = &mut open {
            catch_panic(|| span.end());
        }
        catch_panic(|| open = None);
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
        self.0.tell(|told| told.attribute(attribute));
    }

    /// An error is a verdict, if the handler gives none itself. `Ok` is nothing: whether the
    /// response is well is for its end to say.
    fn set_status(&mut self, status: Status) {
        if let Status::Error { description } = status {
            self.0.tell(|told| {
                told.error
                    .get_or_insert_with(|| Verdict::of_status(&description));
            });
        }
    }

    fn update_name<T>(&mut self, new_name: T)
    where
        T: Into<Cow<'static, str>>,
    {
        let new_name = new_name.into();
        if new_name.is_empty() {
            return;
        }
        self.0.tell(|told| told.name = Some(new_name));
    }

    fn add_link(&mut self, span_context: SpanContext, attributes: Vec<KeyValue>) {
        self.0.tell(|told| told.link(span_context, attributes));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_now_if_it_is_less_than_a_millisecond_away() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
        for (micros, expected) in [(0, true), (999, true), (1_000, false), (2_000, false)] {
            let away = Duration::from_micros(micros);
            assert_eq!(is_near(now + away, now), expected, "{micros} after");
            assert_eq!(is_near(now - away, now), expected, "{micros} before");
        }
    }
}
