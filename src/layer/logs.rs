//! Settings: log events.

use opentelemetry::logs::LoggerProvider;

use super::ApiSpanLayer;
use crate::telemetry::logs::Loggers;

impl ApiSpanLayer {
    /// Where log events go (feature `logs`); by default nowhere, for there is no global provider.
    ///
    /// A request that ends with an error which is more than a status is
    /// `http.server.request.exception`, or `rpc.server.call.exception`, with `exception.type` (the
    /// error's Rust type, or the reason) and `exception.message`: severity ERROR, but DEBUG where it is
    /// the client that has left. It carries the span's context, and is emitted while the span is open
    /// and current. [`lifecycle_events`](Self::lifecycle_events) may add others.
    ///
    /// ```
    /// use opentelemetry_sdk::logs::SdkLoggerProvider;
    /// use tower_api_span::ApiSpanLayer;
    ///
    /// let provider = SdkLoggerProvider::builder().build();
    /// let layer = ApiSpanLayer::new().logger_provider(&provider);
    /// # let _ = layer;
    /// ```
    pub fn logger_provider<P>(self, provider: &P) -> Self
    where
        P: LoggerProvider,
        P::Logger: Send + Sync + 'static,
    {
        self.with_providers(|providers| providers.loggers = Loggers::given(provider))
    }
}
