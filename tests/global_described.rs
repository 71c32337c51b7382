//! `ApiSpanLayer::describe` and the warnings about globals that are not set. The globals are process-wide, so this is
//! a binary of its own, with one test.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context as TaskContext, Poll, Waker};

use http::request::Builder;
use http::{Request, Response};
use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::metrics::noop::NoopMeterProvider;
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{
    Extractor, Injector, TextMapCompositePropagator, TextMapPropagator,
};
use opentelemetry::trace::TracerProvider;
use opentelemetry::trace::noop::{NoopTracer, NoopTracerProvider};
use opentelemetry::{InstrumentationScope, KeyValue, global};
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, SdkMeterProvider};
use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
use tower::{Service, service_fn};
use tower_api_span::ApiSpanLayer;
use tower_layer::Layer as _;
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

const NONE: &str = "global, none (the API's no-op)";
const NOT_YET_FOUND: &str = "global, set, found by one of the next 1,024 requests";

/// Serves a request with the `traceparent` of a caller.
fn serve(layer: &ApiSpanLayer) {
    let caller = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    serve_request(layer, Request::get("/").header("traceparent", caller));
}

fn serve_request(layer: &ApiSpanLayer, request: Builder) {
    let mut service = layer.layer(service_fn(async |_: Request<()>| {
        Ok::<_, Infallible>(Response::new(String::new()))
    }));
    let response = pin!(service.call(request.body(()).expect("a request")));
    let response = response.poll(&mut TaskContext::from_waker(Waker::noop()));
    assert!(matches!(response, Poll::Ready(Ok(_))));
}

/// Returns one line of a description, without its name.
fn line(layer: &ApiSpanLayer, name: &str) -> String {
    let description = layer.describe();
    let mut lines = description.lines();
    let found = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    found.expect("a line of that name").to_owned()
}

fn tracer(layer: &ApiSpanLayer) -> String {
    line(layer, "tracer provider")
}

/// Records the names of the layer's warnings.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<&'static str>>>);

impl Warnings {
    /// Checks the warnings since the last call. Without feature `internal-logs` there are none.
    fn check(&self, expected: &[&str]) {
        let taken = std::mem::take(&mut *self.0.lock().expect("no panic"));
        if cfg!(feature = "internal-logs") {
            assert_eq!(taken, expected);
        } else {
            assert!(taken.is_empty(), "{taken:?}");
        }
    }
}

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Warnings {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "tower-api-span" {
            let mut names = self.0.lock().expect("no panic");
            names.push(event.metadata().name());
        }
    }
}

#[test]
fn a_description_has_what_the_layer_finds_now() {
    let warnings = Warnings::default();
    tracing_subscriber::registry().with(warnings.clone()).init();

    let early = check_nothing_is_set(&warnings);
    check_tracer_provider_is_set_late(&early, &warnings);
    check_propagator_is_set_late(&warnings);
    check_meter_provider_is_set_late(&early);
    check_provider_was_shut_down();
    check_no_op_around_a_provider_that_was_shut_down();
    check_provider_panics();
    check_given();
    check_features();
    warnings.check(&[]);
}

fn check_nothing_is_set(warnings: &Warnings) -> ApiSpanLayer {
    let layer = ApiSpanLayer::new();
    for _ in 0..2 {
        assert_eq!(tracer(&layer), NONE);
        assert_eq!(line(&layer, "propagator"), NONE);
        assert_eq!(line(&layer, "meter provider"), NONE);
        assert_eq!(line(&layer, "logger provider"), "none");
        serve(&layer);
        serve(&layer.clone().body_sizes(true));
    }
    // No propagator is missed while requests have no span.
    warnings.check(&["ApiSpanLayer.TracerProviderMissing"]);
    serve(&ApiSpanLayer::new().sample_rate(0.5));
    warnings.check(&["ApiSpanLayer.TracerProviderMissing"]);
    serve(&ApiSpanLayer::new().tracer_provider(&NoopTracerProvider::new()));
    serve(&ApiSpanLayer::new().filter(|_| false));
    warnings.check(&[]);
    layer
}

fn check_tracer_provider_is_set_late(early: &ApiSpanLayer, warnings: &Warnings) {
    let spans = InMemorySpanExporter::default();
    let builder = SdkTracerProvider::builder().with_simple_exporter(spans.clone());
    global::set_tracer_provider(builder.build());
    let layer = ApiSpanLayer::new();
    assert_eq!(tracer(&layer), "global, set");
    assert_eq!(tracer(early), NOT_YET_FOUND);
    let exported = spans.get_finished_spans().expect("spans");
    assert!(exported.is_empty(), "a description exports no span");
    let has_span = || !spans.get_finished_spans().expect("spans").is_empty();
    let found = (1..=1_024).find(|_| {
        serve(early);
        has_span()
    });
    assert!(found.is_some(), "1,024 requests have no span");
    assert_eq!(tracer(early), "global, set");
    // The early layer's.
    warnings.check(&["ApiSpanLayer.PropagatorMissing"]);

    global::set_tracer_provider(NoopTracerProvider::new());
    assert_eq!(tracer(early), NONE);
}

/// A propagator that reads no header.
#[derive(Debug)]
struct AddsBaggage;

impl TextMapPropagator for AddsBaggage {
    fn inject_context(&self, _: &opentelemetry::Context, _: &mut dyn Injector) {}

    fn extract_with_context(
        &self,
        context: &opentelemetry::Context,
        _: &dyn Extractor,
    ) -> opentelemetry::Context {
        context.with_baggage([KeyValue::new("cluster", "blue")])
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(&[])
    }
}

#[derive(Debug)]
struct Panics;

impl TextMapPropagator for Panics {
    fn inject_context(&self, _: &opentelemetry::Context, _: &mut dyn Injector) {}

    fn extract_with_context(
        &self,
        _: &opentelemetry::Context,
        _: &dyn Extractor,
    ) -> opentelemetry::Context {
        panic!("the propagator panics")
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(&[])
    }
}

fn check_propagator_is_set_late(warnings: &Warnings) {
    let provider = SdkTracerProvider::default();
    let layer = ApiSpanLayer::new().tracer_provider(&provider);
    serve_request(&layer, Request::get("/"));
    // A propagator of the layer that reads nothing is on purpose.
    serve(
        &layer
            .clone()
            .propagator(TextMapCompositePropagator::new(Vec::new())),
    );
    warnings.check(&[]);
    for _ in 0..2 {
        serve(&layer);
    }
    warnings.check(&["ApiSpanLayer.PropagatorMissing"]);
    global::set_text_map_propagator(AddsBaggage);
    serve(&ApiSpanLayer::new().tracer_provider(&provider));
    assert_eq!(line(&layer, "propagator"), "global ()");
    warnings.check(&[]);
    global::set_text_map_propagator(Panics);
    assert_eq!(line(&layer, "propagator"), "global, panics");
    global::set_text_map_propagator(BaggagePropagator::new());
    assert_eq!(line(&layer, "propagator"), "global (baggage)");
    // It reads something, although not the caller.
    serve(&ApiSpanLayer::new().tracer_provider(&provider));
    warnings.check(&[]);
    global::set_text_map_propagator(TraceContextPropagator::new());
    let described = line(&layer, "propagator");
    assert_eq!(described, "global (traceparent, tracestate)");
    serve(&ApiSpanLayer::new().tracer_provider(&provider));
    warnings.check(&[]);
}

fn check_meter_provider_is_set_late(early: &ApiSpanLayer) {
    let metrics = InMemoryMetricExporter::default();
    let builder = SdkMeterProvider::builder().with_periodic_exporter(metrics.clone());
    let provider = builder.build();
    global::set_meter_provider(provider.clone());
    assert_eq!(line(&ApiSpanLayer::new(), "meter provider"), "global, set");
    assert_eq!(line(early, "meter provider"), NOT_YET_FOUND);
    provider.force_flush().expect("no metrics");
    let exported = metrics.get_finished_metrics().expect("metrics");
    let mut scopes = exported.iter().flat_map(ResourceMetrics::scope_metrics);
    assert!(scopes.next().is_none(), "a description makes no metric");
    for _ in 0..1_024 {
        serve(early);
    }
    assert_eq!(line(early, "meter provider"), "global, set");
    global::set_meter_provider(NoopMeterProvider::new());
    assert_eq!(line(early, "meter provider"), NONE);
}

fn check_provider_was_shut_down() {
    let provider = SdkTracerProvider::default();
    global::set_tracer_provider(provider.clone());
    let layer = ApiSpanLayer::new();
    serve(&layer);
    provider.shutdown().expect("nothing to export");
    assert_eq!(tracer(&layer), "global, set");
    serve(&layer);
    let shut_down = "global, set, but a request had no span (shut down?)";
    assert_eq!(tracer(&layer), shut_down);

    let sampled_out = ApiSpanLayer::new().sample_rate(0.0);
    serve(&sampled_out);
    assert_eq!(tracer(&sampled_out), "global, set", "no span was refused");

    let late = ApiSpanLayer::new();
    serve(&late);
    let shut_down = "global, set, but no request had a span (shut down?)";
    assert_eq!(tracer(&late), shut_down);

    global::set_tracer_provider(SdkTracerProvider::default());
    for layer in [layer, late] {
        for _ in 0..8 {
            serve(&layer);
        }
        assert_eq!(tracer(&layer), "global, set");
    }
}

/// The no-op and a provider that was shut down are distinguished, in both orders.
fn check_no_op_around_a_provider_that_was_shut_down() {
    let provider = SdkTracerProvider::default();
    provider.shutdown().expect("nothing to export");
    let shut_down = "global, set, but no request had a span (shut down?)";
    let serve_all = |layer: &ApiSpanLayer| (0..1_024).for_each(|_| serve(layer));
    global::set_tracer_provider(provider.clone());
    let layer = ApiSpanLayer::new();
    serve(&layer);
    assert_eq!(tracer(&layer), shut_down);

    global::set_tracer_provider(NoopTracerProvider::new());
    serve_all(&layer);
    global::set_tracer_provider(provider);
    assert_eq!(tracer(&layer), NOT_YET_FOUND, "the no-op was found");
    serve_all(&layer);
    assert_eq!(tracer(&layer), shut_down);
}

struct Panicking;

impl TracerProvider for Panicking {
    type Tracer = NoopTracer;

    fn tracer_with_scope(&self, _: InstrumentationScope) -> NoopTracer {
        panic!("the provider panics")
    }
}

fn check_provider_panics() {
    global::set_tracer_provider(Panicking);
    assert_eq!(tracer(&ApiSpanLayer::new()), "global, panics");
}

fn check_given() {
    let layer = ApiSpanLayer::new()
        .tracer_provider(&SdkTracerProvider::default())
        .meter_provider(&SdkMeterProvider::default())
        .logger_provider(&SdkLoggerProvider::builder().build())
        .propagator(TraceContextPropagator::new());
    assert_eq!(tracer(&layer), "given");
    assert_eq!(line(&layer, "meter provider"), "given");
    assert_eq!(line(&layer, "logger provider"), "given");
    let described = line(&layer, "propagator");
    assert_eq!(described, "given (traceparent, tracestate)");

    let layer = layer
        .tracer_provider(&NoopTracerProvider::new())
        .meter_provider(&NoopMeterProvider::new());
    assert_eq!(tracer(&layer), "given, none (the API's no-op)");
    let described = line(&layer, "meter provider");
    assert_eq!(described, "given, none (the API's no-op, or it panics)");
}

fn check_features() {
    let layer = ApiSpanLayer::new();
    let version = format!("tower-api-span {}", env!("CARGO_PKG_VERSION"));
    assert_eq!(layer.describe().lines().next(), Some(&*version));
    // The crate's tests have these three.
    let features = if cfg!(feature = "internal-logs") {
        "axum, connect-info, internal-logs, tracing"
    } else {
        "axum, connect-info, tracing"
    };
    assert_eq!(line(&layer, "features"), features);
}
