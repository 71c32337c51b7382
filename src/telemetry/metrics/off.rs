//! Without feature `metrics`: nobody counts.

use http::HeaderMap;

use crate::recording::completion::Completion;
use crate::settings::Settings;
use crate::telemetry::span::RequestInfo;

/// No settings.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Meters(());

impl Meters {
    #[expect(clippy::unused_self, reason = "with the feature there is more to it")]
    pub(crate) fn find(self) -> Option<Meter> {
        None
    }

    #[expect(clippy::unused_self, reason = "with the feature there is more to it")]
    pub(crate) fn is_stream(self, _: &HeaderMap) -> bool {
        false
    }

    #[expect(clippy::unused_self, reason = "with the feature there is more to it")]
    pub(crate) fn mark_streams(self) -> bool {
        false
    }
}

/// There is none.
#[derive(Debug)]
pub(crate) enum Meter {}

impl Meter {
    pub(crate) fn start(&self, _: &RequestInfo, _: &Settings) -> Metered {
        match *self {}
    }
}

/// There is none.
#[derive(Debug)]
pub(crate) enum Metered {}

impl Metered {
    pub(crate) fn leave(&self, _: &RequestInfo) {
        match *self {}
    }

    pub(crate) fn finish(self, _: &Completion<'_>, _: &Settings) {
        match self {}
    }
}
