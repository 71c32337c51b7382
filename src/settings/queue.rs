//! When a request began to wait in front of the service.

use std::time::{Duration, SystemTime};

use http::request;

use crate::settings::callback::Callback;

/// A callback that returns when a request began to wait.
type QueueStartFn = dyn Fn(&request::Parts) -> Option<SystemTime> + Send + Sync;

/// The longest time that counts. A forged start would make a span of years.
const MAX: Duration = Duration::from_secs(3_600);

/// Where the start of the wait is read, and what it is used for.
#[derive(Clone, Debug, Default)]
pub(crate) struct QueueSettings {
    pub(crate) start: Callback<QueueStartFn>,
    /// Whether the span starts then.
    pub(crate) starts_span: bool,
}

impl QueueSettings {
    #[inline]
    pub(crate) fn is_set(&self) -> bool {
        self.start.is_set()
    }

    /// Returns how long the request waited before it arrived, if that is known. A start in the future, by the clock of
    /// another machine, and one longer ago than an hour do not count.
    pub(crate) fn waited(&self, parts: &request::Parts, arrived: SystemTime) -> Option<Duration> {
        let start = self.start.call(|start| start(parts))?.ok()??;
        let waited = arrived.duration_since(start).ok()?;
        (waited <= MAX).then_some(waited)
    }
}
