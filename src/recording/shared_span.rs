//! The span of one request, behind the layer's own lock and outside every `Context`.
//!
//! A span in a `Context` is behind the API's mutex. A panic under that mutex would poison it, and the API
//! would then skip the end of the span without an error. A processor that reads the current span while that
//! span ends would deadlock. So a `Context` holds a [`ContextSpan`](super::context_span::ContextSpan), and the
//! span is taken *out* of its lock before it is written to and ended.

use std::borrow::Cow;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use opentelemetry::KeyValue;
use opentelemetry::global::ObjectSafeSpan;
use opentelemetry::trace::{Span, SpanContext};

use crate::catch_panic::catch_panic;
use crate::recording::buffer::{Event, SpanBuffer};
use crate::recording::clock::{self, Clock};
use crate::recording::end_span::{EndSpan, NoSpan};
use crate::recording::recorded::{Recorded, State};
use crate::recording::request_end::RequestEnd;
use crate::recording::trace_state::without_trace_state;

/// The span of a request, and the data that is recorded for it until it ends.
///
/// Shared by the layer, the handler's handle and the contexts of child spans. Its methods never panic. They
/// run no code of the tracer, its processors, the operator or the handler under a lock.
pub(crate) struct SharedSpan<S: ?Sized = dyn EndSpan> {
    /// Without the trace state, of which a copy allocates for each member. The request's context has it.
    span_context: SpanContext,
    /// Whether the span records, as it reported at its start.
    is_recording: bool,
    /// Whether metrics or logs read the recorded data.
    has_other_readers: bool,
    clock: Clock,
    /// How many records were lost because the span had ended.
    lost_records: AtomicU32,
    /// How the request's body has ended, as far as it was read: a [`RequestEnd`], or 0.
    request_end: AtomicU8,
    /// One more than the bytes of the request's body that were read; 0 while nothing counts them.
    request_bytes: AtomicU64,
    recorded: Mutex<Recorded>,
    /// The last field, so that its type can be erased without another allocation.
    span: S,
}

/// The span has ended already.
struct AlreadyEnded;

impl<S> SharedSpan<S> {
    #[inline]
    fn new(span_context: SpanContext, has_other_readers: bool, clock: Clock, span: S) -> Self {
        Self {
            span_context,
            is_recording: false,
            has_other_readers,
            clock,
            lost_records: AtomicU32::new(0),
            request_end: AtomicU8::new(0),
            request_bytes: AtomicU64::new(0),
            recorded: Mutex::new(Recorded::EMPTY),
            span,
        }
    }
}

impl<S: Span + Send + Sync> SharedSpan<Mutex<Option<S>>> {
    /// Creates the recording of a span that has not started.
    #[inline]
    pub(crate) fn empty(has_other_readers: bool, clock: Clock) -> Self {
        Self::new(
            SpanContext::NONE,
            has_other_readers,
            clock,
            Mutex::new(None),
        )
    }

    /// Sets the span, which has started, and reads its ids and whether it records, once. A span that panics then has no
    /// ids and does not record, but is ended. Returns whether it has a trace state.
    #[inline]
    pub(crate) fn set(&mut self, span: S) -> bool {
        let slot = self.span.get_mut().unwrap_or_else(PoisonError::into_inner);
        let span = &*slot.insert(span);
        let answer = catch_panic(|| {
            (
                without_trace_state(span.span_context()),
                span.is_recording(),
            )
        });
        let Some(((span_context, has_trace_state), is_recording)) = answer else {
            return false;
        };
        self.span_context = span_context;
        self.is_recording = is_recording;
        has_trace_state
    }

    /// Takes the span out, to be put back.
    pub(crate) fn take_out(&mut self) -> Option<Box<S>> {
        let slot = self.span.get_mut().unwrap_or_else(PoisonError::into_inner);
        slot.take().map(Box::new)
    }

    /// Puts the span back.
    pub(crate) fn put_back(&self, span: S) {
        *self.span.lock().unwrap_or_else(PoisonError::into_inner) = Some(span);
    }
}

impl SharedSpan<NoSpan> {
    /// Creates the recording of a request without a span, which metrics, logs and callbacks read. Log events carry
    /// `span_context`.
    pub(crate) fn without_span(span_context: SpanContext, clock: Clock) -> Self {
        Self::new(span_context, true, clock, NoSpan)
    }
}

impl<S: ?Sized> SharedSpan<S> {
    /// Returns the ids and flags of the span. Its trace state is in the request's context.
    pub(crate) fn span_context(&self) -> &SpanContext {
        &self.span_context
    }

    /// Whether the span records. The value does not change when the span ends.
    pub(crate) fn is_recording(&self) -> bool {
        self.is_recording
    }
}

impl SharedSpan {
    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Whether a recording span, metrics, logs or a callback use the recorded data. The value does not change when the
    /// span ends.
    pub(crate) fn is_observed(&self) -> bool {
        self.is_recording || self.has_other_readers
    }

    /// Whether the span records and has not ended.
    pub(crate) fn is_open_and_recording(&self) -> bool {
        self.is_recording && self.lock().state != State::Ended
    }

    /// Whether what is recorded now will be read. Counts a lost record if the span has ended.
    pub(crate) fn begin_record(&self) -> bool {
        if !self.is_observed() {
            return false;
        }
        let is_open = self.lock().state != State::Ended;
        if !is_open {
            self.lost_records.fetch_add(1, Ordering::Relaxed);
        }
        is_open
    }

    /// Returns how many records were lost because the span had ended.
    pub(crate) fn lost_records(&self) -> u32 {
        self.lost_records.load(Ordering::Relaxed)
    }

    /// Calls `f` with the buffer. The span will not end before the current time.
    ///
    /// `f` is not called after the span's end, or if the span is not observed.
    pub(crate) fn record(&self, f: impl FnOnce(&mut SpanBuffer)) {
        self.with_buffer(|buffer, now| {
            buffer.last_recorded = Some(now);
            f(buffer);
        });
    }

    /// Calls `f` with the buffer, for data that the layer itself records. It does not delay the span's end.
    pub(crate) fn record_internal(&self, f: impl FnOnce(&mut SpanBuffer)) {
        self.with_buffer(|buffer, _| f(buffer));
    }

    /// Adds a lifecycle event with the current time, once. The limit of the handler's events does not apply.
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

    /// Adds an event. `time` gets the current time by the request's clock, and returns the event's time.
    ///
    /// An event whose name is empty or a lifecycle event's is refused and counted.
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
            State::Ended => {
                self.lost_records.fetch_add(1, Ordering::Relaxed);
                return;
            }
        };
        // The clock is read under the lock, so that events of several threads are ordered by time.
        f(buffer, clock::now());
    }

    /// Records that `total` bytes of the request's body were read. If a request was copied, the copy that was
    /// read furthest counts. Takes no lock and does not delay the span's end.
    pub(crate) fn record_request_bytes(&self, total: u64) {
        let counted = total.saturating_add(1);
        self.request_bytes.fetch_max(counted, Ordering::Relaxed);
    }

    /// Returns the bytes of the request's body that were read, if they are counted.
    pub(crate) fn request_bytes(&self) -> Option<u64> {
        self.request_bytes.load(Ordering::Relaxed).checked_sub(1)
    }

    /// Records how the request's body has ended. Takes no lock.
    pub(crate) fn record_request_end(&self, end: RequestEnd) {
        self.request_end.fetch_max(end as u8, Ordering::Relaxed);
    }

    /// Whether the client has disconnected while its request was being read.
    pub(crate) fn is_request_cut_off(&self) -> bool {
        self.request_end.load(Ordering::Relaxed) == RequestEnd::Disconnected as u8
    }

    /// Whether the request's body was over before its end, for this or another reason.
    pub(crate) fn is_request_unfinished(&self) -> bool {
        self.request_end.load(Ordering::Relaxed) != 0
    }

    /// Takes the recorded data, for the decision on the outcome. The span stays open. Data recorded from now on
    /// is late.
    pub(crate) fn close(&self) -> Option<Box<SpanBuffer>> {
        let mut recorded = self.lock();
        if recorded.state == State::Ended {
            return None;
        }
        recorded.state = State::Closed;
        recorded.buffer.take()
    }

    /// Takes the span out, passes it and the late data to `write`, and ends it at `at`. `write` is called only
    /// if the span records. A panic in one step does not skip the next. Only the first call has an effect.
    pub(crate) fn end(&self, at: SystemTime, write: &mut Write<'_>) {
        if !self.is_recording {
            return self.end_unrecorded();
        }
        let Ok(mut late) = self.end_records() else {
            return;
        };
        self.span.end(at, &mut |span| write(span, late.take()));
    }

    /// Ends the span without writing to it. Only the first call has an effect.
    pub(crate) fn end_unrecorded(&self) {
        if self.end_records().is_ok() {
            self.span.end_unrecorded();
        }
    }

    /// Takes the late data and marks the span as ended. Fails if another call has done so: the two locks are
    /// taken one after the other, and a second call could take the span without the data.
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
        // A poisoned lock is used: no panic can leave the fields inconsistent.
        self.recorded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A function that writes the recorded data and the late data to the span.
pub(crate) type Write<'a> = dyn FnMut(&mut dyn ObjectSafeSpan, Option<Box<SpanBuffer>>) + 'a;
