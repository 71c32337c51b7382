//! The layer on a plain hyper server, over HTTP/1.1 and HTTP/2. Each span is printed.
//!
//! ```text
//! cargo run --example hyper
//! cargo run --example hyper -- 127.0.0.1:8080
//! ```

use std::convert::Infallible;
use std::env;
use std::net::SocketAddr;
use std::time::Duration;

use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceBuilder;
use tower_api_span::{ApiSpanLayer, SpanHandle};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Prints each span as it ends. In production: `with_batch_exporter` and opentelemetry-otlp.
    let provider = SdkTracerProvider::builder()
        .with_simple_exporter(opentelemetry_stdout::SpanExporter::default())
        .build();
    let layer = ApiSpanLayer::new()
        // The provider and the propagator are passed here; both may also be global.
        .tracer_provider(&provider)
        // Reads the caller's context from `traceparent`: spans become children of the caller's span.
        .propagator(TraceContextPropagator::new())
        // hyper does not provide the address. The accept loop below puts it into the request's extensions.
        .peer_address_fn(|request| request.extensions.get::<SocketAddr>().copied());
    // The outermost layer sees the same response as hyper.
    let service = ServiceBuilder::new().layer(layer).service_fn(hello);

    let address = env::args().nth(1);
    let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:3000")).await?;
    let address = listener.local_addr()?;
    eprintln!("A hyper server that prints a span for each request.");
    eprintln!("Listening on http://{address}; Ctrl-C stops. Try:");
    eprintln!("  curl http://{address}/hello/world");
    let caller = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    eprintln!("  curl -H 'traceparent: {caller}' http://{address}/hello/caller");
    eprintln!("  curl --http2-prior-knowledge http://{address}/elsewhere");
    let builder = auto::Builder::new(TokioExecutor::new());
    let connections = GracefulShutdown::new();
    loop {
        let (connection, peer) = tokio::select! {
            accepted = accept(&listener) => accepted,
            stop = tokio::signal::ctrl_c() => break stop?,
        };
        let service = ServiceBuilder::new()
            .map_request(move |mut request: Request<Incoming>| {
                request.extensions_mut().insert(peer);
                request
            })
            .service(service.clone());
        // hyper has its own service trait.
        let service = TowerToHyperService::new(service);
        let connection = builder.serve_connection(TokioIo::new(connection), service);
        // The result is ignored: it is an error only if the client broke the connection.
        tokio::spawn(connections.watch(connection.into_owned()));
    }
    connections.shutdown().await;
    Ok(provider.shutdown()?)
}

/// Accepts the next connection. If that fails, it is tried again: the error may be a client's, or all file descriptors
/// are in use, until other connections end.
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => eprintln!("A connection is not accepted: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Greets, and sets the route: without a router only the handler knows it. The path is not used as span
/// name, because its cardinality is unbounded.
async fn hello(request: Request<Incoming>) -> Result<Response<String>, Infallible> {
    let mut response = Response::new(String::new());
    if let Some(name) = request.uri().path().strip_prefix("/hello/") {
        SpanHandle::from_extensions(request.extensions()).set_route("/hello/{name}");
        *response.body_mut() = format!("Hello, {name}\n");
    } else {
        *response.status_mut() = StatusCode::NOT_FOUND;
    }
    Ok(response)
}
