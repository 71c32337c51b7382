//! The data that all requests of a service share.

use crate::provider::tracer::TracerSource;
use crate::settings::Settings;
use crate::telemetry::logs::Loggers;
use crate::telemetry::metrics::Meters;

/// The settings of a layer, and its providers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) providers: Providers,
}

/// The sources of tracers, meters and loggers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Providers {
    pub(crate) tracers: TracerSource,
    pub(crate) meters: Meters,
    pub(crate) loggers: Loggers,
}
