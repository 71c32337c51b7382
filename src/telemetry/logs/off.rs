//! Without feature `logs`: nobody logs.

use std::sync::Arc;

use crate::recording::completion::Completion;
use crate::recording::shared_span::Slot;
use crate::settings::Settings;

/// No settings.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Loggers(());

impl Loggers {
    #[expect(clippy::unused_self, reason = "with the feature there is more to it")]
    pub(crate) fn is_set(self) -> bool {
        false
    }

    #[expect(clippy::unused_self, reason = "with the feature there is more to it")]
    pub(crate) fn emit(self, _: &Completion<'_>, _: &Arc<dyn Slot>, _: &Settings) {}
}
