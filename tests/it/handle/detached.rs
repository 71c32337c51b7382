//! A handle in other threads, after the span's end, and without a span; and the headers that it
//! injects.

use std::thread;

use http::{Extensions, HeaderMap};
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tower_api_span::SpanHandle;

use super::{record_span, serve};
use crate::support::recorder::Recorder;
use crate::support::{CALLER, TRACE, called, get};

/// Calls every method that records something.
fn call_every_method(handle: &SpanHandle) {
    handle.set_attribute(KeyValue::new("test.tenant", "blue"));
    handle.set_attributes([KeyValue::new("test.shard", 7)]);
    handle.set_route("/x/{id}");
    handle.add_event("from_handle", Vec::new());
    handle.mark_aborted("quota", "used up");
    handle.allow_disconnect();
    let context = handle.context();
    context
        .span()
        .set_attribute(KeyValue::new("test.from_context", true));
    context.span().add_event("from_context", Vec::new());
    context.span().update_name("custom");
    context
        .span()
        .set_status(opentelemetry::trace::Status::error("from the context"));
    context.span().end();
}

#[test]
fn data_recorded_in_other_threads_is_all_on_the_span() {
    let span = record_span(|handle| {
        thread::scope(|scope| {
            for n in 0..4 {
                let handle = handle.clone();
                scope.spawn(move || {
                    assert!(handle.is_recording());
                    for _ in 0..20 {
                        handle.set_attribute(KeyValue::new(format!("test.thread_{n}"), n));
                        handle.add_event(format!("thread {n}"), Vec::new());
                    }
                    handle.mark_aborted("quota", n);
                });
            }
        });
    });
    for n in 0..4_i64 {
        assert_eq!(
            span.attribute(&format!("test.thread_{n}")),
            Some(n.to_string())
        );
        let event = format!("thread {n}");
        assert_eq!(
            span.events().iter().filter(|name| **name == event).count(),
            20
        );
    }
    assert_eq!(span.outcome(), "ABORTED(quota)");
}

#[test]
fn data_recorded_after_the_end_is_ignored() {
    let at = Recorder::new();
    let mut kept = SpanHandle::default();
    serve(&at.layer(), get(), 200, |handle| kept = handle);
    let ended = at.only();
    call_every_method(&kept);
    assert!(!kept.is_recording());
    let span = at.only();
    assert_eq!(span.0.attributes, ended.0.attributes);
    assert_eq!(span.events(), ["api.ARRIVED", "api.DEPARTED"]);
    assert_eq!(
        (span.0.name.as_ref(), span.outcome().as_str()),
        ("GET", "DEPARTED")
    );
    assert!(!span.is_error());
}

#[test]
fn handle_without_a_span_records_nothing() {
    for (case, handle) in [
        ("default", SpanHandle::default()),
        ("no layer", SpanHandle::from_extensions(&Extensions::new())),
        ("filtered", {
            let at = Recorder::new();
            let mut kept = None;
            serve(&at.layer().filter(|_| false), get(), 200, |handle| {
                kept = Some(handle);
            });
            kept.expect("a request")
        }),
    ] {
        call_every_method(&handle);
        assert!(!handle.is_recording(), "{case}");
        assert!(!handle.context().has_active_span(), "{case}");
        let _outside = Context::current().with_value(7_u8).attach();
        assert_eq!(handle.context().get(), Some(&7_u8), "{case}");
        let mut headers = HeaderMap::new();
        handle.inject(&mut headers);
        assert!(headers.is_empty(), "{case}: {headers:?}");
    }
}

#[test]
fn injected_headers_name_the_span_as_parent() {
    for (request, trace) in [(get(), None), (called("01"), Some(TRACE))] {
        let at = Recorder::new();
        let mut headers = HeaderMap::new();
        let mut kept = SpanHandle::default();
        serve(&at.layer(), request, 200, |handle| {
            handle.inject(&mut headers);
            kept = handle;
        });
        let span = at.only().0.span_context;
        let expected = format!("00-{}-{}-01", span.trace_id(), span.span_id());
        assert_eq!(headers["traceparent"], expected.as_str());
        assert!(!expected.contains(CALLER));
        assert!(trace.is_none_or(|trace| expected.contains(trace)));
        // Also after the end, for tasks that outlive the response.
        let mut late = HeaderMap::new();
        kept.inject(&mut late);
        assert_eq!(late["traceparent"], expected.as_str());
    }
}

#[test]
fn injected_headers_are_written_by_the_layers_propagator() {
    use opentelemetry::propagation::{Injector, TextMapPropagator};

    #[derive(Debug)]
    struct Custom(TraceContextPropagator);
    impl TextMapPropagator for Custom {
        fn inject_context(&self, context: &Context, injector: &mut dyn Injector) {
            injector.set(
                "x-custom",
                context.span().span_context().span_id().to_string(),
            );
        }
        fn extract_with_context(
            &self,
            context: &Context,
            extractor: &dyn opentelemetry::propagation::Extractor,
        ) -> Context {
            self.0.extract_with_context(context, extractor)
        }
        fn fields(&self) -> opentelemetry::propagation::text_map_propagator::FieldIter<'_> {
            self.0.fields()
        }
    }
    let at = Recorder::new();
    let mut headers = HeaderMap::new();
    headers.insert("x-custom", http::HeaderValue::from_static("to be replaced"));
    let layer = at.layer().propagator(Custom(TraceContextPropagator::new()));
    serve(&layer, get(), 200, |handle| handle.inject(&mut headers));
    let span = at.only().0.span_context;
    assert_eq!(headers.len(), 1);
    assert_eq!(headers["x-custom"], span.span_id().to_string().as_str());
}
