//! A handle in other threads, after the end, and where there is no span.

use std::thread;

use http::{Extensions, HeaderMap};
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tower_api_span::SpanHandle;

use super::{said, serve};
use crate::support::recorder::Recorder;
use crate::support::{CALLER, TRACE, called, get};

/// Says everything that a handle can say.
fn say_everything(handle: &SpanHandle) {
    handle.set_attribute(KeyValue::new("test.tenant", "blue"));
    handle.set_attributes([KeyValue::new("test.shard", 7)]);
    handle.set_route("/x/{id}");
    handle.add_event("mine", Vec::new());
    handle.abort("quota", "used up");
    handle.allow_disconnect();
    let context = handle.context();
    context
        .span()
        .set_attribute(KeyValue::new("test.its", true));
    context.span().add_event("its", Vec::new());
    context.span().update_name("its");
    context
        .span()
        .set_status(opentelemetry::trace::Status::error("its"));
    context.span().end();
}

#[test]
fn other_threads_say_something_and_it_is_all_there() {
    let span = said(|handle| {
        thread::scope(|scope| {
            for n in 0..4 {
                let handle = handle.clone();
                scope.spawn(move || {
                    assert!(handle.is_recording());
                    for _ in 0..20 {
                        handle.set_attribute(KeyValue::new(format!("test.thread_{n}"), n));
                        handle.add_event(format!("thread {n}"), Vec::new());
                    }
                    handle.abort("quota", n);
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
fn the_span_has_ended_and_nothing_that_is_said_is_in_it() {
    let at = Recorder::new();
    let mut kept = SpanHandle::default();
    serve(&at.layer(), get(), 200, |handle| kept = handle);
    let ended = at.only();
    say_everything(&kept);
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
fn there_is_no_span_and_what_is_said_is_lost() {
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
        say_everything(&handle);
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
fn a_message_to_somebody_else_is_a_child_of_the_span() {
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
        // Also later, for what the response has left behind.
        let mut late = HeaderMap::new();
        kept.inject(&mut late);
        assert_eq!(late["traceparent"], expected.as_str());
    }
}

#[test]
fn a_message_to_somebody_else_is_written_by_the_layers_propagator() {
    use opentelemetry::propagation::{Injector, TextMapPropagator};

    #[derive(Debug)]
    struct Mine(TraceContextPropagator);
    impl TextMapPropagator for Mine {
        fn inject_context(&self, context: &Context, injector: &mut dyn Injector) {
            injector.set(
                "x-mine",
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
    headers.insert("x-mine", http::HeaderValue::from_static("of somebody else"));
    let layer = at.layer().propagator(Mine(TraceContextPropagator::new()));
    serve(&layer, get(), 200, |handle| handle.inject(&mut headers));
    let span = at.only().0.span_context;
    assert_eq!(headers.len(), 1);
    assert_eq!(headers["x-mine"], span.span_id().to_string().as_str());
}
