//! The layer on an axum router. Each span is printed.
//!
//! ```text
//! cargo run --example axum
//! cargo run --example axum -- 127.0.0.1:8080
//! ```

use std::env;
use std::net::SocketAddr;

use axum::{Router, body::Body, extract::Path, routing::get};
use futures_util::stream::{self, StreamExt};
use opentelemetry::{KeyValue, global};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::time::{Duration, sleep};
use tower_api_span::{ApiSpanLayer, SpanHandle};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Prints each span as it ends. In production: `with_batch_exporter` and opentelemetry-otlp.
    let provider = SdkTracerProvider::builder()
        .with_simple_exporter(opentelemetry_stdout::SpanExporter::default())
        .build();
    global::set_tracer_provider(provider.clone());
    // Reads the caller's context from `traceparent`: spans become children of the caller's span.
    global::set_text_map_propagator(TraceContextPropagator::new());

    let app = Router::new()
        .route("/hello/{name}", get(hello))
        .route("/stream", get(stream))
        // Added last, so it is the outermost layer. A layer added later would run outside the span.
        .layer(ApiSpanLayer::new());

    let address = env::args().nth(1);
    let address = address.as_deref().unwrap_or("127.0.0.1:3000");
    let listener = tokio::net::TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    eprintln!("An axum router that prints a span for each request.");
    eprintln!("Listening on http://{address}; Ctrl-C stops. Try:");
    eprintln!("  curl http://{address}/hello/world");
    let caller = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    eprintln!("  curl -H 'traceparent: {caller}' http://{address}/hello/caller");
    eprintln!("  curl http://{address}/hello/unknown");
    eprintln!("  curl -N http://{address}/stream    # press Ctrl-C to disconnect midway");
    let stop = async { tokio::signal::ctrl_c().await.expect("a handler for Ctrl-C") };
    // Provides `ConnectInfo`, from which the span takes the peer address.
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, app)
        .with_graceful_shutdown(stop)
        .await?;
    // Exports the remaining spans. The simple exporter has none; a batch exporter has.
    Ok(provider.shutdown()?)
}

/// Greets, and sets attributes on the request's span. `SpanHandle` is an extractor.
async fn hello(Path(name): Path<String>, span: SpanHandle) -> String {
    span.set_attribute(KeyValue::new("greeted", name.clone()));
    if name == "unknown" {
        // The response is still a 200; the span is `ABORTED(unknown_name)`.
        span.mark_aborted("unknown_name", "no person of that name");
    }
    format!("Hello, {name}\n")
}

/// Streams five lines. The span lasts as long as the stream, and is `ABORTED(client_disconnect)` if the
/// client disconnects earlier.
async fn stream() -> Body {
    let lines = stream::iter(0..5).then(async |number| {
        sleep(Duration::from_secs(1)).await;
        Ok::<_, std::convert::Infallible>(format!("{number}\n"))
    });
    Body::from_stream(lines)
}
