//! The settings for `tracing`: the access log, and the request's span.

use std::sync::Arc;

use http::request;
use tracing::level_filters::LevelFilter;
use tracing::{Level, Span};

use crate::outcome::Completion;
use crate::settings::callback::Callback;

/// A callback that makes the request's span of `tracing`.
pub(crate) type SpanFn = dyn Fn(&request::Parts) -> Span + Send + Sync;

/// A callback that decides whether a request is logged.
type FilterFn = dyn Fn(&request::Parts) -> bool + Send + Sync;

/// A callback that chooses the level of a line of the access log.
type LevelFn = dyn Fn(&Completion) -> Level + Send + Sync;

/// What is sent to the subscriber of `tracing`.
#[derive(Clone, Debug, Default)]
pub(crate) struct TracingSettings {
    pub(crate) access_log: Option<AccessLog>,
    /// Whether each request has a span.
    pub(crate) has_span: bool,
    /// Makes that span, in place of the layer.
    pub(crate) span: Callback<SpanFn>,
}

impl TracingSettings {
    /// Whether a request has a span or a line, and there is a subscriber that may read it.
    #[inline]
    pub(crate) fn is_read(&self) -> bool {
        let is_set = self.has_span || self.access_log.is_some();
        is_set && LevelFilter::current() != LevelFilter::OFF
    }
}

/// What the access log has: one event of `tracing` for each request, at its end.
///
/// The [guide](crate::guide::tracing) lists the fields.
///
/// ```
/// use tower_api_span::{AccessLog, ApiSpanLayer};
///
/// let log = AccessLog::new().filter(|parts| parts.uri.path() != "/health");
/// let layer = ApiSpanLayer::new().access_log(log);
/// # let _ = layer;
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "pass it to `ApiSpanLayer::access_log`"]
pub struct AccessLog {
    pub(crate) filter: Callback<FilterFn>,
    pub(crate) level: Callback<LevelFn>,
    pub(crate) has_query: bool,
    pub(crate) has_start: bool,
}

impl AccessLog {
    /// Makes a log of all requests.
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new().access_log(tower_api_span::AccessLog::new());
    /// # let _ = layer;
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Logs only the requests for which the callback returns true.
    ///
    /// Default: all, also those that [`ApiSpanLayer::filter`](crate::ApiSpanLayer::filter) refuses. If the callback
    /// panics, the request is logged.
    ///
    /// ```
    /// let log = tower_api_span::AccessLog::new().filter(|parts| parts.uri.path() != "/health");
    /// # let _ = log;
    /// ```
    pub fn filter(
        mut self,
        logs: impl Fn(&request::Parts) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.filter = Callback::new("AccessLog::filter", Arc::new(logs));
        self
    }

    /// Chooses the level of a request's line, by what the request has come to.
    ///
    /// Default: ERROR for an error, except that a client that disconnected is WARN; WARN for another request that was
    /// aborted, such as a 404; else INFO. It also applies if the callback panics.
    ///
    /// ```
    /// use tower_api_span::{AccessLog, Outcome};
    ///
    /// let log = AccessLog::new().level_fn(|completion| match completion.outcome() {
    ///     Some(Outcome::Departed) => tracing::Level::DEBUG,
    ///     _ => tracing::Level::WARN,
    /// });
    /// # let _ = log;
    /// ```
    pub fn level_fn(
        mut self,
        level: impl Fn(&Completion) -> Level + Send + Sync + 'static,
    ) -> Self {
        self.level = Callback::new("AccessLog::level_fn", Arc::new(level));
        self
    }

    /// Sets whether the query is logged, with its [sensitive parameters](crate::ApiSpanLayer::sensitive_query_parameters)
    /// redacted.
    ///
    /// Default: false.
    ///
    /// ```
    /// let log = tower_api_span::AccessLog::new().query(true);
    /// # let _ = log;
    /// ```
    pub fn query(mut self, is_logged: bool) -> Self {
        self.has_query = is_logged;
        self
    }

    /// Sets whether a line, at level INFO, is also logged when a request arrives.
    ///
    /// Default: false.
    ///
    /// ```
    /// let log = tower_api_span::AccessLog::new().request_start(true);
    /// # let _ = log;
    /// ```
    pub fn request_start(mut self, is_logged: bool) -> Self {
        self.has_start = is_logged;
        self
    }
}
