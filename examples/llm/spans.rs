//! Writes each ended span as one line: as JSON to a file, or as text to stdout.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{SpanId, SpanKind, Status};
use opentelemetry::{Array, Context, KeyValue, Value};
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use serde_json::{Map, json};

/// A processor that writes when a span ends, so that a client with the whole response can read the span.
#[derive(Debug)]
pub(crate) struct SpanWriter {
    /// `None` means stdout.
    file: Option<File>,
    /// The first write error.
    error: Mutex<Option<io::Error>>,
}

impl SpanWriter {
    /// # Errors
    ///
    /// If the file cannot be created.
    pub(crate) fn to_file(path: &Path) -> io::Result<Self> {
        Ok(Self {
            file: Some(File::create(path)?),
            error: Mutex::new(None),
        })
    }

    pub(crate) fn to_stdout() -> Self {
        Self {
            file: None,
            error: Mutex::new(None),
        }
    }

    fn write(&self, span: &SpanData) -> io::Result<()> {
        // One write per line, so that lines of several threads do not mix.
        if let Some(mut file) = self.file.as_ref() {
            file.write_all(format!("{}\n", as_json(span)).as_bytes())
        } else {
            let mut stdout = io::stdout().lock();
            stdout.write_all(format!("{}\n", as_text(span)).as_bytes())
        }
    }
}

impl SpanProcessor for SpanWriter {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if let Err(error) = self.write(&span) {
            let mut first = self.error.lock().unwrap_or_else(PoisonError::into_inner);
            first.get_or_insert(error);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        let first = self.error.lock().unwrap_or_else(PoisonError::into_inner);
        match &*first {
            Some(error) => Err(OTelSdkError::InternalFailure(error.to_string())),
            None => Ok(()),
        }
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        self.force_flush()
    }
}

fn as_json(span: &SpanData) -> serde_json::Value {
    let (status, description) = status(&span.status);
    let events: Vec<_> = span
        .events
        .iter()
        .map(|event| {
            json!({
                "name": event.name,
                "offset": since(span.start_time, event.timestamp).as_secs_f64(),
                "attributes": attributes(&event.attributes),
            })
        })
        .collect();
    let parent = span.parent_span_id;
    json!({
        "name": span.name,
        "kind": kind(&span.span_kind),
        "trace_id": span.span_context.trace_id().to_string(),
        "span_id": span.span_context.span_id().to_string(),
        "parent_span_id": (parent != SpanId::INVALID).then(|| parent.to_string()),
        "status": status,
        "description": description,
        "attributes": attributes(&span.attributes),
        "events": events,
        "duration": since(span.start_time, span.end_time).as_secs_f64(),
    })
}

fn as_text(span: &SpanData) -> String {
    let millis = |moment| since(span.start_time, moment).as_secs_f64() * 1_000.0;
    let events: Vec<_> = span
        .events
        .iter()
        .map(|event| {
            let reason = event
                .attributes
                .iter()
                .find(|pair| pair.key.as_str() == "reason");
            let reason = reason.map(|reason| format!("({})", reason.value));
            let (at, reason) = (millis(event.timestamp), reason.unwrap_or_default());
            format!("{at:.1} {}{reason}", event.name)
        })
        .collect();
    let (took, name, (status, _)) = (millis(span.end_time), &span.name, status(&span.status));
    format!(
        "{took:9.1} ms  {name:11}  {status:5}  {}",
        events.join(", ")
    )
}

fn kind(kind: &SpanKind) -> &'static str {
    match kind {
        SpanKind::Client => "CLIENT",
        SpanKind::Server => "SERVER",
        SpanKind::Producer => "PRODUCER",
        SpanKind::Consumer => "CONSUMER",
        SpanKind::Internal => "INTERNAL",
    }
}

fn status(status: &Status) -> (&'static str, &str) {
    match status {
        Status::Unset => ("Unset", ""),
        Status::Ok => ("Ok", ""),
        Status::Error { description } => ("Error", description),
    }
}

fn attributes(attributes: &[KeyValue]) -> Map<String, serde_json::Value> {
    attributes
        .iter()
        .map(|attribute| (attribute.key.to_string(), typed(&attribute.value)))
        .collect()
}

fn typed(value: &Value) -> serde_json::Value {
    match value {
        Value::Bool(value) => json!(value),
        Value::I64(value) => json!(value),
        Value::F64(value) => json!(value),
        Value::Array(Array::Bool(values)) => json!(values),
        Value::Array(Array::I64(values)) => json!(values),
        Value::Array(Array::F64(values)) => json!(values),
        Value::Array(Array::String(values)) => {
            values.iter().map(|value| json!(value.as_str())).collect()
        }
        Value::String(value) => json!(value.as_str()),
        // Both enums are `#[non_exhaustive]`.
        Value::Array(_) | _ => json!(value.to_string()),
    }
}

/// Returns the time between two moments; zero if `moment` is before `start`.
fn since(start: SystemTime, moment: SystemTime) -> Duration {
    moment.duration_since(start).unwrap_or_default()
}
