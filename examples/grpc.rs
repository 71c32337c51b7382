//! The layer on a tonic server. Each span is printed.
//!
//! ```text
//! cargo run --example grpc
//! cargo run --example grpc -- 127.0.0.1:8080
//! ```

use std::env;

use opentelemetry::global;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tonic::transport::Server;
use tonic::transport::server::{TcpConnectInfo, TcpIncoming};
use tower_api_span::ApiSpanLayer;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Prints each span as it ends. In production: `with_batch_exporter` and opentelemetry-otlp.
    let provider = SdkTracerProvider::builder()
        .with_simple_exporter(opentelemetry_stdout::SpanExporter::default())
        .build();
    global::set_tracer_provider(provider.clone());
    // Reads the caller's context from `traceparent`: spans become children of the caller's span.
    global::set_text_map_propagator(TraceContextPropagator::new());

    // The health service needs no code of its own. In your own method, get the span's handle with
    // `SpanHandle::from_extensions(request.extensions())`.
    let (_, health) = tonic_health::server::health_reporter();

    let address = env::args().nth(1);
    let address = address.as_deref().unwrap_or("127.0.0.1:3000");
    let incoming = TcpIncoming::bind(address.parse()?)?;
    let address = incoming.local_addr()?;
    eprintln!("A gRPC health service that prints a span for each call.");
    eprintln!(
        "Listening on http://{address}; Ctrl-C stops. Try, with an empty message, and without:"
    );
    for input in [r"printf '\0\0\0\0\0'", "printf ''"] {
        eprintln!(
            "  {input} | curl --http2-prior-knowledge -H 'content-type: application/grpc' \\"
        );
        eprintln!(
            "    --data-binary @- -so - http://{address}/grpc.health.v1.Health/Check | od -c"
        );
    }
    let stop = async { tokio::signal::ctrl_c().await.expect("a handler for Ctrl-C") };
    let layer = ApiSpanLayer::new()
        .peer_address_fn(|request| request.extensions.get::<TcpConnectInfo>()?.remote_addr())
        // Other methods are recorded as `_OTHER`.
        .known_rpc_methods(["grpc.health.v1.Health/Check", "grpc.health.v1.Health/Watch"]);
    Server::builder()
        // Wraps all services, so a call to an unknown service has a span too.
        .layer(layer)
        .add_service(health)
        .serve_with_incoming_shutdown(incoming, stop)
        .await?;
    // Exports the remaining spans. The simple exporter has none; a batch exporter has.
    Ok(provider.shutdown()?)
}
