//! Log events, as a log exporter gets them.

mod bridge;
mod exceptions;
mod faults;
mod lifecycle;
mod tracing;
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

/// A logger provider of its own, whose records can be read.
#[derive(Clone, Debug)]
struct Logs {
    provider: SdkLoggerProvider,
    exporter: InMemoryLogExporter,
}

impl Logs {
    fn new() -> Self {
        Self::with(|builder| builder)
    }

    /// One whose provider has, before what records, what `more` adds.
    fn with(more: impl FnOnce(LoggerProviderBuilder) -> LoggerProviderBuilder) -> Self {
        let exporter = InMemoryLogExporterBuilder::new().build();
        let provider = more(SdkLoggerProvider::builder())
            .with_simple_exporter(exporter.clone())
            .build();
        Self { provider, exporter }
    }

    /// A layer that records here and there.
    fn layer(&self, at: &Recorder) -> ApiSpanLayer {
        at.layer().logger_provider(&self.provider)
    }

    /// All that were emitted, in their order. Whatever they say, they are the layer's, and have no
    /// body and no key twice.
    fn all(&self) -> Vec<Log> {
        let emitted = self.exporter.get_emitted_logs().expect("logs");
        let logs = emitted.iter().map(|log| {
            assert_eq!(log.instrumentation.name(), "tower-api-span");
            Log::of(&log.record)
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
    at: SystemTime,
    /// Trace id, span id and flags as text.
    trace: Option<String>,
    attributes: Vec<(String, AnyValue)>,
}

impl Log {
    fn of(record: &SdkLogRecord) -> Self {
        assert_eq!(record.body(), None, "an event says all in its attributes");
        let at = record.timestamp().expect("a time");
        let observed = record.observed_timestamp().expect("when it was seen");
        // The request's own clock is not the wall's, which may be set at any time.
        let apart = observed
            .duration_since(at)
            .unwrap_or_else(|error| error.duration());
        assert!(apart < Duration::from_secs(60), "{at:?} and {observed:?}");
        let attributes: Vec<_> = record
            .attributes_iter()
            .map(|(key, value)| (key.to_string(), value.clone()))
            .collect();
        let mut keys: Vec<_> = attributes.iter().map(|(key, _)| key).collect();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), attributes.len(), "a key is there twice");
        Self {
            name: record.event_name().expect("a name"),
            severity: (
                record.severity_number().expect("a severity"),
                record.severity_text().expect("a severity's name"),
            ),
            at,
            trace: record.trace_context().map(|context| {
                let flags = context.trace_flags.expect("flags").to_u8();
                format!("{}-{}-{flags:02x}", context.trace_id, context.span_id)
            }),
            attributes,
        }
    }

    /// An attribute that is text.
    fn text(&self, key: &str) -> Option<&str> {
        let mut found = self.attributes.iter().filter(|(found, _)| found == key);
        found.next().map(|(_, value)| match value {
            AnyValue::String(text) => text.as_str(),
            other => panic!("{key} is {other:?}"),
        })
    }
}

/// What a log's [`trace`](Log::trace) is in a span.
fn trace_of(span: &SpanContext) -> String {
    let flags = span.trace_flags().to_u8();
    format!("{}-{}-{flags:02x}", span.trace_id(), span.span_id())
}

/// The layer's span that has ended, as it is: with its lifecycle in logs it is not what the others
/// are held to be.
fn server(at: &Recorder) -> SpanData {
    let mut servers = at.exported().into_iter().filter(is_server);
    let server = servers.next().expect("the layer's span");
    assert_eq!(servers.next().map(|span| span.name), None, "one span");
    server
}

/// The body of an answer of this status.
fn body_of(
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

/// A processor that is this function, asked of nothing else.
struct Calls<F>(F);

impl<F> Debug for Calls<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Calls")
    }
}

impl<F: Fn(&SdkLogRecord) + Send + Sync> LogProcessor for Calls<F> {
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
