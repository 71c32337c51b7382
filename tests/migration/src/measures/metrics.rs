//! What is compared of the metrics.

use std::collections::BTreeSet;

use opentelemetry::KeyValue;
use opentelemetry_sdk::metrics::data::{
    AggregatedMetrics, HistogramDataPoint, Metric, MetricData, ResourceMetrics, ScopeMetrics,
    SumDataPoint,
};

use super::list;
use crate::recording::Recording;
use crate::routes::PAUSE;

const DURATION: &str = "http.server.request.duration";
const ACTIVE: &str = "http.server.active_requests";

impl Recording {
    fn all_metrics(&self) -> impl Iterator<Item = &Metric> {
        let scopes = self.metrics.iter().flat_map(ResourceMetrics::scope_metrics);
        scopes.flat_map(ScopeMetrics::metrics)
    }

    fn metric(&self, name: &str) -> Option<&AggregatedMetrics> {
        let mut metrics = self.all_metrics().filter(|metric| metric.name() == name);
        metrics.next().map(Metric::data)
    }

    /// Returns the one data point of the durations.
    fn duration(&self) -> Option<&HistogramDataPoint<f64>> {
        let AggregatedMetrics::F64(MetricData::Histogram(durations)) = self.metric(DURATION)?
        else {
            panic!("a histogram of seconds");
        };
        let mut points = durations.data_points();
        let point = points.next();
        assert!(points.next().is_none(), "one series");
        point
    }
}

fn keys<'k>(attributes: impl Iterator<Item = &'k KeyValue>) -> String {
    let keys: BTreeSet<_> = attributes.map(|attribute| attribute.key.as_str()).collect();
    list(keys)
}

/// Names.
pub fn metrics(recording: &Recording) -> String {
    let names: BTreeSet<_> = recording.all_metrics().map(Metric::name).collect();
    list(names)
}

/// Keys of the attributes of the duration.
pub fn duration_attributes(recording: &Recording) -> String {
    let duration = recording.duration();
    duration.map_or_else(
        || "no duration".to_owned(),
        |point| keys(point.attributes()),
    )
}

/// Keys of the attributes of the active requests.
pub fn active_attributes(recording: &Recording) -> String {
    let Some(AggregatedMetrics::I64(MetricData::Sum(active))) = recording.metric(ACTIVE) else {
        panic!("a counter");
    };
    keys(active.data_points().flat_map(SumDataPoint::attributes))
}

/// Active requests after the call has ended.
pub fn active(recording: &Recording) -> String {
    let Some(AggregatedMetrics::I64(MetricData::Sum(active))) = recording.metric(ACTIVE) else {
        panic!("a counter");
    };
    let left = active.data_points().map(SumDataPoint::value).sum::<i64>();
    left.to_string()
}

/// What the duration of a stream covers.
pub fn duration(recording: &Recording) -> String {
    let duration = recording.duration().expect("a duration");
    assert_eq!(duration.count(), 1);
    let is_whole = duration.sum() >= PAUSE.as_secs_f64();
    if is_whole {
        "to the last byte"
    } else {
        "to the head"
    }
    .to_owned()
}

/// Whether there is a duration, and its `error.type`.
pub fn duration_error(recording: &Recording) -> String {
    let Some(duration) = recording.duration() else {
        return "no duration".to_owned();
    };
    let mut attributes = duration.attributes();
    let error = attributes.find(|attribute| attribute.key.as_str() == "error.type");
    error.map_or_else(
        || "no `error.type`".to_owned(),
        |error| format!("`error.type={}`", error.value),
    )
}
