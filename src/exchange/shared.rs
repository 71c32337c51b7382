//! The data that all requests of a service share.

use crate::provider::tracer::TracerSource;
use crate::recording::learnt_methods::LearntMethods;
use crate::recording::learnt_models::LearntModels;
use crate::settings::Settings;
use crate::telemetry::logs::Loggers;
use crate::telemetry::metrics::Meters;

/// The settings of a layer, the providers it records to, and what it has learnt.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) providers: Providers,
    pub(crate) learnt_methods: LearntMethods,
    pub(crate) learnt_models: LearntModels,
}

impl Shared {
    /// Returns the settings of a new layer, for which the environment is read.
    pub(crate) fn from_environment() -> Self {
        Self {
            settings: Settings::from_environment(),
            providers: Providers::default(),
            learnt_methods: LearntMethods::default(),
            learnt_models: LearntModels::default(),
        }
    }

    /// Whether a request's lifecycle events are on its span. Those that should be log events are, too, if there is no
    /// logger: else they would be lost.
    pub(super) fn has_lifecycle_on_span(&self) -> bool {
        let events = self.settings.lifecycle_events;
        if events.is_on_span() || !events.is_logged() {
            return events.is_on_span();
        }
        let has_logger = self.providers.loggers.is_set();
        if !has_logger {
            self.settings.missing.report_logger();
        }
        !has_logger
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Providers {
    pub(crate) tracers: TracerSource,
    pub(crate) meters: Meters,
    pub(crate) loggers: Loggers,
}
