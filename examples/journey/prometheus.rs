//! Writes metrics in Prometheus text format, with the names that the OpenTelemetry specification
//! "Prometheus and `OpenMetrics` compatibility" defines. Only the layer's kinds of metrics are supported.

use std::fmt::{Display, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, Metric, MetricData, ResourceMetrics};
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;

/// An exporter that keeps the text of the last export.
#[derive(Clone, Debug, Default)]
pub(crate) struct Text(Arc<Mutex<String>>);

impl Text {
    pub(crate) fn last(&self) -> String {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl PushMetricExporter for Text {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = text(metrics);
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

fn text(metrics: &ResourceMetrics) -> String {
    let mut text = String::new();
    for scope in metrics.scope_metrics() {
        for metric in scope.metrics() {
            match metric.data() {
                AggregatedMetrics::F64(data) => write(&mut text, scope.scope(), metric, data),
                AggregatedMetrics::U64(data) => write(&mut text, scope.scope(), metric, data),
                AggregatedMetrics::I64(data) => write(&mut text, scope.scope(), metric, data),
            }
        }
    }
    text
}

fn write<T: Copy + Display>(
    text: &mut String,
    scope: &InstrumentationScope,
    metric: &Metric,
    data: &MetricData<T>,
) {
    let (kind, is_counter) = match data {
        MetricData::Sum(sum) if sum.is_monotonic() => ("counter", true),
        MetricData::Sum(_) | MetricData::Gauge(_) => ("gauge", false),
        MetricData::Histogram(_) => ("histogram", false),
        // The layer does not use it, and the text format cannot express it.
        MetricData::ExponentialHistogram(_) => return,
    };
    let name = name(metric.name(), metric.unit(), is_counter);
    let help = metric.description().replace('\\', r"\\");
    line(
        text,
        format_args!("# HELP {name} {}", help.replace('\n', r"\n")),
    );
    line(text, format_args!("# TYPE {name} {kind}"));
    match data {
        MetricData::Sum(sum) => {
            for point in sum.data_points() {
                let labels = labels(scope, point.attributes());
                line(text, format_args!("{name}{{{labels}}} {}", point.value()));
            }
        }
        MetricData::Gauge(gauge) => {
            for point in gauge.data_points() {
                let labels = labels(scope, point.attributes());
                line(text, format_args!("{name}{{{labels}}} {}", point.value()));
            }
        }
        MetricData::Histogram(histogram) => {
            for point in histogram.data_points() {
                let labels = labels(scope, point.attributes());
                let bounds = point.bounds().map(|bound| bound.to_string());
                let mut below = 0;
                for (le, count) in bounds.chain(["+Inf".to_owned()]).zip(point.bucket_counts()) {
                    below += count;
                    line(
                        text,
                        format_args!("{name}_bucket{{{labels},le=\"{le}\"}} {below}"),
                    );
                }
                line(text, format_args!("{name}_sum{{{labels}}} {}", point.sum()));
                line(
                    text,
                    format_args!("{name}_count{{{labels}}} {}", point.count()),
                );
            }
        }
        MetricData::ExponentialHistogram(_) => {}
    }
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{line}");
}

/// Returns a metric's name with its unit. Annotations such as `{request}` are omitted.
fn name(name: &str, unit: &str, is_counter: bool) -> String {
    let mut name = sanitized(name);
    let unit = match unit {
        "s" => "seconds",
        "By" => "bytes",
        _ => "",
    };
    let total = if is_counter { "total" } else { "" };
    for suffix in [unit, total] {
        if !suffix.is_empty() && !name.ends_with(&format!("_{suffix}")) {
            name = format!("{name}_{suffix}");
        }
    }
    name
}

/// Returns the labels of a point, the scope's labels first.
fn labels<'a>(
    scope: &InstrumentationScope,
    attributes: impl Iterator<Item = &'a KeyValue>,
) -> String {
    let scope_labels = [
        ("otel_scope_name", Some(scope.name())),
        ("otel_scope_version", scope.version()),
    ];
    let scope_labels = scope_labels
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())));
    let mut point_labels: Vec<_> = attributes
        .map(|attribute| {
            let name = sanitized(attribute.key.as_str());
            (name, attribute.value.to_string())
        })
        .collect();
    point_labels.sort();
    let labels = scope_labels.chain(point_labels).map(|(name, value)| {
        let value = value.replace('\\', r"\\").replace('"', "\\\"");
        format!("{name}=\"{}\"", value.replace('\n', r"\n"))
    });
    labels.collect::<Vec<_>>().join(",")
}

/// Replaces the characters that Prometheus does not allow in names.
fn sanitized(name: &str) -> String {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.replace(|c| !is_allowed(c), "_")
}

#[cfg(test)]
mod tests {
    use opentelemetry::metrics::MeterProvider as _;
    use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};

    use super::*;

    #[test]
    fn metrics_are_written_in_prometheus_text_format() {
        let text = Text::default();
        let provider = SdkMeterProvider::builder()
            .with_reader(PeriodicReader::builder(text.clone()).build())
            .build();
        let scope = InstrumentationScope::builder("scope")
            .with_version("1.2")
            .build();
        let meter = provider.meter_with_scope(scope);
        let duration = meter
            .f64_histogram("http.server.duration")
            .with_unit("s")
            .with_description("How long.")
            .with_boundaries(vec![0.005, 10.0])
            .build();
        for value in [0.001, 0.25, 0.25, 60.0] {
            let quoted = KeyValue::new("http.route", "/\"a\"\\b");
            duration.record(value, &[quoted]);
        }
        let size = meter.u64_counter("size").with_unit("By").build();
        size.add(7, &[]);
        let active = meter.i64_up_down_counter("active").with_unit("{request}");
        active.build().add(-2, &[]);
        provider.shutdown().expect("once");

        let scope = r#"otel_scope_name="scope",otel_scope_version="1.2""#;
        let labels = format!(r#"{scope},http_route="/\"a\"\\b""#);
        let expected = [
            "# HELP active ",
            "# TYPE active gauge",
            &format!("active{{{scope}}} -2"),
            "# HELP http_server_duration_seconds How long.",
            "# HELP size_bytes_total ",
            "# TYPE http_server_duration_seconds histogram",
            "# TYPE size_bytes_total counter",
            &format!("http_server_duration_seconds_bucket{{{labels},le=\"+Inf\"}} 4"),
            &format!("http_server_duration_seconds_bucket{{{labels},le=\"0.005\"}} 1"),
            &format!("http_server_duration_seconds_bucket{{{labels},le=\"10\"}} 3"),
            &format!("http_server_duration_seconds_count{{{labels}}} 4"),
            &format!("http_server_duration_seconds_sum{{{labels}}} 60.501"),
            &format!("size_bytes_total{{{scope}}} 7"),
        ];
        let (text, mut expected) = (text.last(), expected);
        let mut lines: Vec<_> = text.lines().collect();
        // The order of metrics is not specified.
        lines.sort_unstable();
        expected.sort_unstable();
        assert_eq!(lines, expected);
    }
}
