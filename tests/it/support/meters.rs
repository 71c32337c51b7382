//! Records exported metrics, and checks each of them against the semantic conventions.

use opentelemetry::{InstrumentationScope, KeyValue, Value};
use opentelemetry_sdk::metrics::data::{
    AggregatedMetrics, Histogram, HistogramDataPoint, Metric, MetricData, ResourceMetrics, Sum,
};
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, SdkMeterProvider, Temporality};
use tower_api_span::ApiSpanLayer;

use super::conventions;
use super::recorder::w3c;

/// A meter provider of its own, whose metrics can be read at any time.
#[derive(Clone, Debug)]
pub struct Meters {
    pub provider: SdkMeterProvider,
    exporter: InMemoryMetricExporter,
}

/// One time series: a metric with one set of attributes, and its value.
#[derive(Clone, Debug)]
pub struct Series {
    pub metric: String,
    pub unit: String,
    /// Sorted by key.
    pub attributes: Vec<KeyValue>,
    pub measured: Measured,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Measured {
    Histogram {
        count: u64,
        sum: f64,
        bounds: Vec<f64>,
        buckets: Vec<u64>,
    },
    /// The value of an up-down counter.
    Sum(i64),
}

impl Series {
    /// Returns an attribute.
    pub fn get(&self, key: &str) -> Option<&Value> {
        let mut all = self.attributes.iter();
        let found = all.find(|attribute| attribute.key.as_str() == key)?;
        Some(&found.value)
    }

    /// Returns an attribute as text.
    pub fn attribute(&self, key: &str) -> Option<String> {
        self.get(key).map(ToString::to_string)
    }

    /// Returns the number of measurements.
    pub fn count(&self) -> u64 {
        match self.measured {
            Measured::Histogram { count, .. } => count,
            Measured::Sum(_) => panic!("{} is not a histogram", self.metric),
        }
    }

    /// Returns the sum of all measurements.
    pub fn sum(&self) -> f64 {
        match self.measured {
            Measured::Histogram { sum, .. } => sum,
            Measured::Sum(_) => panic!("{} is not a histogram", self.metric),
        }
    }

    pub fn bounds(&self) -> &[f64] {
        match &self.measured {
            Measured::Histogram { bounds, .. } => bounds,
            Measured::Sum(_) => panic!("{} is not a histogram", self.metric),
        }
    }
}

impl Default for Meters {
    fn default() -> Self {
        Self::new()
    }
}

impl Meters {
    pub fn new() -> Self {
        let exporter = InMemoryMetricExporter::default();
        let provider = SdkMeterProvider::builder()
            .with_periodic_exporter(exporter.clone())
            .build();
        Self { provider, exporter }
    }

    /// Returns a layer with this meter provider, without a tracer, with W3C propagation.
    pub fn layer(&self) -> ApiSpanLayer {
        self.on(ApiSpanLayer::new().propagator(w3c()))
    }

    /// Returns `layer` with this meter provider.
    pub fn on(&self, layer: ApiSpanLayer) -> ApiSpanLayer {
        layer.meter_provider(&self.provider)
    }

    /// Returns all series measured since the start, each checked against the conventions.
    pub fn read(&self) -> Vec<Series> {
        self.exporter.reset();
        self.provider.force_flush().expect("metrics are exported");
        let exported = self.exporter.get_finished_metrics().expect("metrics");
        let scopes = exported.iter().flat_map(ResourceMetrics::scope_metrics);
        let mut all = Vec::new();
        for metrics in scopes {
            assert_scope(metrics.scope());
            for metric in metrics.metrics() {
                all.extend(series_of(metric));
            }
        }
        for series in &all {
            let faults = conventions::metrics::faults(series);
            assert!(faults.is_empty(), "{faults:#?} in {series:#?}");
        }
        all
    }

    /// Returns all series of a metric.
    pub fn of(&self, metric: &str) -> Vec<Series> {
        let mut all = self.read();
        all.retain(|series| series.metric == metric);
        all
    }

    /// Returns the series of a metric. Panics unless it is the only one.
    pub fn only(&self, metric: &str) -> Series {
        let mut all = self.of(metric);
        assert_eq!(all.len(), 1, "one series of {metric}: {all:#?}");
        all.remove(0)
    }

    /// Returns the names of all recorded metrics, sorted.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.read().into_iter().map(|one| one.metric).collect();
        names.sort();
        names.dedup();
        names
    }

    /// Returns `http.server.active_requests`, summed over all series. Panics if a series is negative.
    pub fn active(&self) -> i64 {
        let all = self.of("http.server.active_requests");
        let each = all.iter().map(|series| match series.measured {
            Measured::Sum(value) => value,
            Measured::Histogram { .. } => panic!("{} is a histogram", series.metric),
        });
        each.inspect(|value| assert!(*value >= 0, "{value} requests"))
            .sum()
    }
}

fn assert_scope(scope: &InstrumentationScope) {
    assert_eq!(scope.name(), "tower-api-span");
    assert_eq!(scope.version(), Some(env!("CARGO_PKG_VERSION")));
    assert_eq!(scope.schema_url(), Some(conventions::SCHEMA_URL));
}

fn series_of(metric: &Metric) -> Vec<Series> {
    match metric.data() {
        AggregatedMetrics::F64(MetricData::Histogram(data)) => histogram(metric, data, |sum| sum),
        AggregatedMetrics::U64(MetricData::Histogram(data)) => {
            #[expect(clippy::cast_precision_loss, reason = "tests have few bytes")]
            let exact = |sum| sum as f64;
            histogram(metric, data, exact)
        }
        AggregatedMetrics::I64(MetricData::Sum(data)) => sum(metric, data),
        other => panic!("{} is {other:?}", metric.name()),
    }
}

fn histogram<T: Copy>(metric: &Metric, data: &Histogram<T>, f64: fn(T) -> f64) -> Vec<Series> {
    assert_eq!(data.temporality(), Temporality::Cumulative);
    let measured = |point: &HistogramDataPoint<T>| Measured::Histogram {
        count: point.count(),
        sum: f64(point.sum()),
        bounds: point.bounds().collect(),
        buckets: point.bucket_counts().collect(),
    };
    data.data_points()
        .map(|point| series(metric, point.attributes(), measured(point)))
        .collect()
}

fn sum(metric: &Metric, data: &Sum<i64>) -> Vec<Series> {
    assert!(!data.is_monotonic(), "an up-down counter is not monotonic");
    data.data_points()
        .map(|point| series(metric, point.attributes(), Measured::Sum(point.value())))
        .collect()
}

fn series<'a>(
    metric: &Metric,
    attributes: impl Iterator<Item = &'a KeyValue>,
    measured: Measured,
) -> Series {
    let mut attributes: Vec<_> = attributes.cloned().collect();
    attributes.sort_by(|one, other| one.key.cmp(&other.key));
    Series {
        metric: metric.name().to_owned(),
        unit: metric.unit().to_owned(),
        attributes,
        measured,
    }
}
