//! The span of one request, behind a lock of ours and outside every `Context`.
//!
//! If the span lived only in a `Context`, a panic under that API's mutex would poison it, and ending
//! the span would silently be skipped. A processor that reads the current span while the span ends
//! would wait for itself. So a `Context` holds a [`ContextSpan`](super::context_span::ContextSpan)
//! over the shared span, and the span is taken *out* before it is written to and ended.

use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use opentelemetry::KeyValue;
use opentelemetry::global::ObjectSafeSpan;
use opentelemetry::trace::{Span, SpanContext};

use crate::catch_panic::catch_panic;
use crate::recording::buffer::{Event, SpanBuffer};
use crate::recording::clock::{self, Clock};

/// The span of a request, and what is recorded for it until it ends.
///
/// Shared by the layer, the handler's handle and the contexts of child spans. Nothing here panics.
/// No code of the tracer, its processors or the user runs under a lock.
pub(crate) struct SharedSpan<S: ?Sized = dyn EndSpan> {
    span_context: SpanContext,
    /// Whether the span records: what it answered when it started.
    is_recording: bool,
    /// Whether metrics or logs read what is recorded.
    has_other_readers: bool,
    clock: Clock,
    /// One more than the bytes of the request's body that were read; 0 while nothing counts them.
    request_bytes: AtomicU64,
    recorded: Mutex<Recorded>,
    /// Last, so that its type can be erased without another allocation.
    span: S,
}

/// What is recorded for the span, and whether more is accepted.
struct Recorded {
    /// Boxed, since most requests record nothing and a long stream should not hold the room for it.
    buffer: Option<Box<SpanBuffer>>,
    state: State,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Open,
    /// The outcome is decided. What is recorded now is late, and cannot change it.
    Closed,
    Ended,
}

/// Another call has ended the span.
struct AlreadyEnded;

impl<S: Span + Send + Sync> SharedSpan<Mutex<Option<S>>> {
    /// Wraps a span that has started. Its ids and whether it records are not asked for again.
    pub(crate) fn new(
        span: S,
        span_context: SpanContext,
        is_recording: bool,
        has_other_readers: bool,
        clock: Clock,
    ) -> Self {
        Self {
            span_context,
            is_recording,
            has_other_readers,
            clock,
            request_bytes: AtomicU64::new(0),
            recorded: Mutex::new(Recorded::NOTHING),
            span: Mutex::new(Some(span)),
        }
    }
}

impl SharedSpan<NoSpan> {
    /// Makes the place where metrics and logs find what is recorded for a request without a span.
    /// Log events carry `span_context`.
    pub(crate) fn without_span(span_context: SpanContext, clock: Clock) -> Self {
        Self {
            span_context,
            is_recording: false,
            has_other_readers: true,
            clock,
            request_bytes: AtomicU64::new(0),
            recorded: Mutex::new(Recorded::NOTHING),
            span: NoSpan,
        }
    }
}

impl SharedSpan {
    pub(crate) fn span_context(&self) -> &SpanContext {
        &self.span_context
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Whether the span records. The answer does not change when the span ends.
    pub(crate) fn is_recording(&self) -> bool {
        self.is_recording
    }

    /// Whether anything reads what is recorded: a recording span, metrics or logs. The answer does
    /// not change when the span ends.
    pub(crate) fn is_observed(&self) -> bool {
        self.is_recording || self.has_other_readers
    }

    /// Whether the span records and has not ended.
    pub(crate) fn is_open_and_recording(&self) -> bool {
        self.is_recording && self.lock().state != State::Ended
    }

    /// Whether what is recorded now will be read.
    pub(crate) fn accepts_records(&self) -> bool {
        self.is_observed() && self.lock().state != State::Ended
    }

    /// Calls `f` with the buffer. The span ends no earlier than now.
    ///
    /// `f` is not called after the span's end, or if nothing is observed.
    pub(crate) fn record(&self, f: impl FnOnce(&mut SpanBuffer)) {
        self.with_buffer(|buffer, now| {
            buffer.last_recorded = Some(now);
            f(buffer);
        });
    }

    /// Does the same for what the layer itself has found, which does not delay the span's end.
    pub(crate) fn record_internal(&self, f: impl FnOnce(&mut SpanBuffer)) {
        self.with_buffer(|buffer, _| f(buffer));
    }

    /// Adds a lifecycle event with the current time, once, whatever number of events the handler adds.
    pub(crate) fn add_lifecycle_event(&self, name: &'static str) {
        self.with_buffer(|buffer, now| {
            buffer.last_recorded = Some(now);
            if !buffer.is_late && buffer.events.iter().all(|event| event.name != name) {
                buffer.events.push(Event {
                    name: name.into(),
                    at: self.clock.at(now),
                    attributes: Vec::new(),
                });
            }
        });
    }

    /// Adds an event. `time` gets the current time by the request's clock, and returns the event's.
    pub(crate) fn add_event(
        &self,
        name: Cow<'static, str>,
        attributes: Vec<KeyValue>,
        time: impl FnOnce(SystemTime) -> SystemTime,
    ) {
        self.with_buffer(|buffer, now| {
            buffer.last_recorded = Some(now);
            buffer.add_event(Event {
                name,
                at: time(self.clock.at(now)),
                attributes,
            });
        });
    }

    fn with_buffer(&self, f: impl FnOnce(&mut SpanBuffer, Instant)) {
        if !self.is_observed() {
            return;
        }
        let mut recorded = self.lock();
        let Recorded { buffer, state } = &mut *recorded;
        let buffer = match state {
            State::Open => buffer.get_or_insert_default(),
            State::Closed => buffer.get_or_insert_with(|| Box::new(SpanBuffer::late())),
            State::Ended => return,
        };
        // Read under the lock, so that times of events that two threads add are in order.
        f(buffer, clock::now());
    }

    /// Records that the request's body was read up to `total` bytes. Of copies of a request the one
    /// that was read furthest counts. Takes no lock and does not delay the span's end.
    pub(crate) fn record_request_bytes(&self, total: u64) {
        let counted = total.saturating_add(1);
        self.request_bytes.fetch_max(counted, Ordering::Relaxed);
    }

    /// Returns the bytes of the request's body that were read, if they are counted.
    pub(crate) fn request_bytes(&self) -> Option<u64> {
        self.request_bytes.load(Ordering::Relaxed).checked_sub(1)
    }

    /// Takes what was recorded. With that the outcome is decided: the span stays open, and what is
    /// recorded from now on is late.
    pub(crate) fn close(&self) -> Option<Box<SpanBuffer>> {
        let mut recorded = self.lock();
        if recorded.state == State::Ended {
            return None;
        }
        recorded.state = State::Closed;
        recorded.buffer.take()
    }

    /// Takes the span out, lets `write` write to it with what was recorded late, and ends it at `at`.
    /// Each step is caught if it panics. Only the first call has an effect. `write` is called if the
    /// span records.
    pub(crate) fn end(&self, at: SystemTime, write: &mut Write<'_>) {
        if !self.is_recording {
            return self.end_unrecorded();
        }
        let Ok(mut late) = self.end_records() else {
            return;
        };
        self.span.end(at, &mut |span| write(span, late.take()));
    }

    /// Does the same for a span that does not record: nothing is written, and no clock is needed.
    pub(crate) fn end_unrecorded(&self) {
        if self.end_records().is_ok() {
            self.span.end_unrecorded();
        }
    }

    /// Takes what was recorded late. Only the first caller ends the span: the two locks are taken one after
    /// the other, and a second caller could take the span without the buffer.
    #[inline]
    fn end_records(&self) -> Result<Option<Box<SpanBuffer>>, AlreadyEnded> {
        let mut recorded = self.lock();
        if recorded.state == State::Ended {
            return Err(AlreadyEnded);
        }
        recorded.state = State::Ended;
        Ok(recorded.buffer.take())
    }

    fn lock(&self) -> MutexGuard<'_, Recorded> {
        // A poisoned lock is as good as any: no panic can leave the fields half written.
        self.recorded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Recorded {
    const NOTHING: Self = Self {
        buffer: None,
        state: State::Open,
    };
}

/// Writes to a span that was taken out, with what was recorded late.
pub(crate) type Write<'a> = dyn FnMut(&mut dyn ObjectSafeSpan, Option<Box<SpanBuffer>>) + 'a;

/// Ends a span of any type.
pub(crate) trait EndSpan: Send + Sync {
    /// Takes the span out, lets `write` write to it, and ends it at `at`. Does nothing the second time.
    fn end(&self, at: SystemTime, write: &mut dyn FnMut(&mut dyn ObjectSafeSpan));

    /// Ends a span that does not record.
    fn end_unrecorded(&self);
}

impl<S: Span + Send + Sync> EndSpan for Mutex<Option<S>> {
    fn end(&self, at: SystemTime, write: &mut dyn FnMut(&mut dyn ObjectSafeSpan)) {
        let mut span = take(self);
        if let Some(span) = &mut span {
            catch_panic(|| write(span));
            catch_panic(|| span.end_with_timestamp(at));
        }
        // If `end_with_timestamp` panicked, dropping the span still exports it. Dropped in place, since
        // moving a span is expensive.
        catch_panic(|| span = None);
    }

    fn end_unrecorded(&self) {
        let mut span = take(self);
        if let Some(span) = &mut span {
            catch_panic(|| span.end());
        }
        catch_panic(|| span = None);
    }
}

/// Takes the span out. The lock is free again when this returns.
fn take<S>(span: &Mutex<Option<S>>) -> Option<S> {
    span.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// In place of the span, for a request that only metrics or logs observe.
pub(crate) struct NoSpan;

impl EndSpan for NoSpan {
    fn end(&self, _: SystemTime, _: &mut dyn FnMut(&mut dyn ObjectSafeSpan)) {}

    fn end_unrecorded(&self) {}
}
