//! What the cost of a request grows with, and what it does not: open streams, the size of what is in a
//! request, threads; and the memory that an open stream holds.
//!
//! Instructions are counted by callgrind, each in a process of its own, and without valgrind that is
//! said and skipped. Under all of it is an allocator that counts, so they are a little above those of
//! `instructions`. Times are the quickest of some rounds and tell what they are: informative.
//!
//! ```console
//! $ cargo bench --bench growth
//! ```

#![expect(
    clippy::cast_precision_loss,
    reason = "no count here is beyond what an f64 holds"
)]

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

/// How many operations the shorter run under callgrind has.
const N: u64 = 500;

/// How many streams are open; of those beyond [`MOST_COUNTED`] only the time is taken.
const OPEN: [usize; 4] = [1, 100, 10_000, 100_000];
const MOST_COUNTED: usize = 10_000;

/// Bytes that an open stream may hold beyond the SDK's own span.
const MOST_HELD: u64 = 1_024;

/// What grows, and its sizes. Growth is compared with that from the first size to the second.
const GROWING: [(&str, [usize; 4]); 5] = [
    ("unrelated headers", [0, 10, 50, 100]),
    ("bytes of the path", [10, 100, 1_000, 10_000]),
    ("bytes of the query", [0, 100, 1_000, 10_000]),
    ("attributes that the handler sets", [0, 8, 64, 128]),
    ("captured headers, of 16", [0, 4, 8, 16]),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, run, what, size, who, times] = &arguments[..]
        && run == "--run"
    {
        let (size, times) = (size.parse(), times.parse());
        let (size, times) = (size.expect("a number"), times.expect("a number"));
        operate(what, size, who == LAYERED, times);
        return ExitCode::SUCCESS;
    }
    let mut verdicts = Verdicts::default();
    let counts = callgrind::is_there();
    if !counts {
        println!(
            "growth: instructions are SKIPPED, there is no valgrind: install it, and run this again"
        );
    }
    open_streams(counts, &mut verdicts);
    memory(&mut verdicts);
    if counts {
        sizes(&mut verdicts);
    }
    threads(counts, &mut verdicts);
    for broken in &verdicts.0 {
        println!("growth: {broken}");
    }
    if verdicts.0.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// What does not hold. All tables are printed before it fails.
#[derive(Default)]
struct Verdicts(Vec<String>);

impl Verdicts {
    fn check(&mut self, holds: bool, rule: impl FnOnce() -> String) {
        if !holds {
            self.0.push(rule());
        }
    }
}

// === Open streams ===

fn open_streams(counts: bool, verdicts: &mut Verdicts) {
    println!("## A request, by streams that are open\n");
    println!(
        "| open | instructions | over the bare service | against 1 open | ns | against 1 open |"
    );
    println!("|---|---|---|---|---|---|");
    let mut service = recording().layer(Inner::default());
    let (template, mut held) = (request(), Vec::new());
    let (mut first_counted, mut first_time) = (None, None);
    for open in OPEN {
        while held.len() < open {
            held.push(opened(&mut service, &template));
        }
        let time = quickest(|times| requests(&mut service, &template, times));
        let time_ratio = time / *first_time.get_or_insert(time);
        let counted = (counts && open <= MOST_COUNTED).then(|| Counted::of("open", open));
        let [all, over, ratio] = counted.map_or([const { String::new() }; 3], |counted| {
            let over = counted.over();
            let ratio = ratio(over, *first_counted.get_or_insert(over));
            verdicts.check((ratio - 1.0).abs() <= 0.05, || {
                format!(
                    "with {open} streams open a request costs {ratio:.3} of what it does with 1"
                )
            });
            [
                counted.layered.to_string(),
                over.to_string(),
                format!("{ratio:.3}"),
            ]
        });
        println!("| {open} | {all} | {over} | {ratio} | {time:.0} | {time_ratio:.2} |");
    }
    println!();
}

/// A stream that has given its first frame and is held.
fn opened<S, B>(service: &mut S, template: &Request<()>) -> Pin<Box<B>>
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible>,
    B: Body<Data = Bytes, Error = Infallible>,
{
    let response = service.call(template.clone()).now_or_never();
    let Ok(response) = response.expect("nothing waits");
    let mut body = Box::pin(response.into_body());
    assert!(frame(body.as_mut()).is_some());
    body
}

// === Memory ===

fn memory(verdicts: &mut Verdicts) {
    println!("## Bytes that an open stream holds\n");
    println!(
        "| settings | bare | with layer and span | the SDK's span alone | layer beyond that | at most |"
    );
    println!("|---|---|---|---|---|---|");
    let template = request();
    let bare = held(|| opened(&mut Inner::default(), &template));
    for (name, settings) in [
        ("`ApiSpanLayer::new()`", ApiSpanLayer::new()),
        ("`ApiSpanLayer::llm()`", ApiSpanLayer::llm()),
    ] {
        let seen = Starts::default();
        let mut watched = on(settings.clone(), &provider(seen.clone())).layer(Inner::default());
        drop(opened(&mut watched, &template));
        let seen = seen.0.lock().expect("no panic").clone();

        let provider = provider(Nothing);
        let mut service = on(settings, &provider).layer(Inner::default());
        let layered = held(|| opened(&mut service, &template));
        let tracer = provider.tracer("growth");
        let alone = held(|| {
            let mut builder = SpanBuilder::from_name("GET").with_kind(SpanKind::Server);
            builder.attributes = Some(seen.clone());
            Box::new(tracer.build_with_context(builder, &opentelemetry::Context::new()))
        });
        let beyond = layered - bare - alone;
        verdicts.check(beyond <= MOST_HELD, || {
            format!("{name}: an open stream holds {beyond} bytes beyond the SDK's span")
        });
        println!("| {name} | {bare} | {layered} | {alone} | {beyond} | {MOST_HELD} |");
    }
    println!();
}

/// Bytes on the heap that each value holds.
fn held<T>(mut make: impl FnMut() -> T) -> u64 {
    const MANY: usize = 1_000;
    // The first of a thread makes what the thread keeps.
    drop(make());
    let mut all = Vec::with_capacity(MANY);
    let measured = allocation_counter::measure(|| all.extend((0..MANY).map(|_| make())));
    u64::try_from(measured.bytes_current).expect("values that hold something") / 1_000
}

// === Sizes ===

fn sizes(verdicts: &mut Verdicts) {
    println!("## A request, by what is in it\n");
    println!(
        "| what | how many | instructions | over the bare service | each beyond the first row |"
    );
    println!("|---|---|---|---|---|");
    for (what, sizes) in GROWING {
        let counted = sizes.map(|size| Counted::of(what, size));
        let (first, second) = (counted[0].over(), counted[1].over());
        for (size, counted) in sizes.iter().zip(&counted) {
            let (more, beyond) = (size - sizes[0], counted.over().saturating_sub(first));
            let each = match more {
                0 => String::new(),
                more => format!("{:.1}", ratio(beyond, more as u64)),
            };
            let (layered, over) = (counted.layered, counted.over());
            println!("| {what} | {size} | {layered} | {over} | {each} |");
            // A quarter more, and what is paid once where pieces become large.
            let proportional =
                second.saturating_sub(first) as f64 * more as f64 / (sizes[1] - sizes[0]) as f64;
            verdicts.check(beyond as f64 <= 1.25 * proportional + 1_000.0, || {
                format!("{what}: {size} cost {beyond}, and in proportion {proportional:.0}")
            });
        }
    }
    println!();
}

// === Threads ===

fn threads(counts: bool, verdicts: &mut Verdicts) {
    println!("## A request, by threads that serve clones of one service\n");
    println!(
        "| threads | instructions | against 1 | bare, ns (against 1) | the SDK's span alone | layer and span | waits in 1,000 requests |"
    );
    println!("|---|---|---|---|---|---|---|");
    let (service, provider) = (recording().layer(Inner::default()), provider(Nothing));
    let tracer = provider.tracer("growth");
    let (mut first_counted, mut first_times) = (None, None);
    for count in [1, 2] {
        let [counted, counted_ratio] = if counts {
            let counted = callgrind::of_one(&["threads", &count.to_string(), LAYERED], 4 * N);
            let ratio = ratio(counted, *first_counted.get_or_insert(counted));
            verdicts.check((ratio - 1.0).abs() <= 0.02, || {
                format!("on {count} threads a request costs {ratio:.3} of what it does on 1")
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
        verdicts.check(layered.waits < 1.0, || {
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

/// The quickest of some rounds; whoever waited in any of them has waited.
fn rounds<F: FnOnce(u64) + Send>(count: usize, prepare: impl Fn() -> F) -> OnThreads {
    (0..10)
        .map(|_| on_threads(count, 10_000, &prepare))
        .reduce(|one, other| OnThreads {
            time: one.time.min(other.time),
            waits: one.waits.max(other.waits),
        })
        .expect("some rounds")
}

/// Requests of a clone of `service`; what each thread has is made on that thread.
fn clones<S, B>(service: &S) -> impl FnOnce(u64) + Send + use<S, B>
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible> + Clone + Send,
    B: Body<Data = Bytes, Error = Infallible>,
{
    let mut service = service.clone();
    move |times| requests(&mut service, &request(), times)
}

/// The SDK's spans alone, of a tracer that all threads share as they do the layer's.
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

/// What a request costs on each of some threads.
struct OnThreads {
    /// Nanoseconds.
    time: f64,
    /// How often one of 1,000 gives up its thread, as who waits for a lock does.
    waits: f64,
}

/// `prepare` is called once for each thread, before any of them starts.
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

/// How often this thread has given itself up; zero where the system does not say it.
fn waits() -> u64 {
    let status = fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))
        .map_or(0, |number| number.trim().parse().expect("a number"))
}

// === What is served ===

/// Who serves, as the child process is told.
const LAYERED: &str = "layered";
const BARE: &str = "bare";

/// The instructions of one request.
struct Counted {
    layered: u64,
    bare: u64,
}

impl Counted {
    fn of(what: &str, size: usize) -> Self {
        let size = size.to_string();
        let of = |who| callgrind::of_one(&[what, &size, who], N);
        thread::scope(|scope| {
            let bare = scope.spawn(|| of(BARE));
            let layered = of(LAYERED);
            let bare = bare.join().expect("counted");
            Self { layered, bare }
        })
    }

    fn over(&self) -> u64 {
        self.layered.saturating_sub(self.bare)
    }
}

/// Does `times` requests, in the child process.
fn operate(what: &str, size: usize, is_layered: bool, times: u64) {
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
            // Ten bytes each, without the last `&`.
            let query = "key=value&".repeat(size / 10);
            let uri = format!("/v1/models?{}", &query[..size - 1]);
            *template.uri_mut() = uri.parse().expect("a query");
        }
        "attributes that the handler sets" => inner = Inner::setting(size),
        "captured headers, of 16" => {
            add_headers(&mut template, 16);
            layer = layer.capture_request_headers(captured);
        }
        _ => panic!("nothing is known of {what}"),
    }
    match (what, is_layered) {
        ("threads", true) => {
            let each = times / size as u64;
            let service = layer.layer(inner);
            on_threads(size, each, || clones(&service));
        }
        ("open", true) => beside(size, &mut layer.layer(inner), &template, times),
        ("open", false) => beside(size, &mut inner, &template, times),
        (_, true) => requests(&mut layer.layer(inner), &template, times),
        (_, false) => requests(&mut inner, &template, times),
    }
}

/// Does requests beside streams that are open.
fn beside<S, B>(open: usize, service: &mut S, template: &Request<()>, times: u64)
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible>,
    B: Body<Data = Bytes, Error = Infallible>,
{
    let held: Vec<_> = (0..open).map(|_| opened(service, template)).collect();
    requests(service, template, times);
    // Nor are they closed: that is no part of what is counted, and the process ends anyway.
    std::mem::forget(held);
}

/// Does requests, each read to its end.
fn requests<S, B>(service: &mut S, template: &Request<()>, times: u64)
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible>,
    B: Body<Data = Bytes, Error = Infallible>,
{
    for _ in 0..times {
        let response = service.call(template.clone()).now_or_never();
        let Ok(response) = response.expect("nothing waits");
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
        Poll::Pending => panic!("nothing waits"),
    }
}

/// Nanoseconds of one request, in the quickest of some rounds.
fn quickest(mut requests: impl FnMut(u64)) -> f64 {
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

/// Answers with a stream, and sets attributes of these keys.
#[derive(Clone, Default)]
struct Inner(Arc<[&'static str]>);

impl Inner {
    /// Keys are static, as those of a handler are.
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

fn add_headers(request: &mut Request<()>, many: usize) {
    let value = HeaderValue::from_static("the value of a header");
    let headers = (0..many).map(|number| (header(number), value.clone()));
    request.headers_mut().extend(headers);
}

// === Spans ===

fn recording() -> ApiSpanLayer {
    on(ApiSpanLayer::new(), &provider(Nothing))
}

fn on(layer: ApiSpanLayer, provider: &SdkTracerProvider) -> ApiSpanLayer {
    layer
        .propagator(TraceContextPropagator::new())
        .tracer_provider(provider)
}

/// Every span is recorded.
fn provider(processor: impl SpanProcessor + 'static) -> SdkTracerProvider {
    SdkTracerProvider::builder()
        .with_span_processor(processor)
        .build()
}

/// Does nothing, so that nothing of it is shared.
#[derive(Debug)]
struct Nothing;

/// Keeps with which attributes the last span has started.
#[derive(Clone, Debug, Default)]
struct Starts(Arc<Mutex<Vec<KeyValue>>>);

impl SpanProcessor for Nothing {
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
