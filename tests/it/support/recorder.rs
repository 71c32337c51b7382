//! Records exported spans, and checks every span of the layer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{
    Span as _, SpanContext, SpanId, SpanKind, Status, Tracer as _, TracerProvider as _,
};
use opentelemetry::{Array, Context, Value};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};
use opentelemetry_sdk::trace::{
    InMemorySpanExporter, InMemorySpanExporterBuilder, SdkTracerProvider, Span, SpanData,
    SpanProcessor, TracerProviderBuilder,
};
use tokio::sync::Notify;
use tower_api_span::ApiSpanLayer;

use super::conventions;

/// The name of the layer's instrumentation scope.
const SCOPE: &str = "tower-api-span";

/// A tracer provider of its own, whose spans can be read once they have ended.
#[derive(Clone, Debug)]
pub struct Recorder {
    pub provider: SdkTracerProvider,
    exporter: InMemorySpanExporter,
    counts: Counts,
    ended: Ended,
}

/// Notifies waiting tests when a span has been exported.
#[derive(Clone, Debug, Default)]
struct Ended(Arc<Notify>);

impl SpanProcessor for Ended {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, _: SpanData) {
        self.0.notify_waiters();
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// Counts starts and ends. An exporter only receives ended spans.
#[derive(Clone, Debug, Default)]
struct Counts {
    starts: Arc<AtomicUsize>,
    ends: Arc<AtomicUsize>,
}

impl SpanProcessor for Counts {
    fn on_start(&self, _: &mut Span, _: &Context) {
        self.starts.fetch_add(1, Ordering::SeqCst);
    }

    fn on_end(&self, _: SpanData) {
        self.ends.fetch_add(1, Ordering::SeqCst);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

impl Default for Recorder {
    fn default() -> Self {
        Self::new()
    }
}

impl Recorder {
    pub fn new() -> Self {
        Self::with(|builder| builder)
    }

    /// Returns a recorder whose provider has the sampler or processors that `more` adds. They come after
    /// the recording ones.
    pub fn with(more: impl FnOnce(TracerProviderBuilder) -> TracerProviderBuilder) -> Self {
        let exporter = InMemorySpanExporterBuilder::new().build();
        let counts = Counts::default();
        let ended = Ended::default();
        let builder = SdkTracerProvider::builder()
            .with_span_processor(counts.clone())
            .with_simple_exporter(exporter.clone())
            // After the exporter, so that a notified test finds the span there.
            .with_span_processor(ended.clone());
        Self {
            provider: more(builder).build(),
            exporter,
            counts,
            ended,
        }
    }

    /// Starts a span under the current context, ends it, and returns its span context.
    pub fn child(&self, name: &'static str) -> SpanContext {
        let mut child = self.provider.tracer("test").start(name);
        child.end();
        child.span_context().clone()
    }

    /// Returns a layer whose spans are recorded here, with W3C propagation.
    pub fn layer(&self) -> ApiSpanLayer {
        ApiSpanLayer::new()
            .tracer_provider(&self.provider)
            .propagator(w3c())
    }

    /// Returns how many spans have started, the layer's and others.
    pub fn starts(&self) -> usize {
        self.counts.starts.load(Ordering::SeqCst)
    }

    /// Returns how many spans have ended.
    pub fn ends(&self) -> usize {
        self.counts.ends.load(Ordering::SeqCst)
    }

    /// Whether this span has ended.
    pub fn has_ended(&self, id: SpanId) -> bool {
        let mut ended = self.exported().into_iter();
        ended.any(|span| span.span_context.span_id() == id)
    }

    /// Returns all spans that have ended, unchecked.
    pub fn exported(&self) -> Vec<SpanData> {
        self.exporter.get_finished_spans().expect("spans")
    }

    /// Waits until this many spans have ended and can be read. Returns false after 5 seconds.
    pub async fn wait_for(&self, ends: usize) -> bool {
        let all_exported = async {
            loop {
                let notified = self.ended.0.notified();
                if self.exporter.get_finished_spans().expect("spans").len() >= ends {
                    return;
                }
                notified.await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), all_exported)
            .await
            .is_ok()
    }

    /// Returns all spans that have ended. Checks those with the kind or the scope of the layer: either
    /// may be wrong.
    pub fn spans(&self) -> Vec<SpanData> {
        let spans = self.exported();
        let is_of_layer =
            |span: &&SpanData| is_server(span) || span.instrumentation_scope.name() == SCOPE;
        for span in spans.iter().filter(is_of_layer) {
            Seen(span.clone()).look_over();
        }
        spans
    }

    /// Returns the layer's span. Panics unless exactly one has ended and all started spans have ended.
    pub fn only(&self) -> Seen {
        let mut servers: Vec<_> = self.spans().into_iter().filter(is_server).collect();
        assert_eq!(servers.len(), 1, "one span of the layer has ended");
        assert_eq!(self.starts(), self.ends(), "all spans have ended");
        Seen(servers.remove(0))
    }

    /// Waits until all started spans have ended. A server may drop a response after the client has read
    /// all of it.
    pub async fn all_ended(&self) {
        let ended = async {
            while self.ends() < self.starts() {
                tokio::task::yield_now().await;
            }
        };
        let limit = Duration::from_secs(60);
        let ended = tokio::time::timeout(limit, ended).await;
        ended.expect("all spans end");
    }

    /// Drops all recorded spans.
    pub fn forget(&self) {
        self.exporter.reset();
    }

    /// Returns the span with this name, of any kind.
    pub fn named(&self, name: &str) -> SpanData {
        let spans = self.spans();
        let named = spans.into_iter().find(|span| span.name == name);
        named.unwrap_or_else(|| panic!("no span {name} has ended"))
    }
}

pub fn w3c() -> opentelemetry::propagation::TextMapCompositePropagator {
    opentelemetry::propagation::TextMapCompositePropagator::new(vec![
        Box::new(TraceContextPropagator::new()),
        Box::new(BaggagePropagator::new()),
    ])
}

pub fn is_server(span: &SpanData) -> bool {
    span.span_kind == SpanKind::Server
}

/// A span of the layer.
#[derive(Debug)]
pub struct Seen(pub SpanData);

impl Seen {
    /// Returns `DEPARTED`, `ABORTED(reason)`, or `none` without a terminal event.
    pub fn outcome(&self) -> String {
        let terminal = self.0.events.iter().find(|event| is_terminal(&event.name));
        match terminal {
            None => "none".to_owned(),
            Some(event) if event.name == "api.DEPARTED" => "DEPARTED".to_owned(),
            Some(_) => format!(
                "ABORTED({})",
                self.event_attribute("reason").expect("a reason")
            ),
        }
    }

    /// Returns the message in the terminal event.
    pub fn error(&self) -> Option<String> {
        self.event_attribute("error")
    }

    fn event_attribute(&self, key: &str) -> Option<String> {
        let terminal = self
            .0
            .events
            .iter()
            .find(|event| is_terminal(&event.name))?;
        let attribute = terminal.attributes.iter().find(|kv| kv.key.as_str() == key);
        attribute.map(|kv| kv.value.to_string())
    }

    /// Returns an attribute. Panics if its key appears twice.
    pub fn value(&self, key: &str) -> Option<Value> {
        value(&self.0, key)
    }

    /// Returns an attribute as text. Panics if its key appears twice.
    pub fn attribute(&self, key: &str) -> Option<String> {
        self.value(key).map(|value| value.to_string())
    }

    pub fn status(&self) -> &Status {
        &self.0.status
    }

    pub fn is_error(&self) -> bool {
        matches!(self.0.status, Status::Error { .. })
    }

    /// Returns the time from start to end.
    pub fn duration(&self) -> Duration {
        self.0
            .end_time
            .duration_since(self.0.start_time)
            .expect("it ended after it started")
    }

    /// Returns the names of the events, in order.
    pub fn events(&self) -> Vec<String> {
        self.0
            .events
            .iter()
            .map(|event| event.name.to_string())
            .collect()
    }

    /// Asserts the invariants of every span of the layer.
    pub fn look_over(&self) {
        let Self(span) = self;
        assert_eq!(span.instrumentation_scope.name(), SCOPE);
        let faults = conventions::faults(span);
        assert!(faults.is_empty(), "{faults:#?} in {span:#?}");
        let mut keys: Vec<_> = span.attributes.iter().map(|kv| kv.key.as_str()).collect();
        keys.sort_unstable();
        let all = keys.len();
        keys.dedup();
        assert_eq!(
            keys.len(),
            all,
            "a key appears twice: {:?}",
            span.attributes
        );
        for kv in &span.attributes {
            let empty = match &kv.value {
                Value::String(text) => text.as_str().is_empty(),
                Value::Array(Array::String(texts)) => {
                    texts.iter().any(|text| text.as_str().is_empty())
                }
                _ => false,
            };
            assert!(!empty, "{} is empty", kv.key);
        }
        assert_eq!(
            span.events.first().map(|event| event.name.as_ref()),
            Some("api.ARRIVED")
        );
        let terminals = span
            .events
            .iter()
            .filter(|event| is_terminal(&event.name))
            .count();
        assert!(terminals <= 1, "{terminals} terminal events");
        if terminals == 1 {
            let last = span.events.last().expect("an event");
            assert!(
                is_terminal(&last.name),
                "the terminal event is not the last"
            );
            let outcome = self.attribute("api.outcome").expect("api.outcome");
            assert_eq!(format!("api.{outcome}"), last.name);
            assert_eq!(
                self.attribute("api.abort.reason"),
                self.event_attribute("reason")
            );
            let error_type = self.attribute("error.type");
            assert_eq!(
                error_type.is_some(),
                self.is_error(),
                "error.type {error_type:?}"
            );
        }
        assert_ne!(span.status, Status::Ok);
        let times: Vec<SystemTime> = std::iter::once(span.start_time)
            .chain(span.events.iter().map(|event| event.timestamp))
            .chain([span.end_time])
            .collect();
        assert!(times.is_sorted(), "times run backwards: {times:?}");
    }
}

/// Returns an attribute of any span. Panics if its key appears twice.
pub fn value(span: &SpanData, key: &str) -> Option<Value> {
    let mut values = span
        .attributes
        .iter()
        .filter(|kv| kv.key.as_str() == key)
        .map(|kv| kv.value.clone());
    let value = values.next();
    assert_eq!(values.next(), None, "{key} appears twice");
    value
}

fn is_terminal(event: &str) -> bool {
    matches!(event, "api.DEPARTED" | "api.ABORTED")
}
