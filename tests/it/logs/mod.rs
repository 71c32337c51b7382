//! Log events as a log exporter receives them.

mod bridge;
mod exceptions;
mod faults;
mod lifecycle;
mod tracing_bridges;
mod without_span;

use std::fmt::Debug;
use std::time::{Duration, SystemTime};

use http::Request;
use opentelemetry::InstrumentationScope;
use opentelemetry::logs::{AnyValue, Severity};
use opentelemetry::trace::SpanContext;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{
    InMemoryLogExporter, InMemoryLogExporterBuilder, LogProcessor, LoggerProviderBuilder,
    SdkLogRecord, SdkLoggerProvider,
};
use opentelemetry_sdk::trace::SpanData;
use tower::Service;
use tower_api_span::{ApiSpanLayer, ResponseBody};

use crate::support::body::ScriptedBody;
use crate::support::recorder::Recorder;
use crate::support::recorder::is_server;
use crate::support::{answering, ready, response};

/// A logger provider whose records can be read.
#[derive(Clone, Debug)]
struct Logs {
    provider: SdkLoggerProvider,
    exporter: InMemoryLogExporter,
}

impl Logs {
    fn new() -> Self {
        Self::with(|builder| builder)
    }

    /// Returns one whose provider has what `add` adds, ahead of the recording exporter.
    fn with(add: impl FnOnce(LoggerProviderBuilder) -> LoggerProviderBuilder) -> Self {
        let exporter = InMemoryLogExporterBuilder::new().build();
        let provider = add(SdkLoggerProvider::builder())
            .with_simple_exporter(exporter.clone())
            .build();
        Self { provider, exporter }
    }

    /// Returns a layer that records its spans in `recorder` and its log events here.
    fn layer(&self, recorder: &Recorder) -> ApiSpanLayer {
        recorder.layer().logger_provider(&self.provider)
    }

    /// Returns all events in order. Checks that each has the layer's scope, no body and no duplicate key.
    fn all(&self) -> Vec<Log> {
        let emitted = self.exporter.get_emitted_logs().expect("logs");
        let logs = emitted.iter().map(|log| {
            assert_eq!(log.instrumentation.name(), "tower-api-span");
            Log::from_record(&log.record)
        });
        logs.collect()
    }

    fn names(&self) -> Vec<&'static str> {
        self.all().into_iter().map(|log| log.name).collect()
    }
}

/// A log event.
#[derive(Clone, Debug)]
struct Log {
    name: &'static str,
    severity: (Severity, &'static str),
    time: SystemTime,
    /// Trace id, span id and flags, formatted by [`format_trace`].
    trace: Option<String>,
    attributes: Vec<(String, AnyValue)>,
}

impl Log {
    fn from_record(record: &SdkLogRecord) -> Self {
        assert_eq!(record.body(), None, "an event has no body");
        let time = record.timestamp().expect("a time");
        let observed = record.observed_timestamp().expect("an observed time");
        // The request's clock is monotonic, and the wall clock may be set at any time.
        let apart = observed
            .duration_since(time)
            .unwrap_or_else(|error| error.duration());
        assert!(apart < Duration::from_secs(60), "{time:?} and {observed:?}");
        let attributes: Vec<_> = record
            .attributes_iter()
            .map(|(key, value)| (key.to_string(), value.clone()))
            .collect();
        let mut keys: Vec<_> = attributes.iter().map(|(key, _)| key).collect();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), attributes.len(), "a duplicate key");
        Self {
            name: record.event_name().expect("a name"),
            severity: (
                record.severity_number().expect("a severity"),
                record.severity_text().expect("a severity text"),
            ),
            time,
            trace: record.trace_context().map(|context| {
                let flags = context.trace_flags.expect("flags").to_u8();
                format!("{}-{}-{flags:02x}", context.trace_id, context.span_id)
            }),
            attributes,
        }
    }

    /// Returns the value of a text attribute.
    fn text(&self, key: &str) -> Option<&str> {
        let mut found = self.attributes.iter().filter(|(found, _)| found == key);
        found.next().map(|(_, value)| match value {
            AnyValue::String(text) => text.as_str(),
            other => panic!("{key} is {other:?}"),
        })
    }
}

/// Formats a span context like [`Log::trace`].
fn format_trace(span: &SpanContext) -> String {
    let flags = span.trace_flags().to_u8();
    format!("{}-{}-{flags:02x}", span.trace_id(), span.span_id())
}

/// Returns the layer's ended span without the recorder's checks, which spans without lifecycle events fail.
fn server_span(recorder: &Recorder) -> SpanData {
    let mut servers = recorder.exported().into_iter().filter(is_server);
    let span = servers.next().expect("the layer's span");
    assert_eq!(servers.next().map(|span| span.name), None, "one span");
    span
}

/// Serves a request with this status and body, and returns the response body.
fn open_body(
    layer: &ApiSpanLayer,
    request: Request<()>,
    status: u16,
    body: ScriptedBody,
) -> ResponseBody<ScriptedBody> {
    let mut body = Some(body);
    let mut service = answering(layer, move |_| {
        response(status, body.take().expect("one request"))
    });
    ready(service.call(request))
        .expect("a response")
        .into_body()
}

/// A log processor that calls this function for each record.
struct FnProcessor<F>(F);

impl<F> Debug for FnProcessor<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FnProcessor")
    }
}

impl<F: Fn(&SdkLogRecord) + Send + Sync> LogProcessor for FnProcessor<F> {
    fn emit(&self, record: &mut SdkLogRecord, _: &InstrumentationScope) {
        (self.0)(record);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}
