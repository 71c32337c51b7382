//! The released propagators, and wrappers of them as applications write them.
#![expect(deprecated, reason = "applications still use B3 and Jaeger")]

use std::collections::HashMap;
use std::str::FromStr as _;
use std::sync::{Arc, Mutex, PoisonError};

use jaeger::opentelemetry as api_0_32;
use jaeger::opentelemetry::propagation::TextMapPropagator as _;
use jaeger::opentelemetry::trace::TraceContextExt as _;
use jaeger::opentelemetry_jaeger_propagator;
use opentelemetry::Context;
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{
    Extractor, Injector, TextMapCompositePropagator, TextMapPropagator,
};
use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState,
};
use opentelemetry_aws::trace::XrayPropagator;
use opentelemetry_aws::trace::xray_propagator::MissingSampledBehavior;
use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};
use opentelemetry_zipkin::{B3Encoding, Propagator as B3};

pub(crate) type Boxed = Box<dyn TextMapPropagator + Send + Sync>;

/// A propagator under test.
pub(crate) struct Format {
    pub(crate) name: &'static str,
    pub(crate) create: fn() -> Boxed,
}

const fn format(name: &'static str, create: fn() -> Boxed) -> Format {
    Format { name, create }
}

fn composite(propagators: Vec<Boxed>) -> Boxed {
    Box::new(TextMapCompositePropagator::new(propagators))
}

fn w3c() -> Boxed {
    Box::new(TraceContextPropagator::new())
}

fn baggage() -> Boxed {
    Box::new(BaggagePropagator::new())
}

fn b3(encoding: B3Encoding) -> Boxed {
    Box::new(B3::with_encoding(encoding))
}

pub(crate) fn default_b3() -> Boxed {
    Box::new(B3::new())
}

fn jaeger() -> Boxed {
    Box::new(Jaeger::new(
        opentelemetry_jaeger_propagator::Propagator::new(),
    ))
}

/// A format whose header has a name that the application has chosen.
pub(crate) const OTHER_NAMES: &str = "Jaeger, other names";

pub(crate) const FORMATS: [Format; 17] = [
    format("W3C", w3c),
    format("W3C and baggage", || composite(vec![w3c(), baggage()])),
    format("B3, default", default_b3),
    format("B3, unspecified", || b3(B3Encoding::UnSpecified)),
    format("B3, multi", || b3(B3Encoding::MultipleHeader)),
    format("B3, single", || b3(B3Encoding::SingleHeader)),
    format("B3, both", || b3(B3Encoding::SingleAndMultiHeader)),
    format("Jaeger", jaeger),
    format(OTHER_NAMES, || {
        let names = ("x-trace", "x-ctx-");
        let jaeger = opentelemetry_jaeger_propagator::Propagator::with_custom_header_and_baggage;
        Box::new(Jaeger::new(jaeger(names.0, names.1)))
    }),
    format("X-Ray", || Box::new(XrayPropagator::new())),
    format("X-Ray, sampled by default", || {
        let propagator = XrayPropagator::new();
        Box::new(propagator.with_missing_sampled_behavior(MissingSampledBehavior::Sampled))
    }),
    format("W3C, then B3", || {
        composite(vec![w3c(), b3(B3Encoding::SingleHeader)])
    }),
    format("B3, then W3C and baggage", || {
        composite(vec![b3(B3Encoding::MultipleHeader), w3c(), baggage()])
    }),
    format("all", || {
        let xray = Box::new(XrayPropagator::new());
        let b3 = b3(B3Encoding::SingleAndMultiHeader);
        composite(vec![baggage(), xray, jaeger(), b3, w3c()])
    }),
    format("B3 without fields", || {
        Box::new(WithoutFields(b3(B3Encoding::SingleHeader)))
    }),
    format("W3C without fields", || Box::new(WithoutFields(w3c()))),
    format("B3 that is set later", || {
        let late = Late::default();
        late.set(b3(B3Encoding::MultipleHeader));
        Box::new(late)
    }),
];

/// Delegates to a propagator.
#[derive(Debug)]
pub(crate) struct Given(pub(crate) Boxed);

impl TextMapPropagator for Given {
    fn inject_context(&self, context: &Context, injector: &mut dyn Injector) {
        self.0.inject_context(context, injector);
    }

    fn extract_with_context(&self, context: &Context, extractor: &dyn Extractor) -> Context {
        self.0.extract_with_context(context, extractor)
    }

    fn fields(&self) -> FieldIter<'_> {
        self.0.fields()
    }
}

/// Delegates to a propagator, and declares no fields.
#[derive(Debug)]
pub(crate) struct WithoutFields(pub(crate) Boxed);

impl TextMapPropagator for WithoutFields {
    fn inject_context(&self, context: &Context, injector: &mut dyn Injector) {
        self.0.inject_context(context, injector);
    }

    fn extract_with_context(&self, context: &Context, extractor: &dyn Extractor) -> Context {
        self.0.extract_with_context(context, extractor)
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(&[])
    }
}

/// Delegates to a propagator that may be set or replaced at any time, as one that reads a configuration.
#[derive(Clone, Debug, Default)]
pub(crate) struct Late(Arc<Mutex<Option<Boxed>>>);

impl Late {
    pub(crate) fn set(&self, propagator: Boxed) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(propagator);
    }
}

impl TextMapPropagator for Late {
    fn inject_context(&self, context: &Context, injector: &mut dyn Injector) {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(propagator) = inner.as_ref() {
            propagator.inject_context(context, injector);
        }
    }

    fn extract_with_context(&self, context: &Context, extractor: &dyn Extractor) -> Context {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match inner.as_ref() {
            Some(propagator) => propagator.extract_with_context(context, extractor),
            None => context.clone(),
        }
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(&[])
    }
}

/// Jaeger's propagator, whose newest release is for version 0.32 of the API.
#[derive(Debug)]
pub(crate) struct Jaeger {
    inner: opentelemetry_jaeger_propagator::Propagator,
    fields: Vec<String>,
}

impl Jaeger {
    pub(crate) fn new(inner: opentelemetry_jaeger_propagator::Propagator) -> Self {
        let fields = inner.fields().map(str::to_owned).collect();
        Self { inner, fields }
    }
}

impl TextMapPropagator for Jaeger {
    fn inject_context(&self, context: &Context, injector: &mut dyn Injector) {
        use api_0_32::trace;
        let span = context.span();
        let caller = span.span_context();
        let state = trace::TraceState::from_str(&caller.trace_state().header());
        let context = api_0_32::Context::new().with_remote_span_context(trace::SpanContext::new(
            trace::TraceId::from_bytes(caller.trace_id().to_bytes()),
            trace::SpanId::from_bytes(caller.span_id().to_bytes()),
            trace::TraceFlags::new(caller.trace_flags().to_u8()),
            caller.is_remote(),
            state.unwrap_or_default(),
        ));
        let mut headers = HashMap::new();
        self.inner.inject_context(&context, &mut headers);
        for (name, value) in headers {
            injector.set(&name, value);
        }
    }

    fn extract_with_context(&self, context: &Context, extractor: &dyn Extractor) -> Context {
        let empty = api_0_32::Context::new();
        let extracted = self.inner.extract_with_context(&empty, &Headers(extractor));
        if !extracted.has_active_span() {
            return context.clone();
        }
        let span = extracted.span();
        let caller = span.span_context();
        let state = TraceState::from_str(&caller.trace_state().header());
        context.with_remote_span_context(SpanContext::new(
            TraceId::from_bytes(caller.trace_id().to_bytes()),
            SpanId::from_bytes(caller.span_id().to_bytes()),
            TraceFlags::new(caller.trace_flags().to_u8()),
            caller.is_remote(),
            state.unwrap_or_default(),
        ))
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(&self.fields)
    }
}

struct Headers<'a>(&'a dyn Extractor);

impl api_0_32::propagation::Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys()
    }
}
