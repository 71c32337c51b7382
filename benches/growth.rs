//! Measures how the cost of a request grows with open streams, the size of a request and threads, and how
//! much memory an open stream holds.
//!
//! callgrind counts instructions, each count in its own process. Without valgrind they are skipped with a
//! message. The counting allocator adds a little, so the counts are above those of `instructions`. Times are
//! the best of several rounds and only informative.
//!
//! ```console
//! $ cargo bench --bench growth
//! ```

#![expect(clippy::cast_precision_loss, reason = "all counts are far below 2^52")]

mod callgrind;

use std::convert::Infallible;
use std::fs;
use std::future::{Ready, ready};
use std::hint::black_box;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::{Arc, Barrier, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{HeaderName, HeaderValue, Request, Response};
use http_body::{Body, Frame};
use opentelemetry::KeyValue;
use opentelemetry::trace::{Span as _, SpanBuilder, SpanKind, Tracer as _, TracerProvider as _};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider, Span, SpanData, SpanProcessor};
use tower::{Layer, Service};
use tower_api_span::{ApiSpanLayer, SpanHandle};

/// The number of operations in the shorter run under callgrind.
const N: u64 = 500;

/// The numbers of open streams. Above [`MAX_COUNTED`] only time is measured.
const OPEN: [usize; 4] = [1, 100, 10_000, 100_000];
const MAX_COUNTED: usize = 10_000;

/// The limit of bytes that an open stream holds beyond the SDK's span.
const MAX_HELD: u64 = 1_024;
/// The same for the answer of a language model: an event is kept, and what was read.
const MAX_ANSWER_HELD: u64 = MAX_HELD + 1_024 + 512;

/// The growing quantities and their sizes. The growth from the first to the second size is the reference.
const GROWING: [(&str, [usize; 4]); 5] = [
    ("unrelated headers", [0, 10, 50, 100]),
    ("bytes of the path", [10, 100, 1_000, 10_000]),
    ("bytes of the query", [0, 100, 1_000, 10_000]),
    ("attributes that the handler sets", [0, 8, 64, 128]),
    ("captured headers, of 16", [0, 4, 8, 16]),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, run, what, size, variant, times] = &arguments[..]
        && run == "--run"
    {
        let (size, times) = (size.parse(), times.parse());
        let (size, times) = (size.expect("a number"), times.expect("a number"));
        run_operations(what, size, variant == LAYERED, times);
        return ExitCode::SUCCESS;
    }
    let mut failures = Failures::default();
    let can_count = callgrind::is_available();
    if !can_count {
        println!("growth: instruction counts SKIPPED: valgrind is not installed");
    }
    open_streams(can_count, &mut failures);
    memory(&mut failures);
    if can_count {
        sizes(&mut failures);
    }
    threads(can_count, &mut failures);
    for failure in &failures.0 {
        println!("growth: {failure}");
    }
    if failures.0.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// The failed checks. All tables are printed before the bench fails.
#[derive(Default)]
struct Failures(Vec<String>);

impl Failures {
    fn check(&mut self, holds: bool, message: impl FnOnce() -> String) {
        if !holds {
            self.0.push(message());
        }
    }
}

// === Open streams ===

fn open_streams(can_count: bool, failures: &mut Failures) {
    println!("## Cost of a request, by number of open streams\n");
    println!(
        "| open streams | instructions | beyond the bare service | ratio to 1 open stream | ns | ratio to 1 open stream |"
    );
    println!("|---|---|---|---|---|---|");
    let mut service = recording().layer(Inner::default());
    let (template, mut held) = (request(), Vec::new());
    let (mut first_counted, mut first_time) = (None, None);
    for open in OPEN {
        while held.len() < open {
            held.push(open_stream(&mut service, &template));
        }
        let time = best_time(|times| requests(&mut service, &template, times));
        let time_ratio = time / *first_time.get_or_insert(time);
        let counted = (can_count && open <= MAX_COUNTED).then(|| Counted::measure("open", open));
        let [all, beyond, ratio] = counted.map_or([const { String::new() }; 3], |counted| {
            let beyond = counted.beyond_bare();
            let ratio = ratio(beyond, *first_counted.get_or_insert(beyond));
            failures.check((ratio - 1.0).abs() <= 0.05, || {
                format!(
                    "with {open} open streams a request costs {ratio:.3} times as much as with 1"
                )
            });
            [
                counted.layered.to_string(),
                beyond.to_string(),
                format!("{ratio:.3}"),
            ]
        });
        println!("| {open} | {all} | {beyond} | {ratio} | {time:.0} | {time_ratio:.2} |");
    }
    println!();
}

/// Opens a stream and reads its first frame.
fn open_stream<S, B>(service: &mut S, template: &Request<()>) -> Pin<Box<B>>
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible>,
    B: Body<Data = Bytes, Error = Infallible>,
{
    let response = service.call(template.clone()).now_or_never();
    let Ok(response) = response.expect("the service and its body are always ready");
    let mut body = Box::pin(response.into_body());
    assert!(frame(body.as_mut()).is_some());
    body
}

// === Memory ===

fn memory(failures: &mut Failures) {
    println!("## Memory of an open stream, in bytes\n");
    println!(
        "| settings | bare | layer and span | SDK span alone | layer beyond the SDK span | limit |"
    );
    println!("|---|---|---|---|---|---|");
    let template = request();
    let bare = bytes_per_value(|| open_stream(&mut Inner::default(), &template));
    for (name, settings, limit) in [
        ("`ApiSpanLayer::new()`", ApiSpanLayer::new(), MAX_HELD),
        (
            "`ApiSpanLayer::llm()`",
            ApiSpanLayer::llm(),
            MAX_ANSWER_HELD,
        ),
    ] {
        let starts = Starts::default();
        let mut observed = on(settings.clone(), &provider(starts.clone())).layer(Inner::default());
        drop(open_stream(&mut observed, &template));
        let attributes = starts.0.lock().expect("no panic").clone();

        let provider = provider(NoopProcessor);
        let mut service = on(settings, &provider).layer(Inner::default());
        let layered = bytes_per_value(|| open_stream(&mut service, &template));
        let tracer = provider.tracer("growth");
        let alone = bytes_per_value(|| {
            let mut builder = SpanBuilder::from_name("GET").with_kind(SpanKind::Server);
            builder.attributes = Some(attributes.clone());
            Box::new(tracer.build_with_context(builder, &opentelemetry::Context::new()))
        });
        let beyond = layered - bare - alone;
        failures.check(beyond <= limit, || {
            format!("{name}: an open stream holds {beyond} bytes beyond the SDK's span")
        });
        println!("| {name} | {bare} | {layered} | {alone} | {beyond} | {limit} |");
    }
    println!();
}

/// Returns the heap bytes that each value holds.
fn bytes_per_value<T>(mut make: impl FnMut() -> T) -> u64 {
    const VALUES: usize = 1_000;
    // The first value of a thread initializes thread-locals.
    drop(make());
    let mut all = Vec::with_capacity(VALUES);
    let measured = allocation_counter::measure(|| all.extend((0..VALUES).map(|_| make())));
    u64::try_from(measured.bytes_current).expect("values that hold memory") / 1_000
}

// === Sizes ===

fn sizes(failures: &mut Failures) {
    println!("## Cost of a request, by its contents\n");
    println!(
        "| quantity | size | instructions | beyond the bare service | per unit beyond the first row |"
    );
    println!("|---|---|---|---|---|");
    for (what, sizes) in GROWING {
        let counted = sizes.map(|size| Counted::measure(what, size));
        let (first, second) = (counted[0].beyond_bare(), counted[1].beyond_bare());
        for (size, counted) in sizes.iter().zip(&counted) {
            let (more, growth) = (size - sizes[0], counted.beyond_bare().saturating_sub(first));
            let each = match more {
                0 => String::new(),
                more => format!("{:.1}", ratio(growth, more as u64)),
            };
            let (layered, beyond) = (counted.layered, counted.beyond_bare());
            println!("| {what} | {size} | {layered} | {beyond} | {each} |");
            // Allows a quarter more, and a one-time cost for large values.
            let proportional =
                second.saturating_sub(first) as f64 * more as f64 / (sizes[1] - sizes[0]) as f64;
            failures.check(growth as f64 <= 1.25 * proportional + 1_000.0, || {
                format!(
                    "{what}: {size} cost {growth} more, in proportion it would be {proportional:.0}"
                )
            });
        }
    }
    println!();
}

// === Threads ===

fn threads(can_count: bool, failures: &mut Failures) {
    println!("## Cost of a request, by number of threads that serve clones of one service\n");
    println!(
        "| threads | instructions | ratio to 1 thread | bare, ns (ratio to 1 thread) | SDK span alone | layer and span | waits per 1,000 requests |"
    );
    println!("|---|---|---|---|---|---|---|");
    let (service, provider) = (recording().layer(Inner::default()), provider(NoopProcessor));
    let tracer = provider.tracer("growth");
    let (mut first_counted, mut first_times) = (None, None);
    for count in [1, 2] {
        let [counted, counted_ratio] = if can_count {
            let counted =
                callgrind::per_operation(&["threads", &count.to_string(), LAYERED], 4 * N);
            let ratio = ratio(counted, *first_counted.get_or_insert(counted));
            failures.check((ratio - 1.0).abs() <= 0.02, || {
                format!("on {count} threads a request costs {ratio:.3} times as much as on 1")
            });
            [counted.to_string(), format!("{ratio:.3}")]
        } else {
            [const { String::new() }; 2]
        };
        let bare = rounds(count, || clones(&Inner::default()));
        let alone = rounds(count, || spans(&tracer));
        let layered = rounds(count, || clones(&service));
        let ratios = first_times.get_or_insert([bare.time, alone.time, layered.time]);
        let [bare_ratio, alone_ratio, time_ratio] = [
            bare.time / ratios[0],
            alone.time / ratios[1],
            layered.time / ratios[2],
        ];
        failures.check(layered.waits < 1.0, || {
            format!(
                "on {count} threads {:.1} of 1,000 requests wait",
                layered.waits
            )
        });
        println!(
            "| {count} | {counted} | {counted_ratio} | {:.0} ({bare_ratio:.2}) | \
             {:.0} ({alone_ratio:.2}) | {:.0} ({time_ratio:.2}) | {:.2} |",
            bare.time, alone.time, layered.time, layered.waits
        );
    }
    println!();
}

/// Returns the best time and the most waits of several rounds.
fn rounds<F: FnOnce(u64) + Send>(count: usize, prepare: impl Fn() -> F) -> OnThreads {
    (0..10)
        .map(|_| on_threads(count, 10_000, &prepare))
        .reduce(|one, other| OnThreads {
            time: one.time.min(other.time),
            waits: one.waits.max(other.waits),
        })
        .expect("some rounds")
}

/// Returns a function that sends requests to a clone of `service`. Each thread builds its own requests.
fn clones<S, B>(service: &S) -> impl FnOnce(u64) + Send + use<S, B>
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible> + Clone + Send,
    B: Body<Data = Bytes, Error = Infallible>,
{
    let mut service = service.clone();
    move |times| requests(&mut service, &request(), times)
}

/// Returns a function that only starts and ends SDK spans, with a tracer that all threads share.
fn spans(tracer: &SdkTracer) -> impl FnOnce(u64) + Send + use<> {
    let tracer = tracer.clone();
    move |times| {
        for _ in 0..times {
            let mut builder = SpanBuilder::from_name("GET").with_kind(SpanKind::Server);
            builder.attributes = Some(vec![KeyValue::new("http.request.method", "GET"); 7]);
            let parent = opentelemetry::Context::new();
            black_box(tracer.build_with_context(builder, &parent)).end();
        }
    }
}

/// The cost of a request on several threads.
struct OnThreads {
    /// Nanoseconds.
    time: f64,
    /// Voluntary context switches per 1,000 requests. Waiting for a lock causes them.
    waits: f64,
}

/// Runs `times` operations on each thread. Calls `prepare` once per thread before any of them starts.
fn on_threads<F>(count: usize, times: u64, prepare: impl Fn() -> F) -> OnThreads
where
    F: FnOnce(u64) + Send,
{
    let start = Barrier::new(count);
    let serve = |served: F| {
        start.wait();
        let (waited, begun) = (waits(), Instant::now());
        served(times);
        (begun.elapsed().as_secs_f64(), waits() - waited)
    };
    let served: Vec<(f64, u64)> = thread::scope(|scope| {
        let all: Vec<_> = (0..count)
            .map(|_| prepare())
            .map(|served| scope.spawn(|| serve(served)))
            .collect();
        all.into_iter()
            .map(|one| one.join().expect("served"))
            .collect()
    });
    let all = times as f64 * count as f64;
    let (seconds, waits) = served.iter().fold((0.0, 0), |(s, w), (seconds, waits)| {
        (s + seconds, w + waits)
    });
    OnThreads {
        time: seconds * 1e9 / all,
        waits: waits as f64 * 1e3 / all,
    }
}

/// Returns the voluntary context switches of this thread; zero where the system does not provide them.
fn waits() -> u64 {
    let status = fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))
        .map_or(0, |number| number.trim().parse().expect("a number"))
}

// === Operations ===

/// The variants, as passed to the child process.
const LAYERED: &str = "layered";
const BARE: &str = "bare";

/// The instructions of one request, with and without the layer.
struct Counted {
    layered: u64,
    bare: u64,
}

impl Counted {
    fn measure(what: &str, size: usize) -> Self {
        let size = size.to_string();
        let count = |variant| callgrind::per_operation(&[what, &size, variant], N);
        thread::scope(|scope| {
            let bare = scope.spawn(|| count(BARE));
            let layered = count(LAYERED);
            let bare = bare.join().expect("counted");
            Self { layered, bare }
        })
    }

    fn beyond_bare(&self) -> u64 {
        self.layered.saturating_sub(self.bare)
    }
}

/// Makes `times` requests, in the child process.
fn run_operations(what: &str, size: usize, is_layered: bool, times: u64) {
    let captured: Vec<_> = (0..size).map(header).collect();
    let (mut inner, mut layer) = (Inner::default(), recording());
    let mut template = request();
    let path = |bytes| format!("/{}", "p".repeat(bytes - 1));
    match what {
        "open" | "threads" => {}
        "unrelated headers" => add_headers(&mut template, size),
        "bytes of the path" => *template.uri_mut() = path(size).parse().expect("a path"),
        "bytes of the query" if size == 0 => {}
        "bytes of the query" => {
            // Ten bytes per pair, without the last `&`.
            let query = "key=value&".repeat(size / 10);
            let uri = format!("/v1/models?{}", &query[..size - 1]);
            *template.uri_mut() = uri.parse().expect("a query");
        }
        "attributes that the handler sets" => inner = Inner::setting(size),
        "captured headers, of 16" => {
            add_headers(&mut template, 16);
            layer = layer.capture_request_headers(captured);
        }
        _ => panic!("unknown quantity: {what}"),
    }
    match (what, is_layered) {
        ("threads", true) => {
            let each = times / size as u64;
            let service = layer.layer(inner);
            on_threads(size, each, || clones(&service));
        }
        ("open", true) => {
            requests_beside_open_streams(size, &mut layer.layer(inner), &template, times);
        }
        ("open", false) => requests_beside_open_streams(size, &mut inner, &template, times),
        (_, true) => requests(&mut layer.layer(inner), &template, times),
        (_, false) => requests(&mut inner, &template, times),
    }
}

/// Makes requests while `open` streams are open.
fn requests_beside_open_streams<S, B>(
    open: usize,
    service: &mut S,
    template: &Request<()>,
    times: u64,
) where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible>,
    B: Body<Data = Bytes, Error = Infallible>,
{
    let held: Vec<_> = (0..open).map(|_| open_stream(service, template)).collect();
    requests(service, template, times);
    // Not closed, so that closing is not counted.
    std::mem::forget(held);
}

/// Makes requests and reads each response to its end.
fn requests<S, B>(service: &mut S, template: &Request<()>, times: u64)
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible>,
    B: Body<Data = Bytes, Error = Infallible>,
{
    for _ in 0..times {
        let response = service.call(template.clone()).now_or_never();
        let Ok(response) = response.expect("the service and its body are always ready");
        let mut body = std::pin::pin!(response.into_body());
        let mut bytes = 0;
        while let Some(data) = frame(body.as_mut()) {
            bytes += data.len();
        }
        assert_eq!(black_box(bytes), 2 * FRAME.len());
    }
}

fn frame<B: Body<Data = Bytes, Error = Infallible>>(body: Pin<&mut B>) -> Option<Bytes> {
    match body.poll_frame(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Some(Ok(frame))) => frame.into_data().ok(),
        Poll::Ready(None) => None,
        Poll::Pending => panic!("the service and its body are always ready"),
    }
}

/// Returns the nanoseconds per request in the best of several rounds.
fn best_time(mut requests: impl FnMut(u64)) -> f64 {
    const TIMES: u32 = 2_000;
    let round = |_| {
        let begun = Instant::now();
        requests(TIMES.into());
        begun.elapsed().as_secs_f64() * 1e9 / f64::from(TIMES)
    };
    (0..25).map(round).fold(f64::INFINITY, f64::min)
}

fn ratio(one: u64, other: u64) -> f64 {
    one as f64 / other as f64
}

const FRAME: &[u8] = b"data: hello, world\n\n";

/// A body of two frames.
struct Twice(u8);

impl Body for Twice {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(left) = self.0.checked_sub(1) else {
            return Poll::Ready(None);
        };
        self.0 = left;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(FRAME)))))
    }
}

/// A service that answers with a stream and sets attributes with these keys.
#[derive(Clone, Default)]
struct Inner(Arc<[&'static str]>);

impl Inner {
    /// Returns a service that sets so many attributes. The keys are static, as in a handler.
    fn setting(attributes: usize) -> Self {
        let key = |number| &*format!("app.attribute.{number:03}").leak();
        Self((0..attributes).map(key).collect())
    }
}

impl Service<Request<()>> for Inner {
    type Response = Response<Twice>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        let span = SpanHandle::from_extensions(request.extensions());
        for key in &*self.0 {
            span.set_attribute(KeyValue::new(*key, 7));
        }
        let mut response = Response::new(Twice(2));
        let content_type = HeaderValue::from_static("text/event-stream");
        response
            .headers_mut()
            .insert(http::header::CONTENT_TYPE, content_type);
        ready(Ok(response))
    }
}

fn request() -> Request<()> {
    Request::get("/v1/models")
        .header("host", "api.example.com:8443")
        .header("user-agent", "curl/8.14.1")
        .header(
            "traceparent",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        )
        .body(())
        .expect("a request")
}

fn header(number: usize) -> HeaderName {
    HeaderName::try_from(format!("x-unrelated-{number:03}")).expect("a name")
}

fn add_headers(request: &mut Request<()>, count: usize) {
    let value = HeaderValue::from_static("the value of a header");
    let headers = (0..count).map(|number| (header(number), value.clone()));
    request.headers_mut().extend(headers);
}

// === Spans ===

fn recording() -> ApiSpanLayer {
    on(ApiSpanLayer::new(), &provider(NoopProcessor))
}

fn on(layer: ApiSpanLayer, provider: &SdkTracerProvider) -> ApiSpanLayer {
    layer
        .propagator(TraceContextPropagator::new())
        .tracer_provider(provider)
}

/// Returns a provider that records every span.
fn provider(processor: impl SpanProcessor + 'static) -> SdkTracerProvider {
    SdkTracerProvider::builder()
        .with_span_processor(processor)
        .build()
}

/// A processor that does nothing, so threads share no state of it.
#[derive(Debug)]
struct NoopProcessor;

/// A processor that keeps the start attributes of the last span.
#[derive(Clone, Debug, Default)]
struct Starts(Arc<Mutex<Vec<KeyValue>>>);

impl SpanProcessor for NoopProcessor {
    fn on_start(&self, _: &mut Span, _: &opentelemetry::Context) {}

    fn on_end(&self, _: SpanData) {}

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

impl SpanProcessor for Starts {
    fn on_start(&self, span: &mut Span, _: &opentelemetry::Context) {
        let started = span.exported_data().expect("a span that records");
        *self.0.lock().expect("no panic") = started.attributes;
    }

    fn on_end(&self, _: SpanData) {}

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}
