//! The process-wide providers, set and replaced while many threads serve through clones of one service.
//! They are those of the whole process, so this is a binary of its own, with one test.
//!
//! A short form runs with the other tests; the long form is as long as one likes:
//!
//! ```sh
//! CONCURRENT_REQUESTS=1000000 cargo test --test global_threads
//! ```

#[path = "globals/counted_span.rs"]
mod counted_span;

use std::cell::Cell;
use std::collections::HashSet;
use std::convert::Infallible;
use std::pin::pin;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Barrier, Mutex};
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
/// Requests of each thread, for a layer that has found nothing yet.
const REQUESTS: usize = 30;

fn rounds() -> usize {
    let given = std::env::var("CONCURRENT_REQUESTS").ok();
    let requests = given.map_or(100_000, |given| given.parse().expect("a number"));
    usize::div_ceil(requests, 3 * THREADS * REQUESTS)
}

/// What has come of a request.
#[derive(Debug, Default)]
struct Served {
    /// There is a handle: something is told of the request.
    is_watched: bool,
    /// The provider that its span is of.
    provider: Option<SpanId>,
}

/// Serves a request.
fn serve(layer: &ApiSpanLayer) -> Served {
    let mut served = Served::default();
    let mut service = layer.layer(service_fn(|request: Request<()>| {
        served.is_watched = request.extensions().get::<SpanHandle>().is_some();
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

/// Serves in many threads with clones of one layer, while `meanwhile` runs in this one. It is given
/// how many requests have been served. Where nothing is to be served `before` it, threads wait for it after
/// some requests: there it is in time, however slow this one is.
fn serve_at_once(
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
                for nr in 0..REQUESTS {
                    while nr == REQUESTS / 3 && !is_done.load(SeqCst) {
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

/// Waits until so many requests have been served, or all.
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

/// Whether a provider that was set when so many had been served is found by the end: the last request at
/// which one is looked for is the 128th.
fn is_in_time(served: &AtomicUsize) -> bool {
    const { assert!(THREADS * REQUESTS > 128 && THREADS * REQUESTS < 256) };
    served.load(SeqCst) + THREADS < 128
}

/// A provider whose spans have its number as their id, and are counted.
#[derive(Clone, Debug)]
struct Numbered {
    number: u64,
    /// A root span has no ids and records nothing, until this is true.
    samples: Arc<AtomicBool>,
    starts: Arc<AtomicUsize>,
    ends: Arc<AtomicUsize>,
}

thread_local! {
    /// How often this thread has asked a provider for a span.
    static ASKED: Cell<usize> = const { Cell::new(0) };
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
        assert_eq!(
            self.ends.load(SeqCst),
            starts,
            "each span is ended, and once"
        );
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
        ASKED.set(ASKED.get() + 1);
        let is_root = !parent.span().span_context().is_valid();
        let is_sampled = !is_root || self.samples.load(SeqCst);
        CountedSpan::new(is_sampled.then(|| self.id()), &self.ends)
    }
}

#[test]
fn globals_are_set_and_replaced_while_many_threads_serve_and_what_was_found_stays() {
    let mut in_time = [0; 3];
    for round in 0..rounds() {
        // At the first requests, and at any later one.
        let before = round % (THREADS * REQUESTS / 2);
        for (rule, in_time) in [
            once_a_request_had_a_span_all_have_one_of_the_same_provider as fn(usize) -> bool,
            once_a_provider_was_asked_it_is_asked_by_all,
            once_a_request_was_measured_all_are,
        ]
        .iter()
        .zip(&mut in_time)
        {
            *in_time += usize::from(rule(before));
        }
    }
    // Or else no provider was set early enough to be found for sure, and the last rules were not held.
    println!("set in time in {in_time:?} of {} rounds", rounds());
    assert!(in_time.iter().all(|rounds| *rounds > 0), "{in_time:?}");
}

/// Whether the provider was set in time, as all of these say.
fn once_a_request_had_a_span_all_have_one_of_the_same_provider(before: usize) -> bool {
    global::set_tracer_provider(NoopTracerProvider::new());
    let (first, second) = (Numbered::new(0xf1), Numbered::new(0xf2));
    let (found, kept) = (AtomicBool::new(false), Mutex::new(HashSet::new()));
    let (spans, in_time) = (AtomicUsize::new(0), AtomicBool::new(false));
    let layer = ApiSpanLayer::new();
    serve_at_once(
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
            if is_later {
                let provider = served.provider.expect("a span, as others had before");
                kept.lock().expect("not poisoned").insert(provider);
            }
            if served.provider.is_some() {
                spans.fetch_add(1, SeqCst);
                found.store(true, SeqCst);
            }
        },
    );
    let kept = kept.into_inner().expect("not poisoned");
    assert!(kept.len() <= 1, "{kept:?}");
    let spans = spans.into_inner();
    let [of_first, of_second] = [first.starts(), second.starts()];
    assert_eq!(of_first + of_second, spans);
    let in_time = in_time.into_inner();
    assert!(serve(&layer).provider.is_some() || !in_time);
    in_time
}

fn once_a_provider_was_asked_it_is_asked_by_all(before: usize) -> bool {
    global::set_tracer_provider(NoopTracerProvider::new());
    let provider = Numbered::new(0xf3);
    provider.samples.store(false, SeqCst);
    let (asked, in_time) = (AtomicBool::new(false), AtomicBool::new(false));
    let layer = ApiSpanLayer::new();
    serve_at_once(
        before,
        &layer,
        |served| {
            wait(served, before);
            global::set_tracer_provider(provider.clone());
            in_time.store(is_in_time(served), SeqCst);
        },
        |layer| {
            let (is_later, before) = (asked.load(SeqCst), ASKED.get());
            let served = serve(layer);
            assert_eq!(served.provider, None);
            let is_asked = ASKED.get() > before;
            assert!(is_asked || !is_later, "it was asked before");
            if is_asked {
                asked.store(true, SeqCst);
            }
        },
    );
    provider.starts();
    let asked = asked.into_inner();
    let in_time = in_time.into_inner();
    assert!(asked || !in_time);
    provider.samples.store(true, SeqCst);
    assert!(!asked || serve(&layer).provider == Some(provider.id()));
    in_time
}

fn once_a_request_was_measured_all_are(before: usize) -> bool {
    global::set_meter_provider(NoopMeterProvider::new());
    let exporter = InMemoryMetricExporter::default();
    let builder = SdkMeterProvider::builder().with_periodic_exporter(exporter.clone());
    let provider = builder.build();
    let (found, in_time) = (AtomicBool::new(false), AtomicBool::new(false));
    let measured = AtomicUsize::new(0);
    let layer = ApiSpanLayer::new().tracer_provider(&NoopTracerProvider::new());
    serve_at_once(
        before,
        &layer,
        |served| {
            wait(served, before);
            global::set_meter_provider(provider.clone());
            in_time.store(is_in_time(served), SeqCst);
        },
        |layer| {
            let is_later = found.load(SeqCst);
            let is_measured = serve(layer).is_watched;
            assert!(is_measured || !is_later, "others were measured before");
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
    assert!(serve(&layer).is_watched || !in_time);
    provider.shutdown().expect("all is exported");
    in_time
}
