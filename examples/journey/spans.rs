//! The spans as a backend would get them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use opentelemetry::trace::Status;
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, Span, SpanData, SpanProcessor};
use tokio::sync::mpsc;

/// A provider, and the spans that come out of it.
pub(crate) fn provider() -> (SdkTracerProvider, Spans) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let started = Arc::new(AtomicUsize::new(0));
    let provider = SdkTracerProvider::builder()
        .with_span_processor(HandOver {
            started: Arc::clone(&started),
            ended: sender,
        })
        .build();
    let spans = Spans {
        started,
        receiver,
        ended: Vec::new(),
    };
    (provider, spans)
}

/// Counts the spans that start and hands over those that end, at once.
#[derive(Debug)]
struct HandOver {
    started: Arc<AtomicUsize>,
    ended: mpsc::UnboundedSender<SpanData>,
}

impl SpanProcessor for HandOver {
    fn on_start(&self, _: &mut Span, _: &Context) {
        self.started.fetch_add(1, Ordering::SeqCst);
    }

    fn on_end(&self, span: SpanData) {
        // Nobody receives once the report is written.
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
}

impl Spans {
    /// Waits until a span of this path has ended.
    pub(crate) async fn wait_for(&mut self, path: &str) {
        while self.of(path).next().is_none()
            && let Some(span) = self.receiver.recv().await
        {
            self.ended.push(EndedSpan::read(&span));
        }
    }

    /// Takes in what has ended since, without waiting.
    pub(crate) fn collect(&mut self) {
        while let Ok(span) = self.receiver.try_recv() {
            self.ended.push(EndedSpan::read(&span));
        }
    }

    /// The spans of this path that have ended.
    pub(crate) fn of(&self, path: &str) -> impl Iterator<Item = &EndedSpan> {
        self.ended.iter().filter(move |span| span.path == path)
    }

    /// How many spans have started.
    pub(crate) fn started(&self) -> usize {
        self.started.load(Ordering::SeqCst)
    }

    /// How many spans have ended.
    pub(crate) fn ended(&self) -> usize {
        self.ended.len()
    }
}

/// What a span says of its request.
pub(crate) struct EndedSpan {
    path: String,
    /// `DEPARTED`, `ABORTED(reason)`, or what is wrong with its terminal events.
    pub(crate) outcome: String,
    pub(crate) status: &'static str,
    pub(crate) http_status: Option<u16>,
    pub(crate) duration: Duration,
}

impl EndedSpan {
    fn read(span: &SpanData) -> Self {
        Self {
            path: attribute(&span.attributes, "url.path").unwrap_or_default(),
            outcome: outcome(span),
            status: match span.status {
                Status::Unset => "Unset",
                Status::Error { .. } => "Error",
                Status::Ok => "Ok",
            },
            http_status: attribute(&span.attributes, "http.response.status_code")
                .and_then(|status| status.parse().ok()),
            duration: span
                .end_time
                .duration_since(span.start_time)
                .unwrap_or_default(),
        }
    }
}

/// What the terminal event says: there is one, and it is the last event.
fn outcome(span: &SpanData) -> String {
    let is_terminal = |name: &str| matches!(name, "api.DEPARTED" | "api.ABORTED");
    let terminals = span.events.iter().filter(|event| is_terminal(&event.name));
    match (terminals.count(), span.events.last()) {
        (1, Some(last)) if last.name == "api.DEPARTED" => "DEPARTED".to_owned(),
        (1, Some(last)) if last.name == "api.ABORTED" => {
            let reason = attribute(&last.attributes, "reason").unwrap_or_default();
            format!("ABORTED({reason})")
        }
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
