//! A span whose every method uses the current span. A tracer does that if it logs through an appender
//! that reads the trace id. It must not deadlock.

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
struct ReentrantTracer;

#[derive(Debug)]
struct ReentrantSpan(SpanContext);

fn use_current_span() {
    let context = Context::current();
    black_box(context.span().is_recording());
    context
        .span()
        .set_attribute(KeyValue::new("test.reentrant", true));
}

impl TracerProvider for ReentrantTracer {
    type Tracer = Self;

    fn tracer_with_scope(&self, _: InstrumentationScope) -> Self {
        Self
    }
}

impl Tracer for ReentrantTracer {
    type Span = ReentrantSpan;

    fn build_with_context(&self, _: SpanBuilder, _: &Context) -> ReentrantSpan {
        ReentrantSpan(SpanContext::new(
            TraceId::from(1),
            SpanId::from(2),
            TraceFlags::SAMPLED,
            false,
            TraceState::NONE,
        ))
    }
}

impl Span for ReentrantSpan {
    fn add_event_with_timestamp<T>(&mut self, _: T, _: SystemTime, _: Vec<KeyValue>)
    where
        T: Into<Cow<'static, str>>,
    {
        use_current_span();
    }

    fn span_context(&self) -> &SpanContext {
        &self.0
    }

    fn is_recording(&self) -> bool {
        true
    }

    fn set_attribute(&mut self, _: KeyValue) {
        use_current_span();
    }

    fn set_status(&mut self, _: Status) {
        use_current_span();
    }

    fn update_name<T>(&mut self, _: T)
    where
        T: Into<Cow<'static, str>>,
    {
        use_current_span();
    }

    fn add_link(&mut self, _: SpanContext, _: Vec<KeyValue>) {
        use_current_span();
    }

    fn end_with_timestamp(&mut self, _: SystemTime) {
        use_current_span();
    }
}

#[test]
fn span_methods_that_use_the_current_span_do_not_deadlock() {
    without_deadlock(|| {
        let layer = ApiSpanLayer::new().tracer_provider(&ReentrantTracer);
        let mut service = answering(&layer, |request| {
            let handle = handle_of(&request);
            handle.add_event("from_handle", Vec::new());
            handle.set_route("/x");
            let context = handle.context();
            context.span().add_event("from_context", Vec::new());
            context.span().add_link(SpanContext::NONE, Vec::new());
            context.span().update_name("custom");
            handle.mark_aborted("quota", "");
            response(200, ScriptedBody::full(5))
        });
        let mut body = ready(service.call(get())).expect("a response").into_body();
        assert_eq!(read(&mut body), Ok(b"xxxxx".to_vec()));
    });
}
