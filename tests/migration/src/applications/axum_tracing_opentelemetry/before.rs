//! With the layers of axum-tracing-opentelemetry.

use axum::Router;
use tracing::Dispatch;

use crate::recording::Telemetry;

// guide {
use axum_tracing_opentelemetry::middleware::{OtelAxumLayer, OtelInResponseLayer};
use opentelemetry::global;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing_subscriber::layer::SubscriberExt as _;
// guide }

pub fn application(routes: Router, telemetry: Telemetry) -> (Option<Dispatch>, Router) {
    let Telemetry { provider, log, .. } = telemetry;
    // guide {
    let tracer = provider.tracer("app");
    let subscriber = tracing_subscriber::registry()
        .with(log)
        .with(tracing_opentelemetry::layer().with_tracer(tracer));
    global::set_text_map_propagator(TraceContextPropagator::new());
    let app = routes
        .layer(OtelInResponseLayer)
        .layer(OtelAxumLayer::default());
    // guide }
    (Some(Dispatch::new(subscriber)), app)
}
