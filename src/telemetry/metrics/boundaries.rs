//! The bucket boundaries that the operator sets.

use opentelemetry::otel_warn;

use super::definitions::HISTOGRAMS;
use crate::catch_panic::catch_panic;

/// The boundaries of histograms, by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Boundaries(Vec<(&'static str, Vec<f64>)>);

impl Boundaries {
    /// Sets the boundaries of a histogram. The SDK refuses a histogram whose boundaries are not finite and ascending.
    pub(super) fn set(&mut self, metric: &str, mut boundaries: Vec<f64>) {
        let Some(name) = HISTOGRAMS.into_iter().find(|name| *name == metric) else {
            // A subscriber of `tracing` may panic.
            catch_panic(|| warn(metric));
            return;
        };
        boundaries.retain(|boundary| boundary.is_finite());
        boundaries.sort_by(f64::total_cmp);
        // By value, for which the two zeros are one.
        boundaries.dedup();
        self.0.retain(|(other, _)| *other != name);
        self.0.push((name, boundaries));
    }

    /// Returns the boundaries of a histogram.
    pub(super) fn of(&self, name: &str, default: &[f64]) -> Vec<f64> {
        let set = self.0.iter().find(|(other, _)| *other == name);
        set.map_or(default, |(_, boundaries)| boundaries).to_vec()
    }
}

fn warn(metric: &str) {
    otel_warn!(
        name: "ApiSpanLayer.UnknownMetric",
        metric = format!("{metric:.1024}"),
        message = "`ApiSpanLayer::bucket_boundaries` had no effect, because no histogram of the layer has this name."
    );
}
