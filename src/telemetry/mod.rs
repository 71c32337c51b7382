//! The description of a request in its span, its metrics and its log events.
//!
//! All three read the request's info and its completion. They do not decide how the request ended.

pub(crate) mod gen_ai;
pub(crate) mod logs;
pub(crate) mod metrics;
pub(crate) mod span;
#[cfg(feature = "tracing")]
pub(crate) mod tracing;
