//! The global providers, replaced after requests were served with them, as a reload of telemetry does. They are
//! process-wide, so this is a binary of its own, with one test.

#[path = "globals/counted_span.rs"]
mod counted_span;

use std::convert::Infallible;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::StreamBody;
use opentelemetry::metrics::noop::NoopMeterProvider;
use opentelemetry::metrics::{
    Histogram, HistogramBuilder, InstrumentProvider, Meter, MeterProvider, SyncInstrument,
};
use opentelemetry::trace::noop::NoopTracerProvider;
use opentelemetry::trace::{SpanBuilder, SpanId, Tracer, TracerProvider};
use opentelemetry::{Context, InstrumentationScope, KeyValue, global};
use opentelemetry_sdk::metrics::data::{
    AggregatedMetrics, HistogramDataPoint, MetricData, ResourceMetrics, ScopeMetrics, SumDataPoint,
};
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, SdkMeterProvider};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
use tower::{Service, service_fn};
use tower_api_span::{ApiSpanLayer, SpanHandle};
use tower_layer::Layer as _;

use counted_span::CountedSpan;

/// A layer looks again at every 1,024th request, or at the first one a second after it has looked.
const PERIOD: usize = 1_024;

/// A body with one frame, whose end is not known before it is polled again.
type Frames =
    StreamBody<futures_util::stream::Once<std::future::Ready<Result<Frame<Bytes>, Infallible>>>>;

fn stream() -> Frames {
    let frame = Ok(Frame::data(Bytes::from_static(b"frame")));
    StreamBody::new(futures_util::stream::once(std::future::ready(frame)))
}

/// Begins a request. Returns the body of the response, and whether the request had a handle: then it is traced or
/// measured.
fn begin(layer: &ApiSpanLayer) -> (impl http_body::Body<Data = Bytes>, bool) {
    let mut has_handle = None;
    let mut service = layer.layer(service_fn(|request: Request<()>| {
        has_handle = Some(request.extensions().get::<SpanHandle>().is_some());
        std::future::ready(Ok::<_, Infallible>(Response::new(stream())))
    }));
    let response = pin!(service.call(Request::new(())));
    let Poll::Ready(Ok(response)) = response.poll(&mut TaskContext::from_waker(Waker::noop()))
    else {
        panic!("the service has a response");
    };
    drop(service);
    (
        response.into_body(),
        has_handle.expect("the request is served"),
    )
}

/// Serves a request to its end. Returns whether it had a handle.
fn serve(layer: &ApiSpanLayer) -> bool {
    let (body, has_handle) = begin(layer);
    end(body);
    has_handle
}

fn end(body: impl http_body::Body<Data = Bytes>) {
    let mut body = pin!(body);
    let cx = &mut TaskContext::from_waker(Waker::noop());
    while let Poll::Ready(Some(frame)) = body.as_mut().poll_frame(cx) {
        assert!(frame.is_ok());
    }
}

/// A tracer provider, and its spans. They are kept until the provider is dropped.
fn traces() -> (SdkTracerProvider, InMemorySpanExporter) {
    let exporter = InMemorySpanExporter::default();
    let builder = SdkTracerProvider::builder().with_simple_exporter(exporter.clone());
    (builder.build(), exporter)
}

fn count(exporter: &InMemorySpanExporter) -> usize {
    exporter.get_finished_spans().expect("spans").len()
}

#[test]
fn replaced_global_providers_get_no_more_requests() {
    check_tracer_provider_is_replaced_after_a_period();
    check_tracer_provider_is_replaced_after_a_second();
    check_provider_that_was_shut_down_is_replaced_at_once();
    check_no_op_turns_traces_off_and_on_again();
    check_replaced_provider_is_dropped_although_its_destructor_panics();
    check_provider_without_spans_is_replaced();
    check_provider_that_drops_spans_is_seldom_looked_up();
    check_sampled_out_requests_leave_the_provider();
    check_meter_provider_is_replaced();
    check_same_meter_provider_set_again_keeps_its_series();
    check_meter_is_made_once_and_dropped_although_its_destructor_panics();
}

fn check_tracer_provider_is_replaced_after_a_period() {
    let ((first, old), (second, new)) = (traces(), traces());
    global::set_tracer_provider(first.clone());
    let layer = ApiSpanLayer::new();
    for _ in 0..2_000 {
        assert!(serve(&layer));
    }
    assert_eq!(count(&old), 2_000);
    let (open, _) = begin(&layer);
    global::set_tracer_provider(second.clone());
    for request in 1..=PERIOD {
        assert!(serve(&layer), "request {request}");
    }
    assert_eq!(count(&old) + count(&new), 2_000 + PERIOD);
    let of_old = count(&old);
    assert!(
        of_old < 2_000 + PERIOD,
        "the last of them is in the new one at the latest"
    );
    end(open);
    assert_eq!(
        count(&old),
        of_old + 1,
        "an open stream ends where it began"
    );
    for _ in 0..2_000 {
        assert!(serve(&layer));
    }
    assert_eq!(count(&old), of_old + 1, "the old one gets no more");
    assert_eq!(count(&old) + count(&new), 4_001 + PERIOD);
}

fn check_tracer_provider_is_replaced_after_a_second() {
    let ((first, old), (second, new)) = (traces(), traces());
    global::set_tracer_provider(first.clone());
    let layer = ApiSpanLayer::new();
    let began = Instant::now();
    assert!(serve(&layer));
    global::set_tracer_provider(second.clone());
    // The time is the subject here. Waiting for longer changes nothing.
    std::thread::sleep(Duration::from_millis(1_010).saturating_sub(began.elapsed()));
    assert!(serve(&layer));
    assert_eq!((count(&old), count(&new)), (1, 1));
}

fn check_provider_that_was_shut_down_is_replaced_at_once() {
    let ((first, old), (second, new)) = (traces(), traces());
    global::set_tracer_provider(first.clone());
    let layer = ApiSpanLayer::new();
    for _ in 0..100 {
        assert!(serve(&layer));
    }
    first.shutdown().expect("all is exported");
    let of_old = count(&old);
    for _ in 0..10 {
        assert!(!serve(&layer), "there is no other provider");
    }
    global::set_tracer_provider(second.clone());
    // Of the requests that find no span, the 1st, 2nd, 4th, … makes the next one look.
    let found = (1..=PERIOD).find(|_| serve(&layer)).expect("a span");
    assert!(found <= 8, "request {found}");
    for _ in 0..10 {
        assert!(serve(&layer));
    }
    assert_eq!((count(&old), count(&new)), (of_old, 11));

    // If it is replaced before the next request, one request has no span.
    let (third, last) = traces();
    global::set_tracer_provider(third.clone());
    let (fresh, (fourth, after)) = (ApiSpanLayer::new(), traces());
    assert!(serve(&fresh));
    let third = count(&last);
    global::set_tracer_provider(fourth.clone());
    assert!(serve(&fresh), "the kept provider is not shut down");
    assert_eq!(count(&last) + count(&after), third + 1);
}

fn check_no_op_turns_traces_off_and_on_again() {
    let ((first, old), (second, new)) = (traces(), traces());
    global::set_tracer_provider(NoopTracerProvider::new());
    let layer = ApiSpanLayer::new();
    for _ in 0..600 {
        assert!(!serve(&layer));
    }
    global::set_tracer_provider(first.clone());
    let found = (601..=PERIOD).find(|_| serve(&layer));
    assert_eq!(found, Some(PERIOD));
    global::set_tracer_provider(NoopTracerProvider::new());
    let off = (1..=PERIOD)
        .find(|_| !serve(&layer))
        .expect("a request without a span");
    assert_eq!(count(&old), off);
    for request in 1..=100 {
        assert!(!serve(&layer), "request {request}");
    }
    assert_eq!(count(&old), off);
    global::set_tracer_provider(second.clone());
    // The requests since the no-op was found are counted anew.
    let on = (101..=PERIOD).find(|_| serve(&layer)).expect("a span");
    assert!(on <= 128, "request {on}");
    assert_eq!((count(&old), count(&new)), (off, 1));
}

/// A provider whose spans are counted. Its destructor panics.
#[derive(Clone)]
struct Panicking {
    ends: Arc<AtomicUsize>,
    _bomb: Arc<Bomb>,
}

struct Bomb(Arc<AtomicUsize>);

impl Drop for Bomb {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
        panic!("the destructor panics");
    }
}

impl TracerProvider for Panicking {
    type Tracer = Self;

    fn tracer_with_scope(&self, _: InstrumentationScope) -> Self {
        self.clone()
    }
}

impl Tracer for Panicking {
    type Span = CountedSpan;

    fn build_with_context(&self, _: SpanBuilder, _: &Context) -> CountedSpan {
        CountedSpan::new(Some(SpanId::from(0xf1)), &self.ends)
    }
}

fn check_replaced_provider_is_dropped_although_its_destructor_panics() {
    let (drops, ends) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    global::set_tracer_provider(Panicking {
        ends: Arc::clone(&ends),
        _bomb: Arc::new(Bomb(Arc::clone(&drops))),
    });
    let layer = ApiSpanLayer::new();
    assert!(serve(&layer));
    let (second, new) = traces();
    global::set_tracer_provider(second.clone());
    assert_eq!(
        drops.load(Ordering::SeqCst),
        0,
        "the layer keeps its tracer"
    );
    for request in 1..=PERIOD {
        assert!(serve(&layer), "request {request}");
    }
    assert_eq!(drops.load(Ordering::SeqCst), 1);
    assert_eq!(ends.load(Ordering::SeqCst) + count(&new), 1 + PERIOD);
}

/// A provider that was shut down before it made a span is looked up at each request.
fn check_provider_without_spans_is_replaced() {
    let (first, _) = traces();
    first.shutdown().expect("nothing to export");
    global::set_tracer_provider(first.clone());
    let layer = ApiSpanLayer::new();
    for _ in 0..10 {
        assert!(!serve(&layer));
    }
    global::set_tracer_provider(NoopTracerProvider::new());
    for _ in 0..PERIOD {
        assert!(!serve(&layer));
    }
    // The no-op was found by now, so few requests look: that is what `is_traced` of the first one shows.
    let (second, new) = traces();
    global::set_tracer_provider(second.clone());
    let found = (1..=PERIOD).find(|_| serve(&layer)).expect("a span");
    assert_eq!(count(&new), 1, "request {found}");
}

/// A provider whose sampler drops all spans but the first, which alone has an id. Its look-ups are counted.
#[derive(Clone, Default)]
struct KeepsFirst {
    lookups: Arc<AtomicUsize>,
    spans: Arc<AtomicUsize>,
}

impl TracerProvider for KeepsFirst {
    type Tracer = Self;

    fn tracer_with_scope(&self, _: InstrumentationScope) -> Self {
        self.lookups.fetch_add(1, Ordering::SeqCst);
        self.clone()
    }
}

impl Tracer for KeepsFirst {
    type Span = CountedSpan;

    fn build_with_context(&self, _: SpanBuilder, _: &Context) -> CountedSpan {
        let is_first = self.spans.fetch_add(1, Ordering::SeqCst) == 0;
        CountedSpan::new(is_first.then_some(SpanId::from(0xf1)), &Arc::default())
    }
}

/// It may have been shut down and replaced. So it is looked up again, but not by each request.
fn check_provider_that_drops_spans_is_seldom_looked_up() {
    let provider = KeepsFirst::default();
    global::set_tracer_provider(provider.clone());
    let layer = ApiSpanLayer::new();
    assert!(serve(&layer));
    let before = provider.lookups.load(Ordering::SeqCst);
    for _ in 0..PERIOD / 2 {
        assert!(!serve(&layer));
    }
    let lookups = provider.lookups.load(Ordering::SeqCst) - before;
    assert!((5..20).contains(&lookups), "{lookups}");
}

/// Requests that a rate drops start no span, and the others find out that the provider was replaced.
fn check_sampled_out_requests_leave_the_provider() {
    let ((first, old), (second, new)) = (traces(), traces());
    global::set_tracer_provider(first.clone());
    let layer = ApiSpanLayer::new().sample_rate(0.5);
    let spans = (0..1_000).filter(|_| serve(&layer)).count();
    assert_eq!(count(&old), spans);
    global::set_tracer_provider(second.clone());
    let spans = spans + (0..4 * PERIOD).filter(|_| serve(&layer)).count();
    let of_old = count(&old);
    assert_eq!(of_old + count(&new), spans);
    let more = (0..PERIOD).filter(|_| serve(&layer)).count();
    assert_eq!((count(&old), count(&new)), (of_old, spans - of_old + more));
}

/// A meter provider that keeps its metrics.
fn metrics() -> (SdkMeterProvider, InMemoryMetricExporter) {
    let exporter = InMemoryMetricExporter::default();
    let builder = SdkMeterProvider::builder().with_periodic_exporter(exporter.clone());
    (builder.build(), exporter)
}

/// Returns how many durations were measured, and the number of active requests.
fn read(provider: &SdkMeterProvider, exporter: &InMemoryMetricExporter) -> (u64, i64) {
    exporter.reset();
    provider.force_flush().expect("metrics are exported");
    let all = exporter.get_finished_metrics().expect("metrics");
    let (mut durations, mut active) = (0, 0);
    let scopes = all.iter().flat_map(ResourceMetrics::scope_metrics);
    for metric in scopes.flat_map(ScopeMetrics::metrics) {
        match (metric.name(), metric.data()) {
            (
                "http.server.request.duration",
                AggregatedMetrics::F64(MetricData::Histogram(data)),
            ) => {
                durations += data
                    .data_points()
                    .map(HistogramDataPoint::count)
                    .sum::<u64>();
            }
            ("http.server.active_requests", AggregatedMetrics::I64(MetricData::Sum(data))) => {
                active += data.data_points().map(SumDataPoint::value).sum::<i64>();
            }
            other => panic!("{other:?}"),
        }
    }
    (durations, active)
}

fn check_meter_provider_is_replaced() {
    let ((first, old), (second, new)) = (metrics(), metrics());
    global::set_tracer_provider(NoopTracerProvider::new());
    global::set_meter_provider(first.clone());
    let layer = ApiSpanLayer::new().active_requests(true);
    let (open, is_measured) = begin(&layer);
    assert!(is_measured);
    for _ in 0..2_000 {
        assert!(serve(&layer));
    }
    assert_eq!(read(&first, &old), (2_000, 1));
    global::set_meter_provider(second.clone());
    for request in 1..=PERIOD {
        assert!(serve(&layer), "request {request}");
    }
    let (of_old, _) = read(&first, &old);
    assert!((2_000..2_000 + PERIOD as u64).contains(&of_old), "{of_old}");
    end(open);
    assert_eq!(
        read(&first, &old),
        (of_old + 1, 0),
        "it ends where it began"
    );
    for _ in 0..100 {
        assert!(serve(&layer));
    }
    assert_eq!(read(&first, &old), (of_old + 1, 0));
    let of_new = 2_000 + PERIOD as u64 - of_old + 100;
    assert_eq!(read(&second, &new), (of_new, 0));
    first.shutdown().expect("all is exported");

    global::set_meter_provider(NoopMeterProvider::new());
    let off = (1..=PERIOD)
        .find(|_| !serve(&layer))
        .expect("a request that is not measured");
    // The request before it has found the no-op, and is not measured.
    let measured = of_new + off as u64 - 2;
    for request in 1..=100 {
        assert!(!serve(&layer), "request {request}");
    }
    assert_eq!(read(&second, &new), (measured, 0));
    global::set_meter_provider(second.clone());
    let on = (101..=PERIOD)
        .find(|_| serve(&layer))
        .expect("a request that is measured");
    assert!(on <= 128, "request {on}");
    assert_eq!(read(&second, &new), (measured + 1, 0));
}

/// Instruments that are made again belong to the same series.
fn check_same_meter_provider_set_again_keeps_its_series() {
    let (provider, exporter) = metrics();
    global::set_meter_provider(provider.clone());
    let layer = ApiSpanLayer::new().active_requests(true);
    for _ in 0..3 {
        for _ in 0..PERIOD {
            assert!(serve(&layer));
        }
        global::set_meter_provider(provider.clone());
    }
    assert_eq!(read(&provider, &exporter), (3 * PERIOD as u64, 0));
    let finished = exporter.get_finished_metrics().expect("metrics");
    let scopes = finished
        .last()
        .into_iter()
        .flat_map(ResourceMetrics::scope_metrics);
    let names = scopes
        .flat_map(ScopeMetrics::metrics)
        .map(|metric| metric.name().to_owned());
    let mut names: Vec<_> = names.collect();
    names.sort();
    assert_eq!(
        names,
        [
            "http.server.active_requests",
            "http.server.request.duration"
        ]
    );
}

/// A provider whose meters are counted. The destructor of its first instrument panics.
#[derive(Clone)]
struct PanickingMeters {
    meters: Arc<AtomicUsize>,
    bomb: Arc<Mutex<Option<Bomb>>>,
}

impl MeterProvider for PanickingMeters {
    fn meter_with_scope(&self, _: InstrumentationScope) -> Meter {
        self.meters.fetch_add(1, Ordering::SeqCst);
        Meter::new(Arc::new(self.clone()))
    }
}

impl InstrumentProvider for PanickingMeters {
    fn f64_histogram(&self, _: HistogramBuilder<'_, Histogram<f64>>) -> Histogram<f64> {
        let bomb = self.bomb.lock().expect("the bomb").take();
        Histogram::new(Arc::new(Instrument(bomb)))
    }
}

struct Instrument(#[expect(dead_code, reason = "its destructor is wanted")] Option<Bomb>);

impl SyncInstrument<f64> for Instrument {
    fn measure(&self, _: f64, _: &[KeyValue]) {}
}

fn check_meter_is_made_once_and_dropped_although_its_destructor_panics() {
    let drops = Arc::new(AtomicUsize::new(0));
    let provider = PanickingMeters {
        meters: Arc::default(),
        bomb: Arc::new(Mutex::new(Some(Bomb(Arc::clone(&drops))))),
    };
    global::set_meter_provider(provider.clone());
    let layer = ApiSpanLayer::new();
    for request in 1..=3 * PERIOD {
        assert!(serve(&layer), "request {request}");
    }
    assert_eq!(provider.meters.load(Ordering::SeqCst), 1);
    let (second, _) = metrics();
    global::set_meter_provider(second);
    assert_eq!(drops.load(Ordering::SeqCst), 0, "the layer keeps them");
    for request in 1..=PERIOD {
        assert!(serve(&layer), "request {request}");
    }
    assert_eq!(drops.load(Ordering::SeqCst), 1);
}
