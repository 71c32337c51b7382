//! Where tracers come from, given or global, and when the global one is looked for again.
//!
//! The only folder that names a `Tracer`.

pub(crate) mod schedule;
pub(crate) mod tracer;
