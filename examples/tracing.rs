//! Lines of JSON that have the request's trace id: in a handler, in a stream, in a spawned task, and in the access log.
//!
//! ```text
//! cargo run --example tracing
//! cargo run --example tracing -- 127.0.0.1:8080
//! ```

use std::convert::Infallible;
use std::env;

use axum::{Router, body::Body, extract::Path, routing::get};
use futures_util::stream::{self, StreamExt as _};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::time::{Duration, sleep};
use tower_api_span::{AccessLog, ApiSpanLayer};
use tracing::{Instrument as _, Span, info};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Each line has the current span, with its fields. The list of that span and its parents is left out.
    let json = tracing_subscriber::fmt().json();
    json.with_span_list(false).init();
    // Makes the ids. To export the spans, add `with_batch_exporter` and opentelemetry-otlp.
    let provider = SdkTracerProvider::builder().build();
    let layer = ApiSpanLayer::new()
        .tracer_provider(&provider)
        // Reads the caller's `traceparent`, so that all lines have the caller's trace id.
        .propagator(TraceContextPropagator::new())
        // One line for each request, at its true end.
        .access_log(AccessLog::new())
        // A span of `tracing`, current in the handler and in the body. It adds method, path, route and ids.
        .tracing_span(true);
    let app = Router::new()
        .route("/hello/{name}", get(hello))
        .route("/stream", get(stream))
        .layer(layer);

    let address = env::args().nth(1);
    let address = address.as_deref().unwrap_or("127.0.0.1:3000");
    let listener = tokio::net::TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    eprintln!("A service that logs lines of JSON with trace ids.");
    eprintln!("Listening on http://{address}; Ctrl-C stops. Try:");
    eprintln!("  curl http://{address}/hello/world");
    let caller = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    eprintln!("  curl -H 'traceparent: {caller}' http://{address}/hello/caller");
    eprintln!("  curl http://{address}/missing");
    eprintln!("  curl -N http://{address}/stream    # press Ctrl-C to disconnect midway");
    let stop = async { tokio::signal::ctrl_c().await.expect("a handler for Ctrl-C") };
    axum::serve(listener, app)
        .with_graceful_shutdown(stop)
        .await?;
    Ok(provider.shutdown()?)
}

/// Logs in the handler, and in a task that outlives it.
async fn hello(Path(name): Path<String>) -> String {
    info!(%name, "in the handler");
    let task = async {
        sleep(Duration::from_millis(100)).await;
        info!("in the task");
    };
    // A task has the request's span only if it is instrumented.
    tokio::spawn(task.instrument(Span::current()));
    format!("Hello, {name}\n")
}

/// Logs while the body is sent. The access log's line comes after the last one, or when the client disconnects.
async fn stream() -> Body {
    let lines = stream::iter(0..3).then(async |number| {
        sleep(Duration::from_millis(500)).await;
        info!(number, "in the stream");
        Ok::<_, Infallible>(format!("{number}\n"))
    });
    Body::from_stream(lines)
}
