//! What observes a request other than its span: metrics, logs and the operator's callback.

use http::request;

use crate::exchange::shared::Shared;
use crate::handle::SpanHandle;
use crate::provider::start_span::StartOptions;
use crate::recording::clock::Clock;
use crate::recording::measured::Measured;
use crate::recording::request_info::RequestInfo;
use crate::settings::Settings;
use crate::telemetry::metrics::Measurement;
#[cfg(feature = "tracing")]
use crate::telemetry::tracing::access_log;

/// What the settings decide about a request at its start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fate {
    /// The filter refuses it, or telemetry is suppressed.
    Untraced,
    /// The rate drops it.
    SampledOut,
    Traced,
}

/// What observes a request other than its span.
#[expect(clippy::struct_excessive_bools, reason = "each is a signal of its own")]
pub(super) struct OtherSignals {
    has_meter: bool,
    pub(super) has_logger: bool,
    /// A callback gets each request, also those without telemetry.
    has_callback: bool,
    /// The access log has each request, also those without telemetry.
    pub(super) has_access_log: bool,
}

impl OtherSignals {
    pub(super) fn find(shared: &Shared, parts: &request::Parts, is_traced: bool) -> Self {
        let providers = &shared.providers;
        Self {
            has_meter: is_traced && providers.meters.is_set(),
            has_logger: is_traced && providers.loggers.is_set(),
            has_callback: shared.settings.on_completion.is_set(),
            has_access_log: is_logged(&shared.settings, parts),
        }
    }

    /// Starts the measurement of the request, if there is a meter. Also returns what is measured here or outside.
    pub(super) fn measure(
        &self,
        shared: &Shared,
        parts: &request::Parts,
        clock: Clock,
        request: &RequestInfo,
    ) -> (Option<Measurement>, Measured) {
        let outside = measured_outside(&shared.settings, parts);
        let meters = &shared.providers.meters;
        let instruments = self.has_meter.then(|| meters.find(clock.start_moment()));
        let Some(instruments) = instruments.flatten() else {
            return (None, outside);
        };
        let settings = shared.settings.metrics;
        let measurement = Measurement::start(instruments, request, settings, outside);
        let measured = measurement.measured();
        (Some(measurement), measured)
    }

    pub(super) fn start_options(&self, clock: Clock) -> StartOptions {
        StartOptions {
            clock,
            has_other_readers: self.is_any_enabled(),
        }
    }

    pub(super) fn is_any_enabled(&self) -> bool {
        self.has_meter || self.has_logger || self.has_callback || self.has_access_log
    }
}

#[cfg(feature = "tracing")]
fn is_logged(settings: &Settings, parts: &request::Parts) -> bool {
    access_log::is_wanted(settings, parts)
}

#[cfg(not(feature = "tracing"))]
fn is_logged(_: &Settings, _: &request::Parts) -> bool {
    false
}

/// Returns the metrics that layers outside record of a request, unless it is to be measured all the same.
fn measured_outside(settings: &Settings, parts: &request::Parts) -> Measured {
    let outer = parts.extensions.get::<SpanHandle>();
    let outer = outer.filter(|_| !settings.metrics.nested);
    outer.map_or_else(Measured::default, SpanHandle::measured)
}
