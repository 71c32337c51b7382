//! What one request costs: allocations, which are the same in every run, and time as a ratio to the
//! bare service within this run.
//!
//! A request with a parent, a host and a user agent goes through `service_fn` and `Full`, and the
//! body is read to its end. Rungs: the bare service; the layer without a provider; sampled out;
//! recording, with a processor that only counts.
//!
//! ```console
//! $ cargo bench --bench requests
//! ```

use std::convert::Infallible;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use opentelemetry::Context;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider, Span, SpanData, SpanProcessor};
use tower::{Layer, Service, service_fn};
use tower_api_span::ApiSpanLayer;

const REQUESTS: u64 = 20_000;
const ROUNDS: usize = 7;
const BODY: &[u8] = b"hello, world";

#[derive(Clone, Debug, Default)]
struct Ends(Arc<AtomicU64>);

impl SpanProcessor for Ends {
    fn on_start(&self, _: &mut Span, _: &Context) {}

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

/// One rung of the ladder: its name, and what sends one request through it.
type Rung = (&'static str, Box<dyn FnMut(Request<()>)>);

fn main() {
    let ends = Ends::default();
    let provider = |sampler| {
        SdkTracerProvider::builder()
            .with_sampler(sampler)
            .with_span_processor(ends.clone())
            .build()
    };
    let (off, on) = (provider(Sampler::AlwaysOff), provider(Sampler::AlwaysOn));
    let layer = || ApiSpanLayer::new().propagator(TraceContextPropagator::new());
    let mut rungs: [Rung; 4] = [
        ("bare service", rung(inner())),
        ("no provider", rung(layer().layer(inner()))),
        (
            "sampled out",
            rung(layer().tracer_provider(&off).layer(inner())),
        ),
        (
            "recording",
            rung(layer().tracer_provider(&on).layer(inner())),
        ),
    ];

    let mut best = [Duration::MAX; 4];
    for _ in 0..ROUNDS {
        for ((_, send), best) in rungs.iter_mut().zip(&mut best) {
            let requests: Vec<_> = (0..REQUESTS).map(|_| request()).collect();
            let start = Instant::now();
            requests.into_iter().for_each(send);
            *best = start.elapsed().min(*best);
        }
    }
    let sent = REQUESTS * ROUNDS as u64;
    assert_eq!(
        ends.0.load(Ordering::Relaxed),
        sent,
        "one end for each recorded request"
    );

    println!("| rung | allocations | time, as a ratio to the bare service |\n|---|---|---|");
    for ((name, send), best_time) in rungs.iter_mut().zip(best) {
        let request = request();
        let counted = allocation_counter::measure(|| send(request));
        let ratio = best_time.as_secs_f64() / best[0].as_secs_f64();
        println!("| {name} | {} | {ratio:.1} |", counted.count_total);
    }
}

fn inner() -> impl Service<
    Request<()>,
    Response = Response<Full<Bytes>>,
    Error = Infallible,
    Future = impl Future<Output = Result<Response<Full<Bytes>>, Infallible>>,
> {
    service_fn(async |_| Ok(Response::new(Full::new(Bytes::from_static(BODY)))))
}

fn rung<S, B>(mut service: S) -> Box<dyn FnMut(Request<()>)>
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible> + 'static,
    B: Body<Data = Bytes, Error = Infallible>,
{
    Box::new(move |request| {
        let served = async {
            let response = service.call(request).await?;
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
        let bytes = futures_util::FutureExt::now_or_never(served).expect("nothing waits");
        assert_eq!(black_box(bytes), Ok(BODY.len()));
    })
}

fn request() -> Request<()> {
    let mut request = Request::new(());
    *request.uri_mut() = http::Uri::from_static("/v1/chat/completions");
    *request.headers_mut() = HeaderMap::from_iter([
        (
            http::header::HOST,
            HeaderValue::from_static("example.com:8080"),
        ),
        (
            http::header::USER_AGENT,
            HeaderValue::from_static("curl/8.14.1"),
        ),
        (
            http::HeaderName::from_static("traceparent"),
            HeaderValue::from_static("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        ),
    ]);
    request
}
