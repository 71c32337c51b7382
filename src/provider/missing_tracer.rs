//! The warning about a global tracer provider that is not set.

// Not `std`: loom replaces that.
use core::sync::atomic::{AtomicBool, Ordering};

use opentelemetry::otel_warn;

use crate::catch_panic::catch_panic;

/// Reports once for a layer and its clones, through OpenTelemetry's internal logging.
#[derive(Debug, Default)]
pub(super) struct MissingTracer(AtomicBool);

impl MissingTracer {
    #[cold]
    #[inline(never)]
    pub(super) fn report(&self) {
        if !self.0.swap(true, Ordering::Relaxed) {
            // A subscriber of `tracing` may panic.
            catch_panic(warn);
        }
    }
}

fn warn() {
    otel_warn!(
        name: "ApiSpanLayer.TracerProviderMissing",
        message = "No global tracer provider is set, or it makes no spans, so requests have none. If the application has set one, the program has two versions of `opentelemetry`: `cargo tree --duplicates` lists them. If no spans are wanted, `ApiSpanLayer::tracer_provider(&NoopTracerProvider::new())` turns this off."
    );
}
