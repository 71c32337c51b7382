//! A tracer that keeps the calls on its span. It uses no type of loom's, so loom does not yield in it.

use crate::standard::borrow::Cow;
use crate::standard::sync::{Arc, Mutex, MutexGuard};
use crate::standard::time::SystemTime;

use opentelemetry::trace::{
    Span, SpanBuilder, SpanContext, SpanId, Status, TraceFlags, TraceId, TraceState, Tracer,
    TracerProvider,
};
use opentelemetry::{Context, InstrumentationScope, KeyValue};

/// A call on the span, or a part of its builder.
#[derive(Clone, Debug)]
pub enum Call {
    Event(Cow<'static, str>, SystemTime, Vec<KeyValue>),
    Attribute(KeyValue),
    Status(Status),
    Name(Cow<'static, str>),
    End(SystemTime),
}

/// A tracer of one span, which is its own provider. It keeps the calls on the span, in order.
#[derive(Clone, Debug, Default)]
pub struct RecordingTracer(Arc<Mutex<Vec<Call>>>);

/// The span of a recording tracer.
#[derive(Debug)]
pub struct RecordingSpan {
    is_recording: bool,
    span_context: SpanContext,
    tracer: RecordingTracer,
}

impl RecordingTracer {
    /// Makes the span.
    pub fn make_span(&self, is_recording: bool) -> RecordingSpan {
        RecordingSpan {
            is_recording,
            span_context: local_span_context(1),
            tracer: self.clone(),
        }
    }

    fn calls(&self) -> MutexGuard<'_, Vec<Call>> {
        self.0.lock().expect("the lock is not poisoned")
    }

    fn push(&self, call: Call) {
        self.calls().push(call);
    }

    /// Returns how many times the span was ended.
    pub fn count_ends(&self) -> usize {
        let calls = self.calls();
        calls
            .iter()
            .filter(|call| matches!(call, Call::End(_)))
            .count()
    }

    /// Returns the value of an attribute. Panics if it was set twice.
    pub fn attribute(&self, key: &str) -> Option<String> {
        let calls = self.calls();
        let mut values = calls.iter().filter_map(|call| match call {
            Call::Attribute(attribute) if attribute.key.as_str() == key => {
                Some(attribute.value.to_string())
            }
            _ => None,
        });
        let value = values.next();
        assert_eq!(values.next(), None, "{key} is set twice");
        value
    }

    /// Returns the names of the events.
    pub fn event_names(&self) -> Vec<String> {
        let calls = self.calls();
        let names = calls.iter().filter_map(|call| match call {
            Call::Event(name, ..) => Some(name.to_string()),
            _ => None,
        });
        names.collect()
    }

    /// Returns the outcome that the span of a request shows.
    ///
    /// Panics unless the span was ended once, as the last call. Panics unless its event times are sorted, and
    /// its terminal event, its attributes and its status agree.
    pub fn outcome(&self) -> String {
        let calls = self.calls().clone();
        assert_eq!(self.count_ends(), 1, "{calls:#?}");
        let Some((Call::End(end), rest)) = calls.split_last() else {
            panic!("a call after the end: {calls:#?}");
        };
        let events = rest.iter().filter_map(|call| match call {
            Call::Event(name, at, attributes) => Some((name, at, attributes)),
            _ => None,
        });
        let events: Vec<_> = events.collect();
        let times: Vec<_> = events.iter().map(|(_, at, _)| *at).chain([end]).collect();
        assert!(times.is_sorted(), "times are not sorted: {calls:#?}");
        let terminals = ["api.DEPARTED", "api.ABORTED"];
        let is_terminal =
            |(name, ..): &&(&Cow<'static, str>, _, _)| terminals.contains(&name.as_ref());
        assert_eq!(events.iter().filter(is_terminal).count(), 1, "{calls:#?}");
        let (name, _, attributes) = events.last().expect("the span has a terminal event");
        let event_attribute = |key: &str| {
            let mut all = attributes.iter();
            let found = all.find(|attribute| attribute.key.as_str() == key)?;
            Some(found.value.to_string())
        };
        let statuses: Vec<_> = rest
            .iter()
            .filter(|call| matches!(call, Call::Status(_)))
            .collect();
        let outcome = self
            .attribute("api.outcome")
            .expect("the span has an outcome");
        let reason = self.attribute("api.abort.reason");
        assert_eq!(**name, format!("api.{outcome}"), "{calls:#?}");
        assert_eq!(event_attribute("reason"), reason, "{calls:#?}");
        let error_type = self.attribute("error.type");
        match (error_type, statuses.as_slice()) {
            (None, []) => {}
            (Some(_), [Call::Status(Status::Error { description })]) => {
                let message = event_attribute("error").unwrap_or_default();
                assert_eq!(**description, message, "{calls:#?}");
            }
            other => panic!("{other:?}: {calls:#?}"),
        }
        match (reason, event_attribute("error")) {
            (None, None) => outcome,
            (Some(reason), None) => reason,
            (Some(reason), Some(error)) => format!("{reason}: {error}"),
            (None, Some(error)) => panic!("{error}: {calls:#?}"),
        }
    }
}

/// Returns the context of a span that was started in this process.
pub fn local_span_context(id: u64) -> SpanContext {
    SpanContext::new(
        TraceId::from(u128::from(id)),
        SpanId::from(id),
        TraceFlags::SAMPLED,
        false,
        TraceState::NONE,
    )
}

impl TracerProvider for RecordingTracer {
    type Tracer = Self;

    fn tracer_with_scope(&self, _: InstrumentationScope) -> Self {
        self.clone()
    }
}

impl Tracer for RecordingTracer {
    type Span = RecordingSpan;

    fn build_with_context(&self, builder: SpanBuilder, _: &Context) -> RecordingSpan {
        for event in builder.events.into_iter().flatten() {
            self.push(Call::Event(event.name, event.timestamp, event.attributes));
        }
        for attribute in builder.attributes.into_iter().flatten() {
            self.push(Call::Attribute(attribute));
        }
        self.make_span(true)
    }
}

impl Span for RecordingSpan {
    fn add_event_with_timestamp<T>(&mut self, name: T, at: SystemTime, attributes: Vec<KeyValue>)
    where
        T: Into<Cow<'static, str>>,
    {
        self.tracer.push(Call::Event(name.into(), at, attributes));
    }

    fn span_context(&self) -> &SpanContext {
        &self.span_context
    }

    fn is_recording(&self) -> bool {
        self.is_recording
    }

    fn set_attribute(&mut self, attribute: KeyValue) {
        self.tracer.push(Call::Attribute(attribute));
    }

    fn set_status(&mut self, status: Status) {
        self.tracer.push(Call::Status(status));
    }

    fn update_name<T>(&mut self, name: T)
    where
        T: Into<Cow<'static, str>>,
    {
        self.tracer.push(Call::Name(name.into()));
    }

    fn add_link(&mut self, _: SpanContext, _: Vec<KeyValue>) {}

    fn end_with_timestamp(&mut self, at: SystemTime) {
        self.tracer.push(Call::End(at));
    }
}
