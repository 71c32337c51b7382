//! The result of extracting a caller's context.

use opentelemetry::Context;

/// The caller's context.
pub(crate) struct Extracted {
    pub(crate) context: Context,
    /// Whether it is the current context with another span.
    pub(crate) is_only_span: bool,
    /// Whether the caller's sampled flag was cleared, because of the rate.
    pub(crate) is_sampled_out: bool,
}
