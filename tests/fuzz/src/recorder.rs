//! The spans that this thread has recorded.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::sync::LazyLock;
use std::time::Duration;

use opentelemetry::trace::Status;
use opentelemetry::{Array, Context, Value};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, Span, SpanData, SpanProcessor};
use tower_api_span::ApiSpanLayer;

use crate::oracle::MAX_STRING;

static PROVIDER: LazyLock<SdkTracerProvider> = LazyLock::new(|| {
    let builder = SdkTracerProvider::builder();
    builder.with_span_processor(Recording).build()
});

thread_local! {
    static STARTS: Cell<usize> = const { Cell::new(0) };
    static ENDED: RefCell<Vec<SpanData>> = const { RefCell::new(Vec::new()) };
}

/// Keeps the spans of each thread apart, so that targets can be replayed in parallel.
#[derive(Debug)]
pub struct Recording;

impl SpanProcessor for Recording {
    fn on_start(&self, _: &mut Span, _: &Context) {
        STARTS.set(STARTS.get() + 1);
    }

    fn on_end(&self, span: SpanData) {
        ENDED.with_borrow_mut(|ended| ended.push(span));
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// Returns the layer with its spans recorded.
pub fn recorded(layer: ApiSpanLayer) -> ApiSpanLayer {
    layer.tracer_provider(&*PROVIDER)
}

/// Removes all spans.
pub fn clear() {
    STARTS.set(0);
    ENDED.with_borrow_mut(Vec::clear);
}

/// Returns how many spans have started and ended.
pub fn counts() -> (usize, usize) {
    (STARTS.get(), ENDED.with_borrow(Vec::len))
}

/// Returns the only span, checked. Panics unless exactly one has started and ended.
pub fn only() -> Seen {
    assert_eq!(counts(), (1, 1), "spans started and ended");
    STARTS.set(0);
    let ended = ENDED.with_borrow_mut(Vec::pop);
    let seen = Seen(ended.expect("it has ended"));
    seen.check();
    seen
}

/// A span that has ended.
#[derive(Debug)]
pub struct Seen(pub SpanData);

impl Seen {
    /// Returns the value of an attribute.
    pub fn attribute(&self, key: &str) -> Option<String> {
        let mut attributes = self.0.attributes.iter();
        let attribute = attributes.find(|kv| kv.key.as_str() == key);
        attribute.map(|kv| kv.value.to_string())
    }

    /// Returns `DEPARTED`, or the reason of `ABORTED`.
    pub fn outcome(&self) -> String {
        let reason = self.attribute("api.abort.reason");
        reason.unwrap_or_else(|| self.attribute("api.outcome").expect("an outcome"))
    }

    /// Returns the message in the terminal event.
    pub fn error(&self) -> Option<String> {
        let attributes = &self.0.events.last()?.attributes;
        let error = attributes.iter().find(|kv| kv.key.as_str() == "error");
        error.map(|kv| kv.value.to_string())
    }

    /// Checks the rules for all spans.
    fn check(&self) {
        let Self(span) = self;
        assert!(!span.name.is_empty(), "no name");
        let mut keys = BTreeSet::new();
        for attribute in &span.attributes {
            let key = attribute.key.as_str();
            assert!(!key.is_empty() && keys.insert(key), "{key} is there twice");
            check_value(key, &attribute.value);
        }
        let last = span.events.last().expect("a terminal event");
        for event in span.events.iter() {
            for attribute in &event.attributes {
                check_value(attribute.key.as_str(), &attribute.value);
            }
        }
        let terminal = |name: &str| ["api.DEPARTED", "api.ABORTED"].contains(&name);
        let terminals = span.events.iter().filter(|event| terminal(&event.name));
        assert_eq!(terminals.count(), 1, "terminal events");
        assert!(terminal(&last.name), "{} is last", last.name);
        assert_eq!(span.events[0].name, "api.ARRIVED", "the first event");
        assert_eq!(span.events[0].timestamp, span.start_time);
        let times = span.events.iter().map(|event| event.timestamp);
        assert!(times.is_sorted(), "times run backwards");
        assert_eq!(last.timestamp, span.end_time, "the end is the last event's");

        let outcome = self.attribute("api.outcome").expect("an outcome");
        assert_eq!(last.name, format!("api.{outcome}"));
        let reason = last
            .attributes
            .iter()
            .find(|kv| kv.key.as_str() == "reason");
        let reason = reason.map(|kv| kv.value.to_string());
        assert_eq!(reason, self.attribute("api.abort.reason"));
        let status = match self.attribute("error.type") {
            Some(_) => Status::error(self.error().unwrap_or_default()),
            None => Status::Unset,
        };
        assert_eq!(span.status, status, "the status by error.type");
    }
}

fn check_value(key: &str, value: &Value) {
    let texts = if let Value::String(text) = value {
        std::slice::from_ref(text)
    } else if let Value::Array(Array::String(texts)) = value {
        texts.as_slice()
    } else {
        &[]
    };
    for text in texts {
        let bytes = text.as_str().len();
        assert!((1..=MAX_STRING).contains(&bytes), "{key} of {bytes} bytes");
    }
}
