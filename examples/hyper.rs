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
    // Prints each span as it ends. In production: a batch exporter of opentelemetry-otlp.
    let provider = SdkTracerProvider::builder()
        .with_simple_exporter(opentelemetry_stdout::SpanExporter::default())
        .build();
    // The provider may be given, as here, or global. hyper says nobody's address, see below.
    let layer = ApiSpanLayer::new()
        .tracer_provider(&provider)
        .peer_address_fn(|request| request.extensions.get::<SocketAddr>().copied());
    // The outermost layer sees what hyper sees.
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
        // hyper has a trait of its own for services.
        let service = TowerToHyperService::new(service);
        let connection = builder.serve_connection(TokioIo::new(connection), service);
        // Its result is only whether the client broke it off.
        tokio::spawn(connections.watch(connection.into_owned()));
    }
    connections.shutdown().await;
    Ok(provider.shutdown()?)
}

/// Without a router, nobody but the handler knows the route. The path does not do for a span's name:
/// there are too many.
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
