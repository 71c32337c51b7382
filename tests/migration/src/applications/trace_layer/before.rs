//! With tower-http's `TraceLayer` and tracing-opentelemetry.

use axum::Router;
use tracing::Dispatch;

use crate::recording::Telemetry;

// guide {
use opentelemetry::trace::TracerProvider as _;
use tower_http::trace::TraceLayer;
use tracing_subscriber::layer::SubscriberExt as _;
// guide }

pub fn application(routes: Router, telemetry: Telemetry) -> (Option<Dispatch>, Router) {
    let Telemetry { provider, log, .. } = telemetry;
    // guide {
    let tracer = provider.tracer("app");
    let subscriber = tracing_subscriber::registry()
        .with(log)
        .with(tracing_opentelemetry::layer().with_tracer(tracer));
    let app = routes.layer(TraceLayer::new_for_http());
    // guide }
    (Some(Dispatch::new(subscriber)), app)
}
