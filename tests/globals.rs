//! The global tracer provider and propagator, which may be set after the layer was built. They are
//! process-wide, so this is a binary of its own, with one test.

#[path = "globals/counted_span.rs"]
mod counted_span;

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context as TaskContext, Poll, Waker};

use http::{Request, Response};
use opentelemetry::trace::{
    SpanBuilder, SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState,
    Tracer, TracerProvider,
};
use opentelemetry::{Context, InstrumentationScope, global};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{InMemorySpanExporter, Sampler, SdkTracerProvider};
use tower::{Service, service_fn};
use tower_api_span::{ApiSpanLayer, SpanHandle};
use tower_layer::Layer as _;

use counted_span::CountedSpan;

const CALLER: &str = "00f067aa0ba902b7";

/// The state that a handler observes.
#[derive(Debug, PartialEq)]
struct Inside {
    /// Whether there is a handle in the extensions.
    has_slot: bool,
    is_recording: bool,
    /// The id of the current span.
    current: String,
}

/// Serves a request with the `traceparent` of a caller.
fn serve(layer: &ApiSpanLayer) -> Inside {
    let mut inside = None;
    let mut service = layer.layer(service_fn(|request: Request<()>| {
        inside = Some(Inside {
            has_slot: !request.extensions().is_empty(),
            is_recording: SpanHandle::from_extensions(request.extensions()).is_recording(),
            current: Context::map_current(|current| {
                current.span().span_context().span_id().to_string()
            }),
        });
        std::future::ready(Ok::<_, Infallible>(Response::new(String::new())))
    }));
    let request = Request::get("/")
        .header(
            "traceparent",
            format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{CALLER}-01"),
        )
        .body(())
        .expect("a request");
    let response = pin!(service.call(request));
    let response = response.poll(&mut TaskContext::from_waker(Waker::noop()));
    assert!(matches!(response, Poll::Ready(Ok(_))));
    drop(service);
    inside.expect("the request is served")
}

/// A provider that at first does not sample root spans: it returns a span without ids that does not
/// record.
#[derive(Clone, Debug, Default)]
struct Unsampling {
    samples: Arc<AtomicBool>,
    tracer_requests: Arc<AtomicUsize>,
    builds: Arc<AtomicUsize>,
    ends: Arc<AtomicUsize>,
}

impl TracerProvider for Unsampling {
    type Tracer = Self;

    fn tracer_with_scope(&self, _: InstrumentationScope) -> Self {
        self.tracer_requests.fetch_add(1, Ordering::SeqCst);
        self.clone()
    }
}

impl Tracer for Unsampling {
    type Span = CountedSpan;

    fn build_with_context(&self, _: SpanBuilder, parent: &Context) -> CountedSpan {
        let span = self.builds.fetch_add(1, Ordering::SeqCst) + 1;
        let is_root = !parent.span().span_context().is_valid();
        let is_sampled = !is_root || self.samples.load(Ordering::SeqCst);
        CountedSpan::new(
            is_sampled.then(|| SpanId::from(0xf0 + span as u64)),
            &self.ends,
        )
    }
}

#[test]
fn global_providers_set_late_are_found() {
    // Requests that a layer serves before the provider is set, and the request that finds it.
    let layers: Vec<_> = [
        (0, 1),
        (1, 2),
        (2, 4),
        (3, 4),
        (4, 8),
        (5, 8),
        (600, 1_024),
        (1_024, 2_048),
        (1_100, 2_048),
        (2_048, 3_072),
    ]
    .map(|(before, found)| (before, found, ApiSpanLayer::new()))
    .into();
    let unsampled = ApiSpanLayer::new();
    let untraced = |current: &str| Inside {
        has_slot: false,
        is_recording: false,
        current: current.to_owned(),
    };
    let no_span = "0000000000000000";

    // Neither is set. Reading the caller's context makes no difference.
    let reading = ApiSpanLayer::new().propagator(TraceContextPropagator::new());
    for request in 1..=5 {
        assert_eq!(serve(&reading), untraced(CALLER), "request {request}");
    }
    for (before, _, layer) in &layers {
        for request in 1..=*before {
            assert_eq!(
                serve(layer),
                untraced(no_span),
                "request {request} of {before}"
            );
        }
    }

    check_unsampling_tracer_is_kept(&unsampled);

    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder()
        .with_simple_exporter(exporter.clone())
        .build();
    global::set_tracer_provider(provider.clone());
    for (before, found, layer) in &layers {
        for request in before + 1..*found {
            assert_eq!(
                serve(layer),
                untraced(no_span),
                "request {request} after {before}"
            );
        }
        assert!(exporter.get_finished_spans().expect("spans").is_empty());
        for request in *found..found + 4 {
            let inside = serve(layer);
            assert!(
                inside.has_slot && inside.is_recording,
                "request {request} after {before}"
            );
        }
        let spans = exporter.get_finished_spans().expect("spans");
        assert_eq!(spans.len(), 4, "after {before}");
        assert!(
            spans
                .iter()
                .all(|span| span.parent_span_id == SpanId::INVALID)
        );
        exporter.reset();
    }

    // Each request reads the global propagator.
    global::set_text_map_propagator(TraceContextPropagator::new());
    for (before, _, layer) in &layers {
        assert!(serve(layer).has_slot);
        let spans = exporter.get_finished_spans().expect("spans");
        assert_eq!(spans.len(), 1, "after {before}");
        assert_eq!(
            spans[0].parent_span_id.to_string(),
            CALLER,
            "after {before}"
        );
        exporter.reset();
    }
    // A handle without a span uses the global propagator, too.
    let mut headers = http::HeaderMap::new();
    let outside = SpanContext::new(
        TraceId::from(7),
        SpanId::from(7),
        TraceFlags::SAMPLED,
        false,
        TraceState::NONE,
    );
    let _outside = Context::new().with_remote_span_context(outside).attach();
    SpanHandle::default().inject(&mut headers);
    assert!(headers.contains_key("traceparent"));

    check_sample_rate_from_the_first_request();
    check_sampled_out_requests_use_the_tracer_found();
    check_shut_down_provider_is_replaced();
    check_clones_share_the_tracer_found();
}

/// Clones of a service, made before its first request, read the global provider once in all.
fn check_clones_share_the_tracer_found() {
    let provider = Unsampling::default();
    provider.samples.store(true, Ordering::SeqCst);
    global::set_tracer_provider(provider.clone());
    let service = ApiSpanLayer::new().layer(service_fn(|request: Request<()>| {
        let handle = SpanHandle::from_extensions(request.extensions());
        assert!(handle.is_recording());
        std::future::ready(Ok::<_, Infallible>(Response::new(String::new())))
    }));
    for mut clone in [service.clone(), service.clone(), service] {
        for _ in 0..3 {
            drop(clone.call(Request::new(())));
        }
    }
    let count = |counter: &AtomicUsize| counter.load(Ordering::SeqCst);
    assert_eq!(count(&provider.tracer_requests), 1);
    assert_eq!((count(&provider.builds), count(&provider.ends)), (9, 9));
}

/// A request that is sampled out starts no span, and still finds the tracer: the caller's sampled flag
/// is cleared for every request. Finding it exports no span.
fn check_sample_rate_from_the_first_request() {
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder()
        .with_sampler(Sampler::AlwaysOn)
        .with_simple_exporter(exporter.clone())
        .build();
    global::set_tracer_provider(provider);
    let layer = ApiSpanLayer::new().sample_rate(0.0);
    for request in 1..=9 {
        let mut is_sampled = None;
        let mut service = layer.layer(service_fn(|_: Request<()>| {
            is_sampled = Some(Context::map_current(|current| {
                current.span().span_context().is_sampled()
            }));
            std::future::ready(Ok::<_, Infallible>(Response::new(String::new())))
        }));
        let called = Request::get("/").header(
            "traceparent",
            format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{CALLER}-01"),
        );
        drop(service.call(called.body(()).expect("a request")));
        drop(service);
        assert_eq!(is_sampled, Some(false), "request {request}");
    }
    assert!(exporter.get_finished_spans().expect("spans").is_empty());
}

/// Requests sampled out by a rate do not read the global provider once it has been found.
fn check_sampled_out_requests_use_the_tracer_found() {
    let provider = Unsampling::default();
    global::set_tracer_provider(provider.clone());
    let layer = ApiSpanLayer::new().sample_rate(0.0);
    for _ in 0..100 {
        assert!(!serve(&layer).has_slot);
    }
    assert_eq!(provider.tracer_requests.load(Ordering::SeqCst), 1);
}

/// A provider that was shut down starts no spans. Unlike a working one, it is replaced by the next.
fn check_shut_down_provider_is_replaced() {
    let shut_down = SdkTracerProvider::builder().build();
    shut_down.shutdown().expect("nothing to export");
    global::set_tracer_provider(shut_down);
    let layer = ApiSpanLayer::new();
    for _ in 0..3 {
        assert!(!serve(&layer).has_slot);
    }
    global::set_tracer_provider(SdkTracerProvider::builder().build());
    for _ in 0..3 {
        assert!(serve(&layer).has_slot);
    }
}

/// The unsampled root of a working provider looks like a span of the API's no-op.
fn check_unsampling_tracer_is_kept(layer: &ApiSpanLayer) {
    let provider = Unsampling::default();
    global::set_tracer_provider(provider.clone());
    let count = |counter: &AtomicUsize| counter.load(Ordering::SeqCst);
    for request in 1..=4 {
        assert!(!serve(layer).has_slot, "request {request}");
    }
    // One span each, and one more to distinguish the provider from the no-op.
    assert_eq!((count(&provider.builds), count(&provider.ends)), (5, 5));
    provider.samples.store(true, Ordering::SeqCst);
    // From the next request on, although none of these would read the global provider again.
    for request in 5..=7 {
        assert!(serve(layer).has_slot, "request {request}");
    }
    assert_eq!((count(&provider.builds), count(&provider.ends)), (8, 8));
}
