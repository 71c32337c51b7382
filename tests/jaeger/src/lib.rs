//! Jaeger's propagator, and the API that it is for.
#![expect(deprecated, reason = "applications still use Jaeger")]

pub use opentelemetry;
pub use opentelemetry_jaeger_propagator;
