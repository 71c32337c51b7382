//! Collects the exported spans.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{SpanId, SpanKind, Status, TraceId};
use opentelemetry::{Context, KeyValue, Value};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, Span, SpanData, SpanProcessor};
use tokio::sync::mpsc;

/// Returns a provider, and the spans it exports.
pub(crate) fn provider() -> (SdkTracerProvider, Spans) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let started = Arc::new(AtomicUsize::new(0));
    let provider = SdkTracerProvider::builder()
        .with_span_processor(Forward {
            started: Arc::clone(&started),
            ended: sender,
        })
        .build();
    let spans = Spans {
        started,
        receiver,
        ended: Vec::new(),
        exported: Vec::new(),
    };
    (provider, spans)
}

/// Counts the spans that start, and sends each span to [`Spans`] when it ends.
#[derive(Debug)]
struct Forward {
    started: Arc<AtomicUsize>,
    ended: mpsc::UnboundedSender<SpanData>,
}

impl SpanProcessor for Forward {
    fn on_start(&self, _: &mut Span, _: &Context) {
        self.started.fetch_add(1, Ordering::SeqCst);
    }

    fn on_end(&self, span: SpanData) {
        // The receiver is gone after the report is written.
        let _ = self.ended.send(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// All spans of the provider.
pub(crate) struct Spans {
    started: Arc<AtomicUsize>,
    receiver: mpsc::UnboundedReceiver<SpanData>,
    ended: Vec<EndedSpan>,
    exported: Vec<SpanData>,
}

impl Spans {
    /// Waits until a request's span in this trace has ended.
    pub(crate) async fn wait_for(&mut self, trace_id: TraceId) {
        while self.requests(trace_id).next().is_none()
            && let Some(span) = self.receiver.recv().await
        {
            self.add(span);
        }
    }

    /// Receives the spans that have already ended, without waiting.
    pub(crate) fn collect(&mut self) {
        while let Ok(span) = self.receiver.try_recv() {
            self.add(span);
        }
    }

    fn add(&mut self, span: SpanData) {
        self.ended.push(EndedSpan::read(&span));
        self.exported.push(span);
    }

    /// Returns the ended spans as the provider has exported them.
    pub(crate) fn exported(&self) -> &[SpanData] {
        &self.exported
    }

    /// Returns the ended request spans of a trace.
    pub(crate) fn requests(&self, trace_id: TraceId) -> impl Iterator<Item = &EndedSpan> {
        let is_in_trace = move |span: &&EndedSpan| span.trace_id == trace_id && span.is_request;
        self.ended.iter().filter(is_in_trace)
    }

    /// Returns the ended child spans.
    pub(crate) fn children(&self, parent: &EndedSpan) -> impl Iterator<Item = &EndedSpan> {
        let (trace_id, span_id) = (parent.trace_id, parent.span_id);
        let is_child = move |span: &&EndedSpan| {
            span.trace_id == trace_id && span.parent_id == span_id && !span.is_request
        };
        self.ended.iter().filter(is_child)
    }

    /// Returns the number of started spans.
    pub(crate) fn started(&self) -> usize {
        self.started.load(Ordering::SeqCst)
    }

    /// Returns the number of ended spans.
    pub(crate) fn ended(&self) -> usize {
        self.ended.len()
    }
}

/// The data of an ended span.
pub(crate) struct EndedSpan {
    pub(crate) trace_id: TraceId,
    span_id: SpanId,
    pub(crate) parent_id: SpanId,
    pub(crate) is_request: bool,
    pub(crate) name: String,
    /// The HTTP method and path, or the gRPC method, or else the span's name.
    pub(crate) target: String,
    pub(crate) started: SystemTime,
    pub(crate) ended: SystemTime,
    pub(crate) events: Vec<Event>,
    /// `DEPARTED`, `ABORTED(reason)`, or the fault of its terminal events.
    pub(crate) outcome: String,
    pub(crate) status: &'static str,
    /// The HTTP or gRPC status code on the span.
    pub(crate) code: Option<String>,
    /// Whether part of the response's body was sent.
    pub(crate) has_data: bool,
    /// Set for event streams only.
    pub(crate) time_to_first_chunk: Option<Duration>,
}

/// A span event.
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) at: SystemTime,
}

const DEPARTED: &str = "api.DEPARTED";
const ABORTED: &str = "api.ABORTED";

impl EndedSpan {
    pub(crate) fn read(span: &SpanData) -> Self {
        let attribute = |key| attribute(&span.attributes, key);
        Self {
            trace_id: span.span_context.trace_id(),
            span_id: span.span_context.span_id(),
            parent_id: span.parent_span_id,
            is_request: span.span_kind == SpanKind::Server,
            name: span.name.to_string(),
            target: attribute("http.request.method")
                .zip(attribute("url.path"))
                .map(|(method, path)| format!("{method} {path}"))
                .or_else(|| attribute("rpc.method_original"))
                .or_else(|| attribute("rpc.method"))
                .unwrap_or_else(|| span.name.to_string()),
            started: span.start_time,
            ended: span.end_time,
            events: span.events.iter().map(Event::read).collect(),
            outcome: outcome(span),
            status: match span.status {
                Status::Unset => "Unset",
                Status::Error { .. } => "Error",
                Status::Ok => "Ok",
            },
            code: attribute("http.response.status_code").or_else(|| attribute("rpc.status_code")),
            has_data: attribute("api.time_to_first_byte").is_some(),
            time_to_first_chunk: seconds(&span.attributes, "gen_ai.response.time_to_first_chunk"),
        }
    }

    pub(crate) fn duration(&self) -> Duration {
        since(self.started, self.ended)
    }
}

impl Event {
    fn read(event: &opentelemetry::trace::Event) -> Self {
        let reason = attribute(&event.attributes, "reason").map(|reason| format!("({reason})"));
        Self {
            name: format!("{}{}", event.name, reason.unwrap_or_default()),
            at: event.timestamp,
        }
    }

    /// Whether this is `DEPARTED` or `ABORTED`.
    fn is_terminal(&self) -> bool {
        self.name == DEPARTED || self.name.starts_with(ABORTED)
    }
}

/// Returns the time between two moments; zero if `moment` is before `start`.
pub(crate) fn since(start: SystemTime, moment: SystemTime) -> Duration {
    moment.duration_since(start).unwrap_or_default()
}

/// Returns the outcome in the terminal event, or the fault: it must be the only one and the last event.
fn outcome(span: &SpanData) -> String {
    let events: Vec<_> = span.events.iter().map(Event::read).collect();
    let terminals = events.iter().filter(|event| event.is_terminal()).count();
    match (terminals, events.last()) {
        (0, _) => "no terminal event".to_owned(),
        (1, Some(last)) if last.is_terminal() => last.name.replacen("api.", "", 1),
        (1, _) => "a terminal event that is not the last".to_owned(),
        (count, _) => format!("{count} terminal events"),
    }
}

fn attribute(attributes: &[KeyValue], key: &str) -> Option<String> {
    attributes
        .iter()
        .find(|attribute| attribute.key.as_str() == key)
        .map(|attribute| attribute.value.to_string())
}

fn seconds(attributes: &[KeyValue], key: &str) -> Option<Duration> {
    let mut attributes = attributes.iter();
    let attribute = attributes.find(|attribute| attribute.key.as_str() == key)?;
    if let Value::F64(seconds) = attribute.value {
        Duration::try_from_secs_f64(seconds).ok()
    } else {
        None
    }
}
