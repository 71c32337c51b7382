//! Misbehaving clients, hanging collectors, and providers, runtimes and servers that shut down; inputs that are made to
//! fill memory, to take time or to have secrets recorded. The servers are real, on in-memory pipes or on sockets. Most
//! tests use one thread: the order of events is then fixed, and allocations can be counted.

mod collectors;
mod expect_and_connect;
mod graceful_shutdown;
mod half_close;
mod held_memory;
mod large_bodies;
mod large_heads;
mod linear_time;
mod pipelining;
mod provider_shutdown;
mod raw;
mod runtime_shutdown;
mod secrets;
mod slow_clients;
mod stream_resets;
mod tally;
mod transfer_encoding;

use std::convert::Infallible;
use std::time::{Duration, Instant};

use axum::body::Body;
use http::{Request, Response, Version};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Runtime;
use tokio::task::{JoinHandle, yield_now};
use tower::util::BoxCloneService;
use tower::{ServiceBuilder, ServiceExt as _, service_fn};
use tower_api_span::{ApiSpanLayer, RequestBody, RequestBodyLayer};

/// The HTTP versions under test.
const PROTOCOLS: [Version; 2] = [Version::HTTP_11, Version::HTTP_2];

/// The longest that a test waits for one condition.
const TIMEOUT: Duration = Duration::from_secs(60);

const CLIENT_DISCONNECT: &str = "ABORTED(client_disconnect)";
const EXCEPTION: &str = "ABORTED(exception)";

/// A handler, with or without the layer.
type BoxedService = BoxCloneService<Request<Incoming>, Response<Body>, Infallible>;

/// Returns a service that runs this handler, inside the layer if one is given.
fn service<H, F>(layer: Option<&ApiSpanLayer>, handler: H) -> BoxedService
where
    H: Fn(Request<Body>) -> F + Clone + Send + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let handler = service_fn(move |request| {
        let response = handler(request);
        async move { Ok(response.await) }
    });
    match layer {
        None => ServiceBuilder::new()
            .map_request(|request: Request<Incoming>| request.map(Body::new))
            .service(handler)
            .boxed_clone(),
        Some(layer) => ServiceBuilder::new()
            .map_response(|response: Response<_>| response.map(Body::new))
            .layer(layer.clone())
            .layer(RequestBodyLayer::new())
            .map_request(|request: Request<RequestBody<Incoming>>| request.map(Body::new))
            .service(handler)
            .boxed_clone(),
    }
}

/// Serves one connection. HTTP/1 uses the smallest buffer, so that back-pressure sets in early.
fn serve<I>(version: Version, io: I, service: BoxedService) -> JoinHandle<hyper::Result<()>>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (io, service) = (TokioIo::new(io), TowerToHyperService::new(service));
    if version == Version::HTTP_2 {
        tokio::spawn(http2::Builder::new(TokioExecutor::new()).serve_connection(io, service))
    } else {
        let connection = http1::Builder::new()
            .max_buf_size(8 << 10)
            .serve_connection(io, service)
            .with_upgrades();
        tokio::spawn(connection)
    }
}

/// Returns a runtime on the current thread.
fn current_thread_runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

/// Lets all other tasks on this thread run until they are idle.
async fn run_until_idle() {
    for _ in 0..50 {
        yield_now().await;
    }
}

/// Waits for a condition. Panics after [`TIMEOUT`].
async fn wait_until(what: &str, mut is_met: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_met() {
        assert!(start.elapsed() < TIMEOUT, "timed out waiting for: {what}");
        yield_now().await;
    }
}
