//! A tracer that keeps what it is told. Nothing in here is seen by loom.

use crate::standard::borrow::Cow;
use crate::standard::sync::{Arc, Mutex, MutexGuard};
use crate::standard::time::SystemTime;

use opentelemetry::trace::{
    Span, SpanBuilder, SpanContext, SpanId, Status, TraceFlags, TraceId, TraceState, Tracer,
    TracerProvider,
};
use opentelemetry::{Context, InstrumentationScope, KeyValue};

/// What a span was told, in order.
#[derive(Clone, Debug)]
pub enum SpanBuffer {
    Event(Cow<'static, str>, SystemTime, Vec<KeyValue>),
    Attribute(KeyValue),
    Status(Status),
    Name(Cow<'static, str>),
    End(SystemTime),
}

/// A provider of one span, as its own tracer.
#[derive(Clone, Debug, Default)]
pub struct Watched(Arc<Mutex<Vec<SpanBuffer>>>);

/// That span.
#[derive(Debug)]
pub struct WatchedSpan {
    span_context: SpanContext,
    told: Watched,
}

impl Watched {
    /// Its span.
    pub fn span(&self) -> WatchedSpan {
        WatchedSpan {
            span_context: own_context(1),
            told: self.clone(),
        }
    }

    fn told(&self) -> MutexGuard<'_, Vec<SpanBuffer>> {
        self.0.lock().expect("not poisoned")
    }

    fn push(&self, told: SpanBuffer) {
        self.told().push(told);
    }

    /// How often the span was ended.
    pub fn ends(&self) -> usize {
        let told = self.told();
        told.iter()
            .filter(|told| matches!(told, SpanBuffer::End(_)))
            .count()
    }

    /// The value of an attribute. Panics if it was set twice.
    pub fn attribute(&self, key: &str) -> Option<String> {
        let told = self.told();
        let mut values = told.iter().filter_map(|told| match told {
            SpanBuffer::Attribute(attribute) if attribute.key.as_str() == key => {
                Some(attribute.value.to_string())
            }
            _ => None,
        });
        let value = values.next();
        assert_eq!(values.next(), None, "{key} is there twice");
        value
    }

    /// The names of its events.
    pub fn events(&self) -> Vec<String> {
        let told = self.told();
        let events = told.iter().filter_map(|told| match told {
            SpanBuffer::Event(name, ..) => Some(name.to_string()),
            _ => None,
        });
        events.collect()
    }

    /// What the span of a request has come to. Panics unless it was ended once, as the last thing, and
    /// its terminal event, its attributes and its status agree.
    pub fn outcome(&self) -> String {
        let told = self.told().clone();
        assert_eq!(self.ends(), 1, "{told:#?}");
        let Some((SpanBuffer::End(end), rest)) = told.split_last() else {
            panic!("told after its end: {told:#?}");
        };
        let events = rest.iter().filter_map(|told| match told {
            SpanBuffer::Event(name, at, attributes) => Some((name, at, attributes)),
            _ => None,
        });
        let events: Vec<_> = events.collect();
        let times: Vec<_> = events.iter().map(|(_, at, _)| *at).chain([end]).collect();
        assert!(times.is_sorted(), "times fall: {told:#?}");
        let terminals = ["api.DEPARTED", "api.ABORTED"];
        let are = |(name, ..): &&(&Cow<'static, str>, _, _)| terminals.contains(&name.as_ref());
        assert_eq!(events.iter().filter(are).count(), 1, "{told:#?}");
        let (name, _, attributes) = events.last().expect("a terminal event");
        let of_event = |key: &str| {
            let mut all = attributes.iter();
            let found = all.find(|attribute| attribute.key.as_str() == key)?;
            Some(found.value.to_string())
        };
        let statuses: Vec<_> = rest
            .iter()
            .filter(|told| matches!(told, SpanBuffer::Status(_)))
            .collect();
        let outcome = self.attribute("api.outcome").expect("an outcome");
        let reason = self.attribute("api.abort.reason");
        assert_eq!(**name, format!("api.{outcome}"), "{told:#?}");
        assert_eq!(of_event("reason"), reason, "{told:#?}");
        let error_type = self.attribute("error.type");
        match (error_type, statuses.as_slice()) {
            (None, []) => {}
            (Some(_), [SpanBuffer::Status(Status::Error { description })]) => {
                let message = of_event("error").unwrap_or_default();
                assert_eq!(**description, message, "{told:#?}");
            }
            other => panic!("{other:?}: {told:#?}"),
        }
        match (reason, of_event("error")) {
            (None, None) => outcome,
            (Some(reason), None) => reason,
            (Some(reason), Some(error)) => format!("{reason}: {error}"),
            (None, Some(error)) => panic!("{error}: {told:#?}"),
        }
    }
}

/// The span context of a span that was made here.
pub fn own_context(id: u64) -> SpanContext {
    SpanContext::new(
        TraceId::from(u128::from(id)),
        SpanId::from(id),
        TraceFlags::SAMPLED,
        false,
        TraceState::NONE,
    )
}

impl TracerProvider for Watched {
    type Tracer = Self;

    fn tracer_with_scope(&self, _: InstrumentationScope) -> Self {
        self.clone()
    }
}

impl Tracer for Watched {
    type Span = WatchedSpan;

    fn build_with_context(&self, builder: SpanBuilder, _: &Context) -> WatchedSpan {
        for event in builder.events.into_iter().flatten() {
            self.push(SpanBuffer::Event(
                event.name,
                event.timestamp,
                event.attributes,
            ));
        }
        for attribute in builder.attributes.into_iter().flatten() {
            self.push(SpanBuffer::Attribute(attribute));
        }
        self.span()
    }
}

impl Span for WatchedSpan {
    fn add_event_with_timestamp<T>(&mut self, name: T, at: SystemTime, attributes: Vec<KeyValue>)
    where
        T: Into<Cow<'static, str>>,
    {
        self.told
            .push(SpanBuffer::Event(name.into(), at, attributes));
    }

    fn span_context(&self) -> &SpanContext {
        &self.span_context
    }

    fn is_recording(&self) -> bool {
        true
    }

    fn set_attribute(&mut self, attribute: KeyValue) {
        self.told.push(SpanBuffer::Attribute(attribute));
    }

    fn set_status(&mut self, status: Status) {
        self.told.push(SpanBuffer::Status(status));
    }

    fn update_name<T>(&mut self, name: T)
    where
        T: Into<Cow<'static, str>>,
    {
        self.told.push(SpanBuffer::Name(name.into()));
    }

    fn add_link(&mut self, _: SpanContext, _: Vec<KeyValue>) {}

    fn end_with_timestamp(&mut self, at: SystemTime) {
        self.told.push(SpanBuffer::End(at));
    }
}
