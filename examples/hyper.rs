//! The layer on a plain hyper server, over HTTP/1.1 and HTTP/2: `cargo run --example hyper`.

use std::convert::Infallible;
use std::net::SocketAddr;

use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::net::TcpListener;
use tower::ServiceBuilder;
use tower_api_span::{ApiSpanLayer, SpanHandle};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Prints each span as it ends. In production: `with_batch_exporter` and opentelemetry-otlp.
    let provider = SdkTracerProvider::builder()
        .with_simple_exporter(opentelemetry_stdout::SpanExporter::default())
        .build();
    // The provider is passed here; it may also be global. hyper does not provide the peer address, so the
    // accept loop below puts it into the request's extensions.
    let layer = ApiSpanLayer::new()
        .tracer_provider(&provider)
        .peer_address_fn(|request| request.extensions.get::<SocketAddr>().copied());
    // The outermost layer sees the same response as hyper.
    let service = ServiceBuilder::new().layer(layer).service_fn(hello);

    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    let address = listener.local_addr()?;
    eprintln!("Listening on http://{address}; Ctrl-C stops.");
    eprintln!("  curl http://{address}/hello/world");
    eprintln!("  curl --http2-prior-knowledge http://{address}/elsewhere");
    let builder = auto::Builder::new(TokioExecutor::new());
    let connections = GracefulShutdown::new();
    loop {
        let (connection, peer) = tokio::select! {
            accepted = listener.accept() => accepted?,
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
