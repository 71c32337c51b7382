//! What a propagator extracts from a request.

use opentelemetry::Context;

/// The context that came with a request.
pub(crate) struct Extracted {
    pub(crate) context: Context,
    /// Whether the caller's sampled flag was cleared, because of the rate.
    pub(crate) is_sampled_out: bool,
}
