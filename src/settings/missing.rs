//! The warnings about a logger and a propagator that are not set.

// Not `std`: loom replaces that.
use core::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use http::HeaderMap;
use opentelemetry::trace::TraceContextExt;
use opentelemetry::{Context, otel_warn};

use crate::catch_panic::catch_panic;
use crate::propagation::{Propagation, has_traceparent};

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

    /// Whether a request may show that no global propagator is set. It is to be passed to
    /// [`check_propagator`](Self::check_propagator) if it gets a span. Without the feature, nothing is reported, and
    /// nothing is looked at.
    #[inline]
    pub(crate) fn is_caller_unread(
        &self,
        propagation: &Propagation,
        headers: &HeaderMap,
        current: &Context,
    ) -> bool {
        cfg!(feature = "internal-logs")
            && propagation.is_global()
            && !self.is_propagator_settled.load(Ordering::Relaxed)
            && !current.span().span_context().is_valid()
            && has_traceparent(headers)
    }

    /// Reports that no global propagator is set, unless one is.
    #[cold]
    #[inline(never)]
    pub(crate) fn check_propagator(&self, propagation: &Propagation, headers: &HeaderMap) {
        let is_reported = self.is_propagator_settled.swap(true, Ordering::Relaxed);
        if !is_reported && propagation.reads_nothing(headers) == Some(true) {
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
