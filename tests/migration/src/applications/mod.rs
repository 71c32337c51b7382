//! The applications. Of each, `before.rs` has the other layer and `after.rs` has `ApiSpanLayer`.

mod axum_tracing_opentelemetry;
mod opentelemetry_instrumentation_tower;
mod tower_otel;
mod trace_layer;
