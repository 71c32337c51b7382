//! With `ApiSpanLayer` in its place.

use axum::Router;
use tracing::Dispatch;

use crate::recording::Telemetry;

// guide {
use opentelemetry::global;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tower_api_span::{AccessLog, ApiSpanLayer, RequestTracer};
use tracing_subscriber::layer::SubscriberExt as _;
// guide }

pub fn application(routes: Router, telemetry: Telemetry) -> (Option<Dispatch>, Router) {
    let Telemetry { provider, log, .. } = telemetry;
    // guide {
    let tracer = RequestTracer::new(provider.tracer("app"));
    let subscriber = tracing_subscriber::registry()
        .with(log)
        .with(tracing_opentelemetry::layer().with_tracer(tracer));
    global::set_tracer_provider(provider);
    global::set_text_map_propagator(TraceContextPropagator::new());
    let layer = ApiSpanLayer::new().access_log(AccessLog::new());
    let app = routes.layer(layer.tracing_span(true));
    // guide }
    (Some(Dispatch::new(subscriber)), app)
}
