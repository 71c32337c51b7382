//! Where tracers, meters and loggers come from: the provider that was given, or the global one.
//!
//! Nothing else names a `Tracer`, and nothing else decides whether a provider is the API's no-op.

pub(crate) mod logger;
pub(crate) mod lookup;
pub(crate) mod meter;
mod noop;
pub(crate) mod tracer;
