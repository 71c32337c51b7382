//! Gets tracers, meters and loggers: from the layer's own providers, or from the global ones.
//!
//! Only this folder calls a `Tracer`, and only it decides whether a provider is the API's no-op.

pub(crate) mod global_tracer;
pub(crate) mod logger;
pub(crate) mod lookup;
pub(crate) mod meter;
mod missing_tracer;
mod noop;
pub(crate) mod parent;
pub(crate) mod start_span;
pub(crate) mod tracer;
