//! The global propagator, set, replaced and composite. It is process-wide, so this is a binary of its own, with one
//! test.

#[path = "it/propagators/formats.rs"]
mod formats;
#[path = "it/propagators/inputs.rs"]
mod inputs;

use std::convert::Infallible;
use std::fmt;
use std::pin::pin;
use std::task::{Context as TaskContext, Poll, Waker};

use http::{HeaderMap, Request, Response};
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{SpanContext, TraceContextExt as _};
use opentelemetry::{Context, global};
use opentelemetry_http::HeaderExtractor;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{InMemorySpanExporter, Sampler, SdkTracerProvider};
use tower::{Service as _, service_fn};
use tower_api_span::ApiSpanLayer;
use tower_layer::Layer as _;

use formats::{FORMATS, Given, WithoutFields};
use inputs::inputs;

/// Serves a request with these headers. Returns the headers that the handler gets.
fn serve(layer: &ApiSpanLayer, headers: &HeaderMap) -> HeaderMap {
    let mut inside = None;
    let mut service = layer.layer(service_fn(|request: Request<()>| {
        inside = Some(request.headers().clone());
        std::future::ready(Ok::<_, Infallible>(Response::new(String::new())))
    }));
    let mut request = Request::new(());
    *request.headers_mut() = headers.clone();
    let response = pin!(service.call(request));
    let response = response.poll(&mut TaskContext::from_waker(Waker::noop()));
    assert!(matches!(response, Poll::Ready(Ok(_))));
    drop(service);
    inside.expect("the handler is called")
}

/// Returns the caller that a propagator itself finds, or an invalid one.
fn find(propagator: &dyn TextMapPropagator, headers: &HeaderMap) -> SpanContext {
    let context = propagator.extract_with_context(&Context::new(), &HeaderExtractor(headers));
    let caller = context.span().span_context().clone();
    Some(caller)
        .filter(SpanContext::is_valid)
        .unwrap_or_else(SpanContext::empty_context)
}

/// Prints like the SDK's W3C propagator, has no state either, and finds no caller.
struct LookAlike;

impl fmt::Debug for LookAlike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        TraceContextPropagator::new().fmt(f)
    }
}

impl TextMapPropagator for LookAlike {
    fn inject_context(&self, _: &Context, _: &mut dyn Injector) {}

    fn extract_with_context(&self, context: &Context, _: &dyn Extractor) -> Context {
        context.clone()
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(&[])
    }
}

#[test]
fn caller_is_the_one_that_the_current_global_propagator_finds() {
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder()
        .with_sampler(Sampler::AlwaysOn)
        .with_simple_exporter(exporter.clone())
        .build();
    let layer = ApiSpanLayer::new().tracer_provider(&provider);
    let span = |layer: &ApiSpanLayer, headers: &HeaderMap| {
        exporter.reset();
        let inside = serve(layer, headers);
        let mut spans = exporter.get_finished_spans().expect("spans");
        assert_eq!(spans.len(), 1);
        (spans.remove(0), inside)
    };

    let inputs = inputs();
    for input in &inputs {
        let (span, _) = span(&layer, &input.headers);
        assert!(
            !span.parent_span_is_remote,
            "not set, headers: {}",
            input.name
        );
    }
    // Each is set without fields as well.
    for (format, has_fields) in FORMATS.iter().zip([true, false].into_iter().cycle()) {
        let propagator = (format.create)();
        if has_fields {
            global::set_text_map_propagator(Given((format.create)()));
        } else {
            global::set_text_map_propagator(WithoutFields((format.create)()));
        }
        for input in &inputs {
            let case = format!("{}, headers: {}", format.name, input.name);
            let caller = find(propagator.as_ref(), &input.as_the_sdk_should_read);
            let (child, inside) = span(&layer, &input.headers);
            assert_eq!(child.parent_span_id, caller.span_id(), "{case}");
            assert_eq!(
                child.span_context.trace_state(),
                caller.trace_state(),
                "{case}"
            );
            assert_eq!(inside, input.headers, "{case}");
            let public = layer.clone().public_endpoint(true).propagate_to_inner(true);
            let (root, inside) = span(&public, &input.headers);
            let links: Vec<_> = root.links.iter().map(|link| &link.span_context).collect();
            assert_eq!(
                links.first().copied(),
                Some(&caller).filter(|_| caller.is_valid()),
                "{case}"
            );
            let found = find(propagator.as_ref(), &inside);
            assert_eq!(found.span_id(), root.span_context.span_id(), "{case}");
        }
    }
    // The layer replaces the SDK's own, for as long as it is the global one.
    for _ in 0..2 {
        global::set_text_map_propagator(TraceContextPropagator::new());
        for input in &inputs {
            let caller = find(
                &TraceContextPropagator::new(),
                &input.as_the_sdk_should_read,
            );
            let (child, inside) = span(&layer, &input.headers);
            assert_eq!(child.parent_span_id, caller.span_id(), "{}", input.name);
            let state = child.span_context.trace_state();
            assert_eq!(state, caller.trace_state(), "{}", input.name);
            assert_eq!(inside, input.headers, "{}", input.name);
        }
        global::set_text_map_propagator(LookAlike);
        for input in &inputs {
            let (root, _) = span(&layer, &input.headers);
            assert!(!root.parent_span_is_remote, "{}", input.name);
        }
    }
}
