//! A span whose every method looks at the current one, as a tracer does that logs through an appender
//! which asks for the trace: it must not wait for itself.

use std::borrow::Cow;
use std::hint::black_box;
use std::time::SystemTime;

use opentelemetry::trace::{
    Span, SpanBuilder, SpanContext, SpanId, Status, TraceContextExt as _, TraceFlags, TraceId,
    TraceState, Tracer, TracerProvider,
};
use opentelemetry::{Context, InstrumentationScope, KeyValue};
use tower::Service;
use tower_api_span::ApiSpanLayer;

use crate::support::body::ScriptedBody;
use crate::support::{answering, get, handle_of, read, ready, response, without_deadlock};

#[derive(Clone, Debug)]
struct Curious;

#[derive(Debug)]
struct CuriousSpan(SpanContext);

fn look() {
    let context = Context::current();
    black_box(context.span().is_recording());
    context
        .span()
        .set_attribute(KeyValue::new("test.looked", true));
}

impl TracerProvider for Curious {
    type Tracer = Self;

    fn tracer_with_scope(&self, _: InstrumentationScope) -> Self {
        Self
    }
}

impl Tracer for Curious {
    type Span = CuriousSpan;

    fn build_with_context(&self, _: SpanBuilder, _: &Context) -> CuriousSpan {
        CuriousSpan(SpanContext::new(
            TraceId::from(1),
            SpanId::from(2),
            TraceFlags::SAMPLED,
            false,
            TraceState::NONE,
        ))
    }
}

impl Span for CuriousSpan {
    fn add_event_with_timestamp<T>(&mut self, _: T, _: SystemTime, _: Vec<KeyValue>)
    where
        T: Into<Cow<'static, str>>,
    {
        look();
    }

    fn span_context(&self) -> &SpanContext {
        &self.0
    }

    fn is_recording(&self) -> bool {
        true
    }

    fn set_attribute(&mut self, _: KeyValue) {
        look();
    }

    fn set_status(&mut self, _: Status) {
        look();
    }

    fn update_name<T>(&mut self, _: T)
    where
        T: Into<Cow<'static, str>>,
    {
        look();
    }

    fn add_link(&mut self, _: SpanContext, _: Vec<KeyValue>) {
        look();
    }

    fn end_with_timestamp(&mut self, _: SystemTime) {
        look();
    }
}

#[test]
fn a_span_looks_at_the_current_one_and_nothing_waits() {
    without_deadlock(|| {
        let layer = ApiSpanLayer::new().tracer_provider(&Curious);
        let mut service = answering(&layer, |request| {
            let handle = handle_of(&request);
            handle.add_event("mine", Vec::new());
            handle.set_route("/x");
            let context = handle.context();
            context.span().add_event("its", Vec::new());
            context.span().add_link(SpanContext::NONE, Vec::new());
            context.span().update_name("its");
            handle.abort("quota", "");
            response(200, ScriptedBody::full(5))
        });
        let mut body = ready(service.call(get())).expect("a response").into_body();
        assert_eq!(read(&mut body), Ok(b"xxxxx".to_vec()));
    });
}
