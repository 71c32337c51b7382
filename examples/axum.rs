//! The layer on an axum router: `cargo run --example axum`.

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
    // Prints each span as it ends. In production: a batch exporter of opentelemetry-otlp.
    let provider = SdkTracerProvider::builder()
        .with_simple_exporter(opentelemetry_stdout::SpanExporter::default())
        .build();
    global::set_tracer_provider(provider.clone());
    // So that spans are children of the caller's, whose context is in `traceparent`.
    global::set_text_map_propagator(TraceContextPropagator::new());

    let app = Router::new()
        .route("/hello/{name}", get(hello))
        .route("/stream", get(stream))
        // Added last, and so outermost: what is added after it would not be in the span.
        .layer(ApiSpanLayer::new());

    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    let address = listener.local_addr()?;
    eprintln!("Listening on http://{address}; Ctrl-C stops.");
    eprintln!("  curl http://{address}/hello/world");
    eprintln!("  curl http://{address}/hello/nobody");
    eprintln!("  curl -N http://{address}/stream    and Ctrl-C, to be a client that leaves");
    let stop = async { tokio::signal::ctrl_c().await.expect("a handler for Ctrl-C") };
    // With it, the span knows who is at the other end of the connection.
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, app)
        .with_graceful_shutdown(stop)
        .await?;
    // Exports what is left, which is nothing here but much with a batch exporter.
    Ok(provider.shutdown()?)
}

/// The handle is an extractor; what is said to it is seen in the request's span.
async fn hello(Path(name): Path<String>, span: SpanHandle) -> String {
    span.set_attribute(KeyValue::new("greeted", name.clone()));
    if name == "nobody" {
        // The response is a 200 all the same; the span is `ABORTED(nobody)`.
        span.abort("nobody", "there is nobody to greet");
    }
    format!("Hello, {name}\n")
}

/// The span lasts as long as the stream. `api.ABORTED` tells of a client that leaves earlier.
async fn stream() -> Body {
    let lines = stream::iter(0..5).then(async |number| {
        sleep(Duration::from_secs(1)).await;
        Ok::<_, std::convert::Infallible>(format!("{number}\n"))
    });
    Body::from_stream(lines)
}
