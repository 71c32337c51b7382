//! Setters: the meaning of an end, and where lifecycle events are recorded.

use std::sync::Arc;

use super::ApiSpanLayer;
use crate::outcome::lifecycle::LifecycleEvents;
use crate::outcome::{End, Head, Outcome, Verdict};
use crate::settings::callback::Callback;

impl ApiSpanLayer {
    /// Replaces the function that decides the [`Outcome`] of a request.
    ///
    /// Default: [`classify`](crate::classify()), which a replacement may call for the cases that it
    /// does not decide itself. If the callback panics, the span ends without a terminal event.
    ///
    /// Its strings are truncated to 1,024 bytes. An empty reason becomes `exception`, an empty error
    /// type `_OTHER`.
    ///
    /// ```
    /// use http::StatusCode;
    /// use tower_api_span::{ApiSpanLayer, Outcome, classify};
    ///
    /// let layer = ApiSpanLayer::new().classify(|head, end, verdict| match head.status {
    ///     // Here "not found" is an answer like any other.
    ///     Some(StatusCode::NOT_FOUND) if verdict.is_none() => Outcome::Departed,
    ///     _ => classify(head, end, verdict),
    /// });
    /// # let _ = layer;
    /// ```
    pub fn classify(
        self,
        classify: impl Fn(&Head, &End, Option<&Verdict>) -> Outcome + Send + Sync + 'static,
    ) -> Self {
        self.with(|config| {
            config.classify = Callback::new("ApiSpanLayer::classify", Arc::new(classify))
        })
    }

    /// Sets whether a client disconnect (`client_disconnect`, `generator_exit`) is an error.
    ///
    /// Default: true. If false, the span's status stays Unset and it has no `error.type`; event and
    /// reason are the same. The setting applies after [`classify`](Self::classify), to a response that
    /// was dropped and has no verdict of the handler.
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new().disconnect_is_error(false);
    /// # let _ = layer;
    /// ```
    pub fn disconnect_is_error(self, is_error: bool) -> Self {
        self.with(|config| config.disconnect_is_error = is_error)
    }

    /// Sets where the lifecycle events of a request are recorded.
    ///
    /// Default: on its span.
    ///
    /// ```
    /// use tower_api_span::{ApiSpanLayer, LifecycleEvents};
    ///
    /// let layer = ApiSpanLayer::new().lifecycle_events(LifecycleEvents::AsLogs);
    /// # let _ = layer;
    /// ```
    pub fn lifecycle_events(self, events: LifecycleEvents) -> Self {
        self.with(|config| config.lifecycle_events = events)
    }
}
