//! With `ApiSpanLayer` in its place.

use axum::Router;
use tracing::Dispatch;

use crate::recording::Telemetry;

// guide {
use opentelemetry::global;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tower_api_span::ApiSpanLayer;
// guide }

pub fn application(routes: Router, telemetry: Telemetry) -> (Option<Dispatch>, Router) {
    let Telemetry {
        provider, meters, ..
    } = telemetry;
    // guide {
    global::set_tracer_provider(provider);
    global::set_meter_provider(meters);
    global::set_text_map_propagator(TraceContextPropagator::new());
    let layer = ApiSpanLayer::new().active_requests(true).body_sizes(true);
    let app = routes.layer(layer);
    // guide }
    (None, app)
}
