//! How a request is described in each signal: span, metrics, log events.

#[cfg_attr(not(feature = "logs"), path = "logs/off.rs")]
pub(crate) mod logs;
#[cfg_attr(not(feature = "metrics"), path = "metrics/off.rs")]
pub(crate) mod metrics;
pub(crate) mod span;
