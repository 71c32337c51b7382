//! The warning about lifecycle events that should be log events, where there is no logger.

// Not `std`: loom replaces that.
use core::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use opentelemetry::otel_warn;

use crate::catch_panic::catch_panic;

/// Reports once for a layer and its clones, through OpenTelemetry's internal logging.
#[derive(Clone, Debug, Default)]
pub(crate) struct MissingLogger(Arc<AtomicBool>);

impl MissingLogger {
    #[cold]
    #[inline(never)]
    pub(crate) fn report(&self) {
        if !self.0.swap(true, Ordering::Relaxed) {
            // A subscriber of `tracing` may panic.
            catch_panic(warn);
        }
    }
}

fn warn() {
    otel_warn!(
        name: "ApiSpanLayer.LoggerMissing",
        message = "`LifecycleEvents::AsLogs` needs a logger provider. Without one the lifecycle events are on the span."
    );
}
