//! Setters for the classification, disconnects and lifecycle events.

use std::sync::Arc;

use super::ApiSpanLayer;
use crate::outcome::lifecycle::LifecycleEvents;
use crate::outcome::{Completion, Outcome};
use crate::settings::callback::Callback;

impl ApiSpanLayer {
    /// Replaces the function that decides the [`Outcome`] of a request.
    ///
    /// Default: [`classify`](crate::classify()), which a replacement may call for the cases that it
    /// does not decide itself. If the callback panics, the span ends without a terminal event.
    ///
    /// The error type and the message are truncated to 1,024 bytes. An empty reason becomes `exception`, and an empty
    /// error type becomes `_OTHER`.
    ///
    /// ```
    /// use http::StatusCode;
    /// use tower_api_span::{ApiSpanLayer, Outcome, classify};
    ///
    /// let layer = ApiSpanLayer::new().classify(|completion| match completion.status() {
    ///     // Here "not found" is an answer like any other.
    ///     Some(StatusCode::NOT_FOUND) if completion.verdict().is_none() => Outcome::Departed,
    ///     _ => classify(completion),
    /// });
    /// # let _ = layer;
    /// ```
    pub fn classify(
        self,
        classify: impl Fn(&Completion) -> Outcome + Send + Sync + 'static,
    ) -> Self {
        self.with(|settings| settings.classify = Callback::new(Arc::new(classify)))
    }

    /// Sets whether a client disconnect (`client_disconnect`, `generator_exit`) is an error.
    ///
    /// Default: true.
    ///
    /// If false, the span of a disconnect has status Unset and no `error.type`. Its terminal event and its reason are
    /// the same. The setting applies after [`classify`](Self::classify), to a response that was dropped and has no
    /// verdict.
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new().disconnect_is_error(false);
    /// # let _ = layer;
    /// ```
    pub fn disconnect_is_error(self, is_error: bool) -> Self {
        self.with(|settings| settings.disconnect_is_error = is_error)
    }

    /// Sets where the lifecycle events of a request are recorded.
    ///
    /// Default: [`LifecycleEvents::OnSpan`].
    ///
    /// ```
    /// use tower_api_span::{ApiSpanLayer, LifecycleEvents};
    ///
    /// let layer = ApiSpanLayer::new().lifecycle_events(LifecycleEvents::AsLogs);
    /// # let _ = layer;
    /// ```
    pub fn lifecycle_events(self, events: LifecycleEvents) -> Self {
        self.with(|settings| settings.lifecycle_events = events)
    }
}
