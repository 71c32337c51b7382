//! The data that all requests of a service share.

use crate::provider::tracer::TracerSource;
use crate::settings::Settings;
use crate::telemetry::logs::Loggers;
use crate::telemetry::metrics::Meters;

/// The settings of a layer, and the providers it records to.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) providers: Providers,
}

impl Shared {
    /// Returns the settings of a new layer, for which the environment is read.
    pub(crate) fn from_environment() -> Self {
        Self {
            settings: Settings::from_environment(),
            providers: Providers::default(),
        }
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Providers {
    pub(crate) tracers: TracerSource,
    pub(crate) meters: Meters,
    pub(crate) loggers: Loggers,
}
