//! Exports spans, metrics and log events of the served application to stdout or to a collector.

use std::env;
use std::fmt::{Debug, Write as _};
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry::logs::AnyValue;
use opentelemetry_otlp::{
    LogExporter as OtlpLogs, MetricExporter as OtlpMetrics, SpanExporter as OtlpSpans,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogBatch, LogExporter, SdkLogRecord, SdkLoggerProvider};
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider, Temporality};
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
use tokio::runtime::Runtime;

use crate::drawing::tone;
use crate::print_error;
use crate::prometheus;
use crate::spans::{EndedSpan, since};
use crate::style::Style;
use crate::timeline::millis;

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// The providers and their exporters' state.
pub(crate) struct Telemetry {
    pub(crate) provider: SdkTracerProvider,
    pub(crate) meters: SdkMeterProvider,
    pub(crate) loggers: SdkLoggerProvider,
    has_failed: Arc<AtomicBool>,
    /// The metrics that are printed at the end.
    metrics: Option<prometheus::Text>,
    /// The exporters' runtime. They still export after the server's runtime is dropped.
    _runtime: Option<Runtime>,
}

impl Telemetry {
    /// Exports to the collector in `OTEL_EXPORTER_OTLP_ENDPOINT`, or else to stdout.
    ///
    /// # Errors
    ///
    /// One line, if the collector's address is invalid.
    pub(crate) fn from_env() -> Result<Self, String> {
        match env::var(ENDPOINT).ok().filter(|value| !value.is_empty()) {
            Some(endpoint) => Self::to_collector(&endpoint),
            None => Ok(Self::to_stdout()),
        }
    }

    fn to_stdout() -> Self {
        let printer = || LinePrinter(Style::for_stdout());
        let metrics = prometheus::Text::default();
        let reader = PeriodicReader::builder(metrics.clone()).build();
        Self {
            provider: SdkTracerProvider::builder()
                .with_simple_exporter(printer())
                .build(),
            meters: SdkMeterProvider::builder().with_reader(reader).build(),
            loggers: SdkLoggerProvider::builder()
                .with_simple_exporter(printer())
                .build(),
            has_failed: Arc::default(),
            metrics: Some(metrics),
            _runtime: None,
        }
    }

    fn to_collector(endpoint: &str) -> Result<Self, String> {
        let runtime = Runtime::new().map_err(|error| error.to_string())?;
        let otlp = || -> Result<_, opentelemetry_otlp::ExporterBuildError> {
            let _entered = runtime.enter();
            let spans = OtlpSpans::builder().with_tonic().build()?;
            let metrics = OtlpMetrics::builder().with_tonic().build()?;
            let logs = OtlpLogs::builder().with_tonic().build()?;
            Ok((spans, metrics, logs))
        };
        let (spans, metrics, logs) = otlp().map_err(|error| {
            format!("{ENDPOINT}={endpoint:?}: {error}; give one such as http://127.0.0.1:4317")
        })?;
        let has_failed = Arc::default();
        let resource = Resource::builder().with_service_name("journey").build();
        let metrics = Reporting::new(metrics, "metrics", endpoint, &has_failed);
        Ok(Self {
            provider: SdkTracerProvider::builder()
                .with_batch_exporter(Reporting::new(spans, "spans", endpoint, &has_failed))
                .with_resource(resource.clone())
                .build(),
            meters: SdkMeterProvider::builder()
                .with_reader(PeriodicReader::builder(metrics).build())
                .with_resource(resource.clone())
                .build(),
            loggers: SdkLoggerProvider::builder()
                .with_batch_exporter(Reporting::new(logs, "log events", endpoint, &has_failed))
                .with_resource(resource)
                .build(),
            has_failed,
            metrics: None,
            _runtime: Some(runtime),
        })
    }

    /// Exports the remaining telemetry. Returns whether everything was exported; failures are printed.
    pub(crate) fn shutdown(self) -> bool {
        let shut_down = [
            ("spans", self.provider.shutdown()),
            ("metrics", self.meters.shutdown()),
            ("log events", self.loggers.shutdown()),
        ];
        let has_failed = self.has_failed.load(Ordering::SeqCst);
        for (what, result) in &shut_down {
            if let Err(error) = result
                && !has_failed
            {
                print_error(&format!("the last {what} may be lost: {error}"));
            }
        }
        if let Some(metrics) = &self.metrics {
            // A closed stdout is ignored.
            let _ = io::stdout().lock().write_all(metrics.last().as_bytes());
        }
        shut_down.iter().all(|(_, result)| result.is_ok()) && !has_failed
    }
}

/// Prints one line per span or log event.
#[derive(Debug)]
struct LinePrinter(Style);

impl SpanExporter for LinePrinter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let mut stdout = io::stdout().lock();
        for span in batch {
            // A closed stdout is ignored: requests go on.
            let _ = writeln!(stdout, "{}", self.line(&EndedSpan::read(&span)));
        }
        Ok(())
    }
}

impl LinePrinter {
    fn line(&self, span: &EndedSpan) -> String {
        let took = millis(span.duration());
        if !span.is_request {
            return format!("{took:>9} ms  {}, child of {}", span.name, span.parent_id);
        }
        let result = format!("{} {}", span.outcome, span.status);
        let result = self.0.paint(tone(span), &result);
        let code = span.code.as_deref().unwrap_or("no code");
        let events = events(span).join(", ");
        format!("{took:>9} ms  {}  {result}  {code}  {events}", span.target)
    }
}

/// Returns the events with milliseconds since the span's start, and the time to the first token of a stream.
fn events(span: &EndedSpan) -> Vec<String> {
    let events = span.events.iter();
    let events = events.map(|event| {
        let at = millis(since(span.started, event.at));
        format!("{at} {}", event.name)
    });
    let first = span.time_to_first_chunk;
    let first = first.map(|time| format!("first token after {}", millis(time)));
    events.chain(first).collect()
}

impl LogExporter for LinePrinter {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        let mut stdout = io::stdout().lock();
        for (record, _) in batch.iter() {
            // A closed stdout is ignored: requests go on.
            let _ = writeln!(stdout, "{}", event_line(record));
        }
        Ok(())
    }
}

fn event_line(record: &SdkLogRecord) -> String {
    let severity = record.severity_text().unwrap_or_default();
    let name = record.event_name().unwrap_or_default();
    let mut line = format!("{severity:>12}  {name}");
    for (key, value) in record.attributes_iter() {
        // Writing to a string cannot fail.
        let _ = if let AnyValue::String(text) = value {
            write!(line, "  {key}={text}")
        } else {
            write!(line, "  {key}={value:?}")
        };
    }
    line
}

/// An exporter whose first failure is printed. The SDK reports failures only to `tracing`.
#[derive(Debug)]
struct Reporting<E> {
    exporter: E,
    /// The kind of telemetry.
    signal: &'static str,
    endpoint: String,
    has_failed: Arc<AtomicBool>,
}

impl<E> Reporting<E> {
    fn new(
        exporter: E,
        signal: &'static str,
        endpoint: &str,
        has_failed: &Arc<AtomicBool>,
    ) -> Self {
        Self {
            exporter,
            signal,
            endpoint: endpoint.to_owned(),
            has_failed: Arc::clone(has_failed),
        }
    }

    fn report(&self, exported: OTelSdkResult) -> OTelSdkResult {
        if let Err(error) = &exported
            && !self.has_failed.swap(true, Ordering::SeqCst)
        {
            print_error(&format!(
                "{} are lost, {} does not accept them: {error}; start a collector there, or unset \
                 {ENDPOINT} to print them",
                self.signal, self.endpoint,
            ));
        }
        exported
    }
}

impl<E: SpanExporter> SpanExporter for Reporting<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.report(self.exporter.export(batch).await)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl<E: LogExporter> LogExporter for Reporting<E> {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        self.report(self.exporter.export(batch).await)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl<E: PushMetricExporter> PushMetricExporter for Reporting<E> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        self.report(self.exporter.export(metrics).await)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.exporter.temporality()
    }
}
