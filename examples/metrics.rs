//! The layer's metrics: on a page that Prometheus reads, and pushed with OTLP.
//!
//! ```text
//! cargo run --example metrics
//! cargo run --example metrics -- 127.0.0.1:8080
//! OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4317 cargo run --example metrics
//! ```
//!
//! The last command also pushes the metrics to a collector. Prometheus itself can be one, if it runs with
//! `--web.enable-otlp-receiver`. In an application, the crate `opentelemetry-prometheus` takes the place of
//! `journey/prometheus.rs`.

#[path = "journey/prometheus.rs"]
mod prometheus;

use std::env;
use std::error::Error;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::{Router, routing::get};
use opentelemetry_otlp::MetricExporter;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use tower_api_span::ApiSpanLayer;

/// The time between two versions of the page.
const PAGE_INTERVAL: Duration = Duration::from_secs(1);

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let page = prometheus::Text::default();
    let meters = meter_provider(page.clone())?;
    let layer = ApiSpanLayer::new()
        // May also be global.
        .meter_provider(&meters)
        // These are off by default.
        .active_requests(true)
        .response_times(true)
        // Prometheus's own requests are neither traced nor measured.
        .filter(|request| request.uri.path() != "/metrics");
    let app = Router::new()
        .route("/hello/{name}", get(hello))
        .route("/metrics", get(metrics))
        .with_state(page)
        .layer(layer);

    let address = env::args().nth(1);
    let address = address.as_deref().unwrap_or("127.0.0.1:3000");
    let listener = tokio::net::TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    eprintln!("A service with a metrics page. A request is on the page after a second.");
    eprintln!("Listening on http://{address}; Ctrl-C stops. Try:");
    eprintln!("  curl http://{address}/hello/world");
    eprintln!("  curl http://{address}/hello/unknown");
    eprintln!("  curl http://{address}/missing");
    eprintln!("  sleep 1; curl -s http://{address}/metrics | grep _count");
    let stop = async { tokio::signal::ctrl_c().await.expect("a handler for Ctrl-C") };
    axum::serve(listener, app)
        .with_graceful_shutdown(stop)
        .await?;
    // Pushes what was measured since the last push.
    Ok(meters.shutdown()?)
}

/// Makes the provider, with a reader for each way out. To push, the environment must name a collector.
fn meter_provider(page: prometheus::Text) -> Result<SdkMeterProvider, Box<dyn Error>> {
    let page = PeriodicReader::builder(page).with_interval(PAGE_INTERVAL);
    let mut provider = SdkMeterProvider::builder().with_reader(page.build());
    if let Ok(endpoint) = env::var(ENDPOINT) {
        eprintln!(
            "Pushing to {endpoint} at the end, and each minute (OTEL_METRIC_EXPORT_INTERVAL)."
        );
        let exporter = MetricExporter::builder().with_tonic().build()?;
        provider = provider.with_periodic_exporter(exporter);
    }
    Ok(provider.build())
}

/// Greets, but fails for one name. The failure is a 500, with `error_type` in the metrics.
async fn hello(Path(name): Path<String>) -> Result<String, StatusCode> {
    if name == "unknown" {
        return Err(StatusCode::INTERNAL_SERVER_ERROR);
    }
    Ok(format!("Hello, {name}\n"))
}

/// Returns the latest version of the page, in Prometheus's text format.
async fn metrics(State(page): State<prometheus::Text>) -> impl IntoResponse {
    let format = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, format)], page.last())
}
