//! With the layers of tower-otel.

use axum::Router;
use tracing::Dispatch;

use crate::recording::Telemetry;

// guide {
use opentelemetry::global;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tower_otel::{metrics, trace};
use tracing::Level;
use tracing_subscriber::layer::SubscriberExt as _;
// guide }

pub fn application(routes: Router, telemetry: Telemetry) -> (Option<Dispatch>, Router) {
    let Telemetry {
        provider,
        meters,
        log,
    } = telemetry;
    // guide {
    let tracer = provider.tracer("app");
    let subscriber = tracing_subscriber::registry()
        .with(log)
        .with(tracing_opentelemetry::layer().with_tracer(tracer));
    global::set_text_map_propagator(TraceContextPropagator::new());
    global::set_meter_provider(meters);
    let app = routes
        .layer(metrics::HttpLayer::server(&global::meter("app")))
        .layer(trace::HttpLayer::server(Level::INFO).trace_body());
    // guide }
    (Some(Dispatch::new(subscriber)), app)
}
