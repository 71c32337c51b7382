//! The global providers, set and replaced while many threads serve through clones of one service. They
//! are process-wide, so this is a binary of its own, with one test.
//!
//! The number of requests is a setting. The default is 100,000:
//!
//! ```sh
//! CONCURRENT_REQUESTS=1000000 cargo test --test global_threads
//! ```

#[path = "globals/counted_span.rs"]
mod counted_span;

use std::cell::Cell;
use std::convert::Infallible;
use std::pin::pin;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Barrier};
use std::task::{Context as TaskContext, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use http::{Request, Response};
use opentelemetry::metrics::noop::NoopMeterProvider;
use opentelemetry::trace::noop::NoopTracerProvider;
use opentelemetry::trace::{SpanBuilder, SpanId, TraceContextExt as _, Tracer, TracerProvider};
use opentelemetry::{Context, InstrumentationScope, global};
use opentelemetry_sdk::metrics::data::{
    AggregatedMetrics, HistogramDataPoint, MetricData, ResourceMetrics, ScopeMetrics,
};
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, SdkMeterProvider};
use tower::{Service, service_fn};
use tower_api_span::{ApiSpanLayer, SpanHandle};
use tower_layer::Layer as _;

use counted_span::CountedSpan;

const THREADS: usize = 6;
const REPLACED_THREADS: usize = 8;
/// Requests of each thread, through a layer that has not found a provider yet.
const REQUESTS: usize = 30;

/// Returns the number of rounds that the environment asks for.
fn rounds() -> usize {
    let given = std::env::var("CONCURRENT_REQUESTS").ok();
    let requests = given.map_or(100_000, |given| given.parse().expect("a number"));
    usize::div_ceil(requests, 3 * THREADS * REQUESTS)
}

/// The result of a request.
#[derive(Debug, Default)]
struct Served {
    /// Whether there is a handle: the request is traced or measured.
    has_handle: bool,
    /// The provider of its span.
    provider: Option<SpanId>,
}

/// Serves a request.
fn serve(layer: &ApiSpanLayer) -> Served {
    let mut served = Served::default();
    let mut service = layer.layer(service_fn(|request: Request<()>| {
        served.has_handle = request.extensions().get::<SpanHandle>().is_some();
        let context = SpanHandle::from_extensions(request.extensions()).context();
        let ids = context.span().span_context().clone();
        served.provider = ids.is_valid().then(|| ids.span_id());
        std::future::ready(Ok::<_, Infallible>(Response::new(String::new())))
    }));
    let response = pin!(service.call(Request::new(())));
    let response = response.poll(&mut TaskContext::from_waker(Waker::noop()));
    assert!(matches!(response, Poll::Ready(Ok(_))));
    drop(service);
    served
}

/// Serves in many threads with clones of one layer, while `meanwhile` runs in this one with the number
/// of requests served. If `before` is 0, the threads wait for `meanwhile` after some requests, so that
/// it is in time on a slow machine, too.
fn serve_concurrently(
    before: usize,
    layer: &ApiSpanLayer,
    meanwhile: impl FnOnce(&AtomicUsize),
    request: impl Fn(&ApiSpanLayer) + Sync,
) {
    let (served, start) = (AtomicUsize::new(0), Barrier::new(THREADS + 1));
    let is_done = AtomicBool::new(before > 0);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            let layer = layer.clone();
            let (served, start, request) = (&served, &start, &request);
            let is_done = &is_done;
            scope.spawn(move || {
                start.wait();
                for number in 0..REQUESTS {
                    while number == REQUESTS / 3 && !is_done.load(SeqCst) {
                        thread::yield_now();
                    }
                    request(&layer);
                    served.fetch_add(1, SeqCst);
                }
            });
        }
        start.wait();
        meanwhile(&served);
        is_done.store(true, SeqCst);
    });
}

/// Waits until this many requests have been served, or all.
fn wait(served: &AtomicUsize, requests: usize) {
    let began = Instant::now();
    while served.load(SeqCst) < requests.min(THREADS * REQUESTS) {
        assert!(
            began.elapsed() < Duration::from_secs(300),
            "a thread has failed, or is very slow"
        );
        thread::yield_now();
    }
}

/// Returns whether a provider set after `served` requests is found by the end. The last request that
/// looks for one is the 128th.
fn is_in_time(served: &AtomicUsize) -> bool {
    const { assert!(THREADS * REQUESTS > 128 && THREADS * REQUESTS < 256) };
    served.load(SeqCst) + THREADS < 128
}

/// A provider that counts its spans and gives them its number as their id.
#[derive(Clone, Debug)]
struct Numbered {
    number: u64,
    /// Until this is true, a root span has no ids and does not record.
    samples: Arc<AtomicBool>,
    starts: Arc<AtomicUsize>,
    ends: Arc<AtomicUsize>,
}

thread_local! {
    /// The number of spans that this thread has started.
    static STARTED: Cell<usize> = const { Cell::new(0) };
}

impl Numbered {
    fn new(number: u64) -> Self {
        Self {
            number,
            samples: Arc::new(AtomicBool::new(true)),
            starts: Arc::default(),
            ends: Arc::default(),
        }
    }

    fn id(&self) -> SpanId {
        SpanId::from(self.number)
    }

    fn starts(&self) -> usize {
        let starts = self.starts.load(SeqCst);
        assert_eq!(self.ends.load(SeqCst), starts, "each span is ended once");
        starts
    }
}

impl TracerProvider for Numbered {
    type Tracer = Self;

    fn tracer_with_scope(&self, _: InstrumentationScope) -> Self {
        self.clone()
    }
}

impl Tracer for Numbered {
    type Span = CountedSpan;

    fn build_with_context(&self, _: SpanBuilder, parent: &Context) -> CountedSpan {
        self.starts.fetch_add(1, SeqCst);
        STARTED.set(STARTED.get() + 1);
        let is_root = !parent.span().span_context().is_valid();
        let is_sampled = !is_root || self.samples.load(SeqCst);
        CountedSpan::new(is_sampled.then(|| self.id()), &self.ends)
    }
}

#[test]
fn global_providers_are_found_and_replaced_while_threads_serve() {
    let mut in_time = [0; 3];
    for round in 0..rounds() {
        // The provider is set at the first request or at a later one.
        let before = round % (THREADS * REQUESTS / 2);
        for (check, in_time) in [
            check_each_span_comes_from_one_provider as fn(usize) -> bool,
            check_all_requests_use_the_unsampling_provider_found,
            check_all_requests_are_measured_once_one_was,
        ]
        .iter()
        .zip(&mut in_time)
        {
            *in_time += usize::from(check(before));
        }
    }
    for round in 0..rounds().div_ceil(100) {
        check_replaced_provider_gets_no_more_spans(round);
    }
    // Otherwise no provider was set early enough to be found for certain, and the last assertions of
    // each check did not apply.
    println!("set in time in {in_time:?} of {} rounds", rounds());
    assert!(in_time.iter().all(|rounds| *rounds > 0), "{in_time:?}");
}

/// Returns whether the provider was set in time, as the other checks do.
fn check_each_span_comes_from_one_provider(before: usize) -> bool {
    global::set_tracer_provider(NoopTracerProvider::new());
    let (first, second) = (Numbered::new(0xf1), Numbered::new(0xf2));
    let found = AtomicBool::new(false);
    let (spans, in_time) = (AtomicUsize::new(0), AtomicBool::new(false));
    let layer = ApiSpanLayer::new();
    serve_concurrently(
        before,
        &layer,
        |served| {
            wait(served, before);
            global::set_tracer_provider(first.clone());
            in_time.store(is_in_time(served), SeqCst);
            wait(served, 2 * before + 10);
            global::set_tracer_provider(second.clone());
        },
        |layer| {
            let is_later = found.load(SeqCst);
            let served = serve(layer);
            assert!(
                served.provider.is_some() || !is_later,
                "earlier requests had a span"
            );
            if served.provider.is_some() {
                spans.fetch_add(1, SeqCst);
                found.store(true, SeqCst);
            }
        },
    );
    let spans = spans.into_inner();
    let [from_first, from_second] = [first.starts(), second.starts()];
    assert_eq!(from_first + from_second, spans);
    let in_time = in_time.into_inner();
    assert!(serve(&layer).provider.is_some() || !in_time);
    in_time
}

/// Replaces the provider at any time, while the threads serve more requests than a layer waits. Each request has one
/// span, and those behind the wait have it of the last provider.
fn check_replaced_provider_gets_no_more_spans(round: usize) {
    const EACH: usize = 1_024;
    let providers: Vec<_> = (1..=4).map(Numbered::new).collect();
    global::set_tracer_provider(providers[0].clone());
    let layer = ApiSpanLayer::new();
    assert_eq!(serve(&layer).provider, Some(providers[0].id()));
    let (served, start) = (AtomicUsize::new(1), Barrier::new(REPLACED_THREADS + 1));
    thread::scope(|scope| {
        for _ in 0..REPLACED_THREADS {
            let layer = layer.clone();
            let (served, start) = (&served, &start);
            scope.spawn(move || {
                start.wait();
                for _ in 0..EACH {
                    let before = STARTED.get();
                    assert!(serve(&layer).provider.is_some());
                    assert_eq!(STARTED.get(), before + 1, "one span for each request");
                    served.fetch_add(1, SeqCst);
                }
            });
        }
        start.wait();
        for (number, provider) in providers.iter().enumerate().skip(1) {
            let requests = (number + round % 3) * EACH;
            let began = Instant::now();
            while served.load(SeqCst) < requests {
                assert!(
                    began.elapsed() < Duration::from_secs(300),
                    "a thread has failed"
                );
                thread::yield_now();
            }
            global::set_tracer_provider(provider.clone());
        }
    });
    let last = providers.last().expect("four providers");
    let of_others = || providers[..3].iter().map(Numbered::starts).sum::<usize>();
    for _ in 0..EACH {
        assert!(serve(&layer).provider.is_some());
    }
    let (others, of_last) = (of_others(), last.starts());
    assert_eq!(others + of_last, 1 + (REPLACED_THREADS + 1) * EACH);
    for _ in 0..2 * EACH {
        assert_eq!(serve(&layer).provider, Some(last.id()));
    }
    assert_eq!((of_others(), last.starts()), (others, of_last + 2 * EACH));
}

fn check_all_requests_use_the_unsampling_provider_found(before: usize) -> bool {
    global::set_tracer_provider(NoopTracerProvider::new());
    let provider = Numbered::new(0xf3);
    provider.samples.store(false, SeqCst);
    let (found_provider, in_time) = (AtomicBool::new(false), AtomicBool::new(false));
    let layer = ApiSpanLayer::new();
    serve_concurrently(
        before,
        &layer,
        |served| {
            wait(served, before);
            global::set_tracer_provider(provider.clone());
            in_time.store(is_in_time(served), SeqCst);
        },
        |layer| {
            let (is_later, before) = (found_provider.load(SeqCst), STARTED.get());
            let served = serve(layer);
            assert_eq!(served.provider, None);
            let is_started = STARTED.get() > before;
            assert!(
                is_started || !is_later,
                "earlier requests used the provider"
            );
            if is_started {
                found_provider.store(true, SeqCst);
            }
        },
    );
    provider.starts();
    let found_provider = found_provider.into_inner();
    let in_time = in_time.into_inner();
    assert!(found_provider || !in_time);
    provider.samples.store(true, SeqCst);
    assert!(!found_provider || serve(&layer).provider == Some(provider.id()));
    in_time
}

fn check_all_requests_are_measured_once_one_was(before: usize) -> bool {
    global::set_meter_provider(NoopMeterProvider::new());
    let exporter = InMemoryMetricExporter::default();
    let builder = SdkMeterProvider::builder().with_periodic_exporter(exporter.clone());
    let provider = builder.build();
    let (found, in_time) = (AtomicBool::new(false), AtomicBool::new(false));
    let measured = AtomicUsize::new(0);
    let layer = ApiSpanLayer::new().tracer_provider(&NoopTracerProvider::new());
    serve_concurrently(
        before,
        &layer,
        |served| {
            wait(served, before);
            global::set_meter_provider(provider.clone());
            in_time.store(is_in_time(served), SeqCst);
        },
        |layer| {
            let is_later = found.load(SeqCst);
            let is_measured = serve(layer).has_handle;
            assert!(is_measured || !is_later, "earlier requests were measured");
            if is_measured {
                measured.fetch_add(1, SeqCst);
                found.store(true, SeqCst);
            }
        },
    );
    provider.force_flush().expect("metrics are exported");
    let all = exporter.get_finished_metrics().expect("metrics");
    let metrics = all.iter().flat_map(ResourceMetrics::scope_metrics);
    let counts = metrics.flat_map(ScopeMetrics::metrics).map(|metric| {
        let AggregatedMetrics::F64(MetricData::Histogram(data)) = metric.data() else {
            panic!("{} is {:?}", metric.name(), metric.data());
        };
        let points = data.data_points();
        points.map(HistogramDataPoint::count).sum::<u64>()
    });
    let measured = measured.into_inner();
    assert_eq!(counts.sum::<u64>(), measured as u64);
    let in_time = in_time.into_inner();
    assert!(serve(&layer).has_handle || !in_time);
    provider.shutdown().expect("all is exported");
    in_time
}
