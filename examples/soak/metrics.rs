//! Reads the metrics: the number of measured requests, and of active ones.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::{
    AggregatedMetrics, HistogramDataPoint, MetricData, ResourceMetrics, ScopeMetrics, SumDataPoint,
};
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider, Temporality};

/// The attribute of the request's outcome.
pub(crate) const OUTCOME: &str = "soak.outcome";

/// Returns the attribute of an outcome.
pub(crate) fn outcome(outcome: String) -> KeyValue {
    KeyValue::new(OUTCOME, outcome)
}

/// Sums over all series.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct MetricSums {
    /// The counts of the HTTP and gRPC duration histograms, by outcome.
    pub(crate) requests: BTreeMap<String, u64>,
    /// `http.server.active_requests`.
    pub(crate) active: i64,
}

/// A meter provider whose metrics are read on demand.
#[derive(Clone)]
pub(crate) struct Metrics {
    pub(crate) provider: SdkMeterProvider,
    last: Last,
}

/// An exporter that keeps the sums of the last export.
#[derive(Clone, Debug, Default)]
struct Last(Arc<Mutex<MetricSums>>);

impl Metrics {
    pub(crate) fn new() -> Self {
        let last = Last::default();
        let reader = PeriodicReader::builder(last.clone())
            // No periodic export: it would allocate at random moments.
            .with_interval(Duration::from_secs(24 * 60 * 60))
            .build();
        let provider = SdkMeterProvider::builder().with_reader(reader).build();
        Self { provider, last }
    }

    /// Returns a pointer to what the provider's exporter and this value share. It keeps neither alive.
    pub(crate) fn alive(&self) -> Weak<dyn Any + Send + Sync> {
        let last: Arc<dyn Any + Send + Sync> = self.last.0.clone();
        Arc::downgrade(&last)
    }

    /// Reads the metrics.
    ///
    /// # Errors
    ///
    /// If the export fails.
    pub(crate) fn read(&self) -> Result<MetricSums, String> {
        let flushed = self.provider.force_flush();
        flushed.map_err(|error| error.to_string())?;
        let last = self.last.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(last.clone())
    }
}

fn outcome_of(point: &HistogramDataPoint<f64>) -> String {
    let mut attributes = point.attributes();
    let outcome = attributes.find(|attribute| attribute.key.as_str() == OUTCOME);
    outcome.map_or("no outcome".to_owned(), |outcome| outcome.value.to_string())
}

impl PushMetricExporter for Last {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let mut measured = MetricSums::default();
        let scopes = metrics.scope_metrics();
        for metric in scopes.flat_map(ScopeMetrics::metrics) {
            match (metric.name(), metric.data()) {
                (
                    "http.server.request.duration" | "rpc.server.call.duration",
                    AggregatedMetrics::F64(MetricData::Histogram(data)),
                ) => {
                    for point in data.data_points() {
                        let of_outcome = measured.requests.entry(outcome_of(point)).or_default();
                        *of_outcome += point.count();
                    }
                }
                ("http.server.active_requests", AggregatedMetrics::I64(MetricData::Sum(data))) => {
                    let active = data.data_points().map(SumDataPoint::value);
                    measured.active += active.sum::<i64>();
                }
                _ => {}
            }
        }
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = measured;
        Ok(())
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }

    fn temporality(&self) -> Temporality {
        Temporality::Cumulative
    }
}
