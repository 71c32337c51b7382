//! With the layer of opentelemetry-instrumentation-tower.

use axum::Router;
use tracing::Dispatch;

use crate::recording::Telemetry;

// guide {
use opentelemetry::global;
use opentelemetry_instrumentation_tower::http::server::Layer;
use opentelemetry_sdk::propagation::TraceContextPropagator;
// guide }

pub fn application(routes: Router, telemetry: Telemetry) -> (Option<Dispatch>, Router) {
    let Telemetry {
        provider, meters, ..
    } = telemetry;
    // guide {
    global::set_tracer_provider(provider);
    global::set_meter_provider(meters);
    global::set_text_map_propagator(TraceContextPropagator::new());
    let app = routes.layer(Layer::new());
    // guide }
    (None, app)
}
