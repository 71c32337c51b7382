//! Hostile and failing surroundings: clients that do what none should, collectors that take nothing,
//! providers, runtimes and servers that go away. Real servers, on pipes in memory or on sockets.
//!
//! Most run on one thread, where the same happens in the same order every time, and where what is
//! allocated can be counted.

mod bombs;
mod codings;
mod collectors;
mod expectations;
mod floods;
mod graceful;
mod halves;
mod large;
mod pipelines;
mod providers;
mod raw;
mod readers;
mod runtimes;
mod tally;

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
use tower_api_span::{ApiSpanLayer, CountRequestBodyLayer, CountedBody};

/// The protocols a request can go over.
const PROTOCOLS: [Version; 2] = [Version::HTTP_11, Version::HTTP_2];

/// How long anything may take before it counts as never coming.
const PATIENCE: Duration = Duration::from_secs(60);

const LEFT: &str = "ABORTED(client_disconnect)";
const EXCEPTION: &str = "ABORTED(exception)";

/// A handler, bare or in the layer.
type Served = BoxCloneService<Request<Incoming>, Response<Body>, Infallible>;

/// A service of this handler; with the layer around it, if there is one.
fn service<H, F>(layer: Option<&ApiSpanLayer>, handler: H) -> Served
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
            .layer(CountRequestBodyLayer::new())
            .map_request(|request: Request<CountedBody<Incoming>>| request.map(Body::new))
            .service(handler)
            .boxed_clone(),
    }
}

/// Serves one connection. HTTP/1 buffers as little as it can, so that back-pressure is felt soon.
fn serve<I>(version: Version, io: I, service: Served) -> JoinHandle<hyper::Result<()>>
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

/// A runtime of one thread, which has no other clock than the test's.
fn alone() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

/// Lets all others on this thread go on until they wait for somebody else.
async fn settle() {
    for _ in 0..50 {
        yield_now().await;
    }
}

/// Waits for something that must become so, and soon.
async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "it never comes to this: {what}");
        yield_now().await;
    }
}
