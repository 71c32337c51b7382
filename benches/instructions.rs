//! Counts the instructions of one request and one frame, and compares them with budgets. Counts are the same
//! in every run. Without valgrind the bench is skipped with a message.
//!
//! Each rung runs in its own process under callgrind, once with `N` operations and once with `2 N`. The
//! difference excludes the start of the process. A request is built, served and read to its end. The
//! instructions of the bare service, or of the bare body, are subtracted.
//!
//! Counts differ slightly between machines, so the bench fails if a budget is exceeded by more than 5 %.
//!
//! ```console
//! $ cargo bench --bench instructions
//! $ cargo bench --bench instructions -- --docs # also writes the table into docs/guide/performance.md
//! ```

mod callgrind;
mod docs;
mod events;
mod real_request;

use std::convert::Infallible;
use std::fmt::Write as _;
use std::hint::black_box;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::header::{HOST, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, Uri};

use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full};
use opentelemetry::KeyValue;
use opentelemetry::global::{set_meter_provider, set_text_map_propagator, set_tracer_provider};
use opentelemetry::propagation::TextMapCompositePropagator;
use opentelemetry::trace::noop::NoopTracerProvider;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider, Span, SpanData, SpanProcessor};
use tower::{Layer, Service, service_fn};
use tower_api_span::{AccessLog, ApiSpanLayer, RequestBodyLayer, SpanHandle};

use events::token_events;
use real_request::RealRequest;

/// A rung of the ladder: its name, its bare rung and its budget.
struct Rung {
    name: &'static str,
    bare: &'static str,
    budget: Option<u64>,
}

const RUNGS: [Rung; 45] = [
    rung("bare request", "", None),
    rung("bare request, caller", "", None),
    rung("off", "bare request", Some(900)),
    rung("filtered", "bare request", Some(900)),
    rung("off, global propagator not set", "bare request", Some(900)),
    rung("off, global W3C", "bare request", Some(1_100)),
    rung("off, W3C and baggage", "bare request", Some(1_400)),
    rung(
        "off, global W3C, caller",
        "bare request, caller",
        Some(5_000),
    ),
    rung(
        "off, W3C and baggage, caller",
        "bare request, caller",
        Some(5_300),
    ),
    rung("off, caller", "bare request, caller", Some(3_000)),
    rung("sampled out, caller", "bare request, caller", Some(8_500)),
    rung("recording, caller", "bare request, caller", Some(10_000)),
    rung("on_completion, off", "bare request", Some(5_000)),
    rung(
        "on_completion, recording, caller",
        "bare request, caller",
        Some(11_500),
    ),
    rung(
        "access log, no subscriber, caller",
        "recording, caller",
        Some(150),
    ),
    rung(
        "tracing span, no subscriber, caller",
        "recording, caller",
        Some(150),
    ),
    rung(
        "all of it, no subscriber, caller",
        "recording, caller",
        Some(800),
    ),
    rung("access log, caller", "recording, caller", Some(1_500)),
    rung("tracing span, caller", "recording, caller", Some(1_100)),
    rung(
        "recording, globals, caller",
        "bare request, caller",
        Some(11_000),
    ),
    rung("bare real request", "", None),
    rung("given, real request", "bare real request", Some(20_000)),
    rung("globals, real request", "bare real request", Some(20_000)),
    rung(
        "globals and metrics, real request",
        "bare real request",
        Some(24_500),
    ),
    rung("query of 1,000 B, caller", "recording, caller", Some(5_000)),
    rung(
        "escaped query of 1,000 B, caller",
        "recording, caller",
        Some(20_000),
    ),
    rung("one attribute, caller", "recording, caller", Some(1_900)),
    rung("two attributes, caller", "one attribute, caller", Some(450)),
    rung("one header, caller", "recording, caller", Some(1_000)),
    rung("two headers, caller", "one header, caller", Some(850)),
    rung("bare upload", "", None),
    rung("upload", "bare upload", Some(11_000)),
    rung("upload, body observed", "upload", Some(700)),
    rung("bare frame", "", None),
    rung("frame, off", "bare frame", Some(30)),
    rung("frame, recording", "bare frame", Some(220)),
    rung("bare event", "", None),
    rung("event of 256 B, off", "bare event", Some(30)),
    rung("text of 256 B, LLM", "bare event", Some(600)),
    rung("token, chat", "bare event", Some(650)),
    rung("token, completions", "bare event", Some(650)),
    rung("token, responses", "bare event", Some(650)),
    rung("token, messages", "bare event", Some(650)),
    rung("token with usage, Gemini", "bare event", Some(9_500)),
    rung("token, Ollama", "bare event", Some(650)),
];

const fn rung(name: &'static str, bare: &'static str, budget: Option<u64>) -> Rung {
    Rung { name, bare, budget }
}

/// The number of operations in the shorter run.
const N: u64 = 2_000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, run, name, times] = &arguments[..]
        && run == "--run"
    {
        run_operations(name, times.parse().expect("a number"));
        return ExitCode::SUCCESS;
    }
    if !callgrind::is_available() {
        println!("instructions: SKIPPED: valgrind is not installed");
        return ExitCode::SUCCESS;
    }
    let count = |rung: &Rung| callgrind::per_operation(&[rung.name], N);
    let counted: Vec<u64> = RUNGS.iter().map(count).collect();
    let mut table =
        "| rung | instructions | over the bare one | budget |\n|---|---|---|---|\n".to_owned();
    let mut is_over = false;
    for (rung, counted_here) in RUNGS.iter().zip(&counted) {
        let bare = RUNGS.iter().position(|other| other.name == rung.bare);
        let over = bare.map(|bare| counted_here.saturating_sub(counted[bare]));
        let text = |number: Option<u64>| number.map_or(String::new(), |number| number.to_string());
        let mark = match (over, rung.budget) {
            (Some(over), Some(budget)) if over > budget => {
                is_over |= over > budget + budget / 20;
                " **over**"
            }
            _ => "",
        };
        let (over, budget) = (text(over), text(rung.budget));
        let name = rung.name;
        let _ = writeln!(
            table,
            "| {name} | {counted_here} | {over} | {budget}{mark} |"
        );
    }
    println!("{table}\n{}", docs::caption());
    if arguments.iter().any(|argument| argument == "--docs")
        && let Err(error) = docs::write("benches/instructions.rs", &table)
    {
        println!("instructions: {error}");
        return ExitCode::FAILURE;
    }
    if is_over {
        println!("instructions: a budget is exceeded by more than 5 %, see above");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

#[derive(Clone, Debug, Default)]
struct Ends(Arc<AtomicU64>);

impl Ends {
    fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn provider(&self, sampler: Sampler) -> SdkTracerProvider {
        SdkTracerProvider::builder()
            .with_sampler(sampler)
            .with_span_processor(self.clone())
            .build()
    }

    /// Returns a layer that records all requests.
    fn recording(&self) -> ApiSpanLayer {
        let layer = ApiSpanLayer::new().propagator(TraceContextPropagator::new());
        layer.tracer_provider(&self.provider(Sampler::AlwaysOn))
    }
}

impl SpanProcessor for Ends {
    fn on_start(&self, _: &mut Span, _: &opentelemetry::Context) {}

    fn on_end(&self, _: SpanData) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// Runs `times` operations of a rung.
fn run_operations(name: &str, times: u64) {
    let ends = Ends::default();
    let provider = |sampler| {
        SdkTracerProvider::builder()
            .with_sampler(sampler)
            .with_span_processor(ends.clone())
            .build()
    };
    let with = |layer: ApiSpanLayer| layer.propagator(TraceContextPropagator::new());
    let plain = || with(ApiSpanLayer::new());
    let global = ApiSpanLayer::new().tracer_provider(&NoopTracerProvider::new());
    let off = plain().tracer_provider(&NoopTracerProvider::new());
    let on = plain().tracer_provider(&provider(Sampler::AlwaysOn));
    let llm = with(ApiSpanLayer::llm()).tracer_provider(&provider(Sampler::AlwaysOn));
    let has_caller = name.ends_with("caller");
    match name {
        _ if name.ends_with("real request") => run_real(name, times),
        "bare upload" | "upload" | "upload, body observed" => run_setting(name, times),
        "bare request" | "bare request, caller" => requests(whole::<SMALL>(), times, has_caller),
        "off" | "off, caller" => requests(off.layer(whole::<SMALL>()), times, has_caller),
        "off, global propagator not set" => {
            requests(global.layer(whole::<SMALL>()), times, has_caller);
        }
        "off, global W3C" | "off, global W3C, caller" => {
            set_text_map_propagator(TraceContextPropagator::new());
            requests(global.layer(whole::<SMALL>()), times, has_caller);
        }
        "off, W3C and baggage" | "off, W3C and baggage, caller" => {
            let both = TextMapCompositePropagator::new(vec![
                Box::new(TraceContextPropagator::new()),
                Box::new(BaggagePropagator::new()),
            ]);
            requests(
                off.propagator(both).layer(whole::<SMALL>()),
                times,
                has_caller,
            );
        }
        "filtered" => requests(
            on.filter(|_| false).layer(whole::<SMALL>()),
            times,
            has_caller,
        ),
        "sampled out, caller" => {
            let out = plain().tracer_provider(&provider(Sampler::AlwaysOff));
            requests(out.layer(whole::<SMALL>()), times, has_caller);
        }
        "recording, caller" => {
            requests(on.layer(whole::<SMALL>()), times, has_caller);
            assert_eq!(ends.0.load(Ordering::Relaxed), times);
        }
        "access log, no subscriber, caller" | "access log, caller" => {
            subscribe(name);
            requests(
                on.access_log(AccessLog::new()).layer(whole::<SMALL>()),
                times,
                true,
            );
        }
        "tracing span, no subscriber, caller" | "tracing span, caller" => {
            subscribe(name);
            requests(on.tracing_span(true).layer(whole::<SMALL>()), times, true);
        }
        "all of it, no subscriber, caller" => {
            let layer = on.access_log(AccessLog::new()).tracing_span(true);
            completions(layer, times, true);
        }
        "recording, globals, caller" => {
            set_globals(&ends);
            requests(
                ApiSpanLayer::new().layer(whole::<SMALL>()),
                times,
                has_caller,
            );
        }
        "on_completion, off" => completions(off, times, has_caller),
        "on_completion, recording, caller" => completions(on, times, has_caller),
        "bare frame" => frames(streaming(&[0; 64]), times),
        "frame, off" => frames(off.layer(streaming(&[0; 64])), times),
        "frame, recording" => frames(on.layer(streaming(&[0; 64])), times),
        "bare event" => frames(streaming(EVENT), times),
        "event of 256 B, off" => frames(off.layer(streaming(EVENT)), times),
        "text of 256 B, LLM" => frames(llm.layer(streaming(EVENT)), times),
        _ if has_caller => run_setting(name, times),
        _ => {
            let format = name.rsplit_once(", ");
            let (content_type, [one, other]) = token_events(format.expect("a rung").1);
            let frames_of = streaming_frames(content_type, [one, other]);
            frames(llm.layer(frames_of), times);
        }
    }
}

/// Runs requests such as browsers send.
fn run_real(name: &str, times: u64) {
    let ends = Ends::default();
    let layer = match name {
        "bare real request" => return real_requests(whole::<REAL>(), times),
        "given, real request" => ends.recording(),
        "globals, real request" => {
            set_globals(&ends);
            ApiSpanLayer::new()
        }
        "globals and metrics, real request" => {
            set_globals(&ends);
            // No export falls into the run: the interval is longer.
            let reader = PeriodicReader::builder(InMemoryMetricExporter::default())
                .with_interval(Duration::from_secs(3_600))
                .build();
            set_meter_provider(SdkMeterProvider::builder().with_reader(reader).build());
            ApiSpanLayer::new()
        }
        _ => panic!("no rung is called {name}"),
    };
    real_requests(layer.layer(whole::<REAL>()), times);
    assert_eq!(ends.count(), times);
}

/// Runs requests with a setting, or a handler, that costs more.
fn run_setting(name: &str, times: u64) {
    const PLAIN: &str = "sort=updated&order=desc&";
    const ESCAPED: &str = "filter%5Bname%5D=a+b%20c&%73ort=d&";
    let ends = Ends::default();
    let on = ends.recording();
    let layer = match name {
        "query of 1,000 B, caller" => return queries(on.layer(whole::<QUERY>()), times, PLAIN),
        "escaped query of 1,000 B, caller" => {
            return queries(on.layer(whole::<QUERY>()), times, ESCAPED);
        }
        "one attribute, caller" => return requests(on.layer(setting_attributes(1)), times, true),
        "two attributes, caller" => return requests(on.layer(setting_attributes(2)), times, true),
        "bare upload" => return uploads(reading(), times),
        "upload" => return uploads(on.layer(reading()), times),
        "upload, body observed" => {
            return uploads(on.layer(RequestBodyLayer::new().layer(reading())), times);
        }
        "one header, caller" => on.capture_request_headers([HOST]),
        "two headers, caller" => on.capture_request_headers([HOST, USER_AGENT]),
        _ => panic!("no rung is called {name}"),
    };
    requests(layer.layer(whole::<SMALL>()), times, true);
    assert_eq!(ends.count(), times);
}

/// Sets the global tracer provider and propagator.
fn set_globals(ends: &Ends) {
    set_tracer_provider(ends.provider(Sampler::AlwaysOn));
    set_text_map_propagator(TraceContextPropagator::new());
}

/// Sets a subscriber that takes everything and does nothing, unless the rung has none.
fn subscribe(rung: &str) {
    if !rung.contains("no subscriber") {
        tracing::subscriber::set_global_default(Idle).expect("the first one");
    }
}

struct Idle;

impl tracing::Subscriber for Idle {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, _: &tracing::Event<'_>) {}

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

/// Runs requests whose completions are counted.
#[inline(never)]
fn completions(layer: ApiSpanLayer, times: u64, has_caller: bool) {
    let calls = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&calls);
    let layer = layer.on_completion(move |completion| {
        black_box(completion.outcome());
        counted.fetch_add(1, Ordering::Relaxed);
    });
    requests(layer.layer(whole::<SMALL>()), times, has_caller);
    assert_eq!(calls.load(Ordering::Relaxed), times);
}

const BODY: &[u8] = b"hello, world";

/// An event of 256 bytes that is of no known format.
const EVENT: &[u8; 256] = &{
    let mut event = [b'x'; 256];
    let (start, end) = (b"data: ", b"\n\n");
    let mut at = 0;
    while at < start.len() {
        event[at] = start[at];
        at += 1;
    }
    at = 0;
    while at < end.len() {
        event[256 - end.len() + at] = end[at];
        at += 1;
    }
    event
};

/// A whole body. Each kind of row has a type of its own, as a program has: what is called with two types is inlined
/// for neither.
struct Whole<const KIND: usize>(Full<Bytes>);

const SMALL: usize = 0;
const REAL: usize = 1;
const QUERY: usize = 2;
const ATTRIBUTES: usize = 3;
const UPLOAD: usize = 4;

impl<const KIND: usize> Whole<KIND> {
    fn response() -> Response<Self> {
        Response::new(Self(Full::new(Bytes::from_static(BODY))))
    }
}

impl<const KIND: usize> Body for Whole<KIND> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.0).poll_frame(task)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

fn whole<const KIND: usize>() -> impl Service<
    Request<()>,
    Response = Response<Whole<KIND>>,
    Error = Infallible,
    Future = impl Future<Output = Result<Response<Whole<KIND>>, Infallible>>,
> {
    service_fn(async |_| Ok(Whole::response()))
}

/// A service that sets attributes on its span.
fn setting_attributes(
    count: usize,
) -> impl Service<
    Request<()>,
    Response = Response<Whole<ATTRIBUTES>>,
    Error = Infallible,
    Future = impl Future<Output = Result<Response<Whole<ATTRIBUTES>>, Infallible>>,
> {
    service_fn(move |request: Request<()>| {
        let span = SpanHandle::from_extensions(request.extensions());
        for key in ["tenant", "plan"].into_iter().take(count) {
            span.set_attribute(KeyValue::new(key, "blue"));
        }
        std::future::ready(Ok(Whole::response()))
    })
}

/// A service that reads the request's body.
fn reading<B: Body<Data = Bytes, Error = Infallible>>() -> impl Service<
    Request<B>,
    Response = Response<Whole<UPLOAD>>,
    Error = Infallible,
    Future = impl Future<Output = Result<Response<Whole<UPLOAD>>, Infallible>>,
> {
    service_fn(async |request: Request<B>| {
        let mut body = std::pin::pin!(request.into_body());
        while let Some(frame) = body.frame().await {
            black_box(frame?);
        }
        Ok(Whole::response())
    })
}

/// An endless body of two frames in turn.
struct Endless {
    frames: [&'static [u8]; 2],
    next: usize,
}

impl Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.next ^= 1;
        let frame = self.frames[self.next & 1];
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(frame)))))
    }
}

fn streaming(
    frame: &'static [u8],
) -> impl Service<
    Request<()>,
    Response = Response<Endless>,
    Error = Infallible,
    Future = impl Future<Output = Result<Response<Endless>, Infallible>>,
> {
    streaming_frames("text/event-stream", [frame; 2])
}

fn streaming_frames(
    content_type: &'static str,
    frames: [&'static [u8]; 2],
) -> impl Service<
    Request<()>,
    Response = Response<Endless>,
    Error = Infallible,
    Future = impl Future<Output = Result<Response<Endless>, Infallible>>,
> {
    service_fn(move |_| {
        let mut response = Response::new(Endless { frames, next: 0 });
        let content_type = HeaderValue::from_static(content_type);
        response
            .headers_mut()
            .insert(http::header::CONTENT_TYPE, content_type);
        std::future::ready(Ok(response))
    })
}

fn requests<S, B>(service: S, times: u64, has_caller: bool)
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible>,
    B: Body<Data = Bytes, Error = Infallible>,
{
    send(service, times, || request(has_caller));
}

fn real_requests<S, B>(service: S, times: u64)
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible>,
    B: Body<Data = Bytes, Error = Infallible>,
{
    let real = RealRequest::new();
    send(service, times, || real.build(()));
}

/// Sends requests with a query of 1,000 bytes that consists of `piece`.
fn queries<S, B>(service: S, times: u64, piece: &str)
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible>,
    B: Body<Data = Bytes, Error = Infallible>,
{
    let query = piece.repeat(1_000 / piece.len() + 1);
    let target = format!("/v1/chat/completions?{}", &query[..1_000]);
    let target: Uri = target.parse().expect("a target");
    send(service, times, || {
        let mut request = request(true);
        *request.uri_mut() = target.clone();
        request
    });
}

/// Sends requests with a body of one frame.
fn uploads<S, B>(mut service: S, times: u64)
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>, Error = Infallible>,
    B: Body<Data = Bytes, Error = Infallible>,
{
    for _ in 0..times {
        let request = request(true).map(|()| Full::new(Bytes::from_static(BODY)));
        let served = async {
            let response = service.call(request).await?;
            let mut body = std::pin::pin!(response.into_body());
            while let Some(frame) = body.frame().await {
                black_box(frame?);
            }
            Ok::<_, Infallible>(())
        };
        let served = futures_util::FutureExt::now_or_never(served);
        assert_eq!(served, Some(Ok(())));
    }
}

#[inline(never)]
fn send<S, B>(mut service: S, times: u64, request: impl Fn() -> Request<()>)
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible>,
    B: Body<Data = Bytes, Error = Infallible>,
{
    for _ in 0..times {
        let served = async {
            let response = service.call(request()).await?;
            let mut body = std::pin::pin!(response.into_body());
            let mut bytes = 0;
            while let Some(frame) = body.frame().await {
                bytes += frame?.data_ref().map_or(0, Bytes::len);
                if body.is_end_stream() {
                    break;
                }
            }
            Ok::<_, Infallible>(bytes)
        };
        let bytes = futures_util::FutureExt::now_or_never(served)
            .expect("the service and its body are always ready");
        assert_eq!(black_box(bytes), Ok(BODY.len()));
    }
}

fn frames<S, B>(mut service: S, times: u64)
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible>,
    B: Body<Data = Bytes, Error = Infallible>,
{
    let served = futures_util::FutureExt::now_or_never(service.call(request_of_stream()));
    let response = served
        .expect("the service and its body are always ready")
        .expect("a response");
    let mut body = std::pin::pin!(response.into_body());
    let mut context = Context::from_waker(Waker::noop());
    let mut bytes = 0;
    for _ in 0..times {
        let Poll::Ready(Some(Ok(frame))) = body.as_mut().poll_frame(&mut context) else {
            panic!("an endless body has frames");
        };
        // Keeps the compiler from seeing that all frames of the bare body are equal.
        bytes += black_box(frame).data_ref().map_or(0, Bytes::len);
    }
    assert!(bytes > 0);
}

/// Not inlined, so that a frame costs the same whatever the request is.
#[inline(never)]
fn request_of_stream() -> Request<()> {
    request(false)
}

#[expect(
    clippy::inline_always,
    reason = "built in place, as by the code around the service"
)]
#[inline(always)]
fn request(has_caller: bool) -> Request<()> {
    let mut request = Request::new(());
    *request.uri_mut() = Uri::from_static("/v1/chat/completions");
    let headers = request.headers_mut();
    *headers = HeaderMap::with_capacity(4);
    headers.insert(HOST, HeaderValue::from_static("example.com:8080"));
    headers.insert(USER_AGENT, HeaderValue::from_static("curl/8.14.1"));
    if has_caller {
        let caller = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        headers.insert(
            HeaderName::from_static("traceparent"),
            HeaderValue::from_static(caller),
        );
    }
    request
}
