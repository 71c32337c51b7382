//! Describes what the layer would use for a request.

use super::ApiSpanLayer;

impl ApiSpanLayer {
    /// Returns what the layer finds now: its providers, its propagator and the features of the crate, a line for each.
    ///
    /// It is for people, to find out why spans are missing, and its text may change. The guide
    /// [troubleshooting](crate::guide::troubleshooting) explains each line. A provider that was shut down is recognized
    /// only if it is global, and a request had no span since. If a provider panics, its line has "panics".
    ///
    /// Looks up the global providers, and starts and ends one span that is not recorded, to detect the API's no-op. So
    /// call it at the start of a program or on demand, and not for each request.
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new();
    /// let description = layer.describe();
    /// assert!(description.contains("tracer provider: global, none"), "{description}");
    /// ```
    #[must_use]
    pub fn describe(&self) -> String {
        let (providers, settings) = (&self.shared.providers, &self.shared.settings);
        let logger = if providers.loggers.is_set() {
            "given"
        } else {
            "none"
        };
        [
            format!("tower-api-span {}", env!("CARGO_PKG_VERSION")),
            format!("tracer provider: {}", providers.tracers.describe()),
            format!("propagator: {}", settings.propagation.describe()),
            format!("meter provider: {}", providers.meters.describe()),
            format!("logger provider: {logger}"),
            format!("features: {}", features()),
        ]
        .join("\n")
    }
}

/// Returns the names of the features that are on.
fn features() -> String {
    let on = [
        ("axum", cfg!(feature = "axum")),
        ("connect-info", cfg!(feature = "connect-info")),
        ("internal-logs", cfg!(feature = "internal-logs")),
        ("tracing", cfg!(feature = "tracing")),
    ];
    let on: Vec<_> = on.iter().filter(|(_, is_on)| *is_on).collect();
    if on.is_empty() {
        return "none".to_owned();
    }
    let names: Vec<_> = on.iter().map(|(name, _)| *name).collect();
    names.join(", ")
}
