//! The warnings about a logger and a propagator that are not set.

// Not `std`: loom replaces that.
use core::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use http::HeaderMap;
use opentelemetry::otel_warn;

use crate::catch_panic::catch_panic;
use crate::propagation::Propagation;

/// Reports once for a layer and its clones, through OpenTelemetry's internal logging.
#[derive(Clone, Debug, Default)]
pub(crate) struct Missing {
    is_logger_reported: Arc<AtomicBool>,
    /// Whether the propagator is reported, or was seen.
    is_propagator_settled: Arc<AtomicBool>,
}

impl Missing {
    /// Reports lifecycle events that should be log events, where there is no logger.
    #[cold]
    #[inline(never)]
    pub(crate) fn report_logger(&self) {
        if !self.is_logger_reported.swap(true, Ordering::Relaxed) {
            // A subscriber of `tracing` may panic.
            catch_panic(warn_of_logger);
        }
    }

    /// Looks at a request that has a span: whether it has a caller's `traceparent` that is not read, because no global
    /// propagator is set. Without the feature, nothing is reported, and nothing looked at.
    #[inline]
    pub(crate) fn check_propagator(&self, propagation: &Propagation, headers: &HeaderMap) {
        let is_settled = || self.is_propagator_settled.load(Ordering::Relaxed);
        if cfg!(feature = "internal-logs") && !is_settled() {
            self.look_for_propagator(propagation, headers);
        }
    }

    #[cold]
    #[inline(never)]
    fn look_for_propagator(&self, propagation: &Propagation, headers: &HeaderMap) {
        let is_missing = propagation.is_global() && propagation.reads_nothing(headers);
        if is_missing && !headers.contains_key("traceparent") {
            return;
        }
        if !self.is_propagator_settled.swap(true, Ordering::Relaxed) && is_missing {
            catch_panic(warn_of_propagator);
        }
    }
}

fn warn_of_logger() {
    otel_warn!(
        name: "ApiSpanLayer.LoggerMissing",
        message = "`LifecycleEvents::AsLogs` needs a logger provider. Without one the lifecycle events are on the span."
    );
}

fn warn_of_propagator() {
    otel_warn!(
        name: "ApiSpanLayer.PropagatorMissing",
        message = "A request has a `traceparent`, but no global propagator is set, so its span starts a new trace. Call `opentelemetry::global::set_text_map_propagator`."
    );
}
