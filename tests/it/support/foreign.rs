//! A mock tracer in place of the SDK's: it counts the calls on its spans, returns the configured values,
//! and panics in the configured methods.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use opentelemetry::trace::{
    Span, SpanBuilder, SpanContext, SpanId, Status, TraceFlags, TraceId, TraceState, Tracer,
    TracerProvider,
};
use opentelemetry::{Context, InstrumentationScope, KeyValue};
use tower_api_span::ApiSpanLayer;

use super::explode;
use super::recorder::w3c;

/// A method that can panic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Build,
    SpanContext,
    IsRecording,
    SetAttribute,
    SetStatus,
    AddEvent,
    UpdateName,
    AddLink,
    End,
    Drop,
}

impl Method {
    pub const ALL: [Self; 10] = [
        Self::Build,
        Self::SpanContext,
        Self::IsRecording,
        Self::SetAttribute,
        Self::SetStatus,
        Self::AddEvent,
        Self::UpdateName,
        Self::AddLink,
        Self::End,
        Self::Drop,
    ];

    /// The methods that the layer calls only once the span is open.
    pub const AFTER_START: &[Self] = Self::ALL.split_at(3).1;
}

/// Both the provider and the tracer.
#[derive(Clone, Debug)]
pub struct Foreign {
    panics_in: Arc<[Method]>,
    span_context: SpanContext,
    recording: bool,
    log: Arc<Mutex<Log>>,
}

/// The calls on the spans.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Log {
    pub builds: usize,
    pub ends: usize,
    pub drops: usize,
    pub events: Vec<String>,
}

impl Foreign {
    /// Returns a tracer whose spans record and have valid ids.
    pub fn new() -> Self {
        Self {
            panics_in: Arc::new([]),
            span_context: SpanContext::new(
                TraceId::from(0xf0),
                SpanId::from(0xf0),
                TraceFlags::SAMPLED,
                false,
                TraceState::NONE,
            ),
            recording: true,
            log: Arc::default(),
        }
    }

    pub fn panicking_in(mut self, methods: &[Method]) -> Self {
        self.panics_in = methods.into();
        self
    }

    pub fn with_span_context(mut self, span_context: SpanContext) -> Self {
        self.span_context = span_context;
        self
    }

    pub fn recording(mut self, recording: bool) -> Self {
        self.recording = recording;
        self
    }

    /// Returns a layer with this tracer and W3C propagation.
    pub fn layer(&self) -> ApiSpanLayer {
        ApiSpanLayer::new().tracer_provider(self).propagator(w3c())
    }

    /// Returns a copy with an empty log.
    pub fn with_empty_log(&self) -> Self {
        Self {
            log: Arc::default(),
            ..self.clone()
        }
    }

    pub fn log(&self) -> Log {
        self.with_log(|log| log.clone())
    }

    /// Returns how many spans were built, ended and dropped.
    pub fn counts(&self) -> (usize, usize, usize) {
        self.with_log(|log| (log.builds, log.ends, log.drops))
    }

    fn with_log<T>(&self, f: impl FnOnce(&mut Log) -> T) -> T {
        f(&mut self.log.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Panics if `method` is configured to. The caller must not hold the lock of the log.
    fn panic_in(&self, method: Method) {
        if self.panics_in.contains(&method) {
            explode();
        }
    }
}

impl TracerProvider for Foreign {
    type Tracer = Self;

    fn tracer_with_scope(&self, _: InstrumentationScope) -> Self {
        self.clone()
    }
}

impl Tracer for Foreign {
    type Span = ForeignSpan;

    fn build_with_context(&self, builder: SpanBuilder, _: &Context) -> ForeignSpan {
        self.panic_in(Method::Build);
        self.with_log(|log| {
            log.builds += 1;
            let events = builder.events.into_iter().flatten();
            log.events
                .extend(events.map(|event| event.name.to_string()));
        });
        ForeignSpan(self.clone())
    }
}

#[derive(Debug)]
pub struct ForeignSpan(Foreign);

impl Span for ForeignSpan {
    fn add_event_with_timestamp<T>(&mut self, name: T, _: SystemTime, _: Vec<KeyValue>)
    where
        T: Into<Cow<'static, str>>,
    {
        self.0.panic_in(Method::AddEvent);
        let name = name.into().into_owned();
        self.0.with_log(|log| log.events.push(name));
    }

    fn span_context(&self) -> &SpanContext {
        self.0.panic_in(Method::SpanContext);
        &self.0.span_context
    }

    fn is_recording(&self) -> bool {
        self.0.panic_in(Method::IsRecording);
        self.0.recording
    }

    fn set_attribute(&mut self, _: KeyValue) {
        self.0.panic_in(Method::SetAttribute);
    }

    fn set_status(&mut self, _: Status) {
        self.0.panic_in(Method::SetStatus);
    }

    fn update_name<T>(&mut self, _: T)
    where
        T: Into<Cow<'static, str>>,
    {
        self.0.panic_in(Method::UpdateName);
    }

    fn add_link(&mut self, _: SpanContext, _: Vec<KeyValue>) {
        self.0.panic_in(Method::AddLink);
    }

    fn end_with_timestamp(&mut self, _: SystemTime) {
        self.0.with_log(|log| log.ends += 1);
        self.0.panic_in(Method::End);
    }
}

impl Drop for ForeignSpan {
    fn drop(&mut self) {
        self.0.with_log(|log| log.drops += 1);
        self.0.panic_in(Method::Drop);
    }
}
