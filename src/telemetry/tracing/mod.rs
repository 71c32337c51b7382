//! What the subscriber of `tracing` gets: the request's span, and the access log.

pub(crate) mod access_log;
pub(crate) mod request_span;

/// The target of the request's span.
const TARGET: &str = "tower_api_span";
/// The target of the access log.
const LOG_TARGET: &str = "tower_api_span::access_log";
