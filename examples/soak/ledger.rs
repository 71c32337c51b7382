//! Counts the spans: started, ended, and with the expected outcome per kind of request.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::request;
use opentelemetry::trace::{Event, SpanId, Status};
use opentelemetry::{Context, KeyValue, Value};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, Span, SpanData, SpanProcessor};

use crate::observer::RequestNumber;
use crate::paths::{CALLER_TRACE, End, PATHS, Path, Protocol};
use crate::signals::Counts;
use crate::tag::{KIND, KINDS, NUMBER, Tag};
use crate::verdicts::{Place, Verdicts};

/// The spans of one layer.
#[derive(Clone)]
pub(crate) struct Ledger {
    pub(crate) provider: SdkTracerProvider,
    spans: Spans,
}

/// A processor that counts spans and keeps none.
#[derive(Clone, Debug)]
struct Spans {
    place: Place,
    verdicts: Verdicts,
    starts: Arc<AtomicU64>,
    ends: Arc<AtomicU64>,
    /// Spans with the expected outcome, per kind.
    as_expected: Arc<[AtomicU64]>,
    unexpected: Counts,
}

/// Returns the attributes by which a span is recognized.
pub(crate) fn attributes(request: &request::Parts) -> Vec<KeyValue> {
    let kind = Tag::from_headers(&request.headers).and_then(|tag| i64::try_from(tag.kind()).ok());
    let number = request.extensions.get::<RequestNumber>();
    let number = number.and_then(|number| i64::try_from(number.0).ok());
    let attribute = |key, value: Option<i64>| value.map(|value| KeyValue::new(key, value));
    let both = [attribute(KIND, kind), attribute(NUMBER, number)];
    both.into_iter().flatten().collect()
}

impl Ledger {
    pub(crate) fn new(place: Place, verdicts: Verdicts) -> Self {
        let spans = Spans {
            place,
            verdicts,
            starts: Arc::default(),
            ends: Arc::default(),
            as_expected: (0..KINDS).map(|_| AtomicU64::new(0)).collect(),
            unexpected: Counts::default(),
        };
        let provider = SdkTracerProvider::builder()
            .with_span_processor(spans.clone())
            .build();
        Self { provider, spans }
    }

    pub(crate) fn starts(&self) -> u64 {
        self.spans.starts.load(Ordering::SeqCst)
    }

    pub(crate) fn ends(&self) -> u64 {
        self.spans.ends.load(Ordering::SeqCst)
    }

    pub(crate) fn as_expected(&self) -> Vec<u64> {
        let counts = self.spans.as_expected.iter();
        counts.map(|count| count.load(Ordering::Relaxed)).collect()
    }

    /// Returns the unexpected outcomes and their counts.
    pub(crate) fn unexpected(&self) -> BTreeMap<String, u64> {
        self.spans.unexpected.get()
    }
}

impl Spans {
    fn record(&self, span: &SpanData) {
        let number = |key| match value(&span.attributes, key) {
            Some(Value::I64(number)) => u64::try_from(*number).ok(),
            Some(_) | None => None,
        };
        let Outcome { outcome, details } = Outcome::read(span);
        if let Some(number) = number(NUMBER) {
            self.verdicts.end_span(number, self.place, &outcome);
        }
        let details = format!("{outcome}{details}, {}", origin(span));
        let kind = number(KIND).and_then(|kind| usize::try_from(kind).ok());
        let description = match kind.filter(|kind| *kind < KINDS) {
            Some(kind) => {
                let path = &PATHS[kind / Protocol::ALL.len()];
                let protocol = Protocol::ALL[kind % Protocol::ALL.len()];
                if details == expected(path, protocol, self.place) {
                    self.as_expected[kind].fetch_add(1, Ordering::Relaxed);
                    return;
                }
                format!("{} over {}", path.name, protocol.name())
            }
            None => "a request without a valid tag".to_owned(),
        };
        let place = self.place.name();
        self.unexpected
            .count(format!("{description}: its {place} span has {details}"));
    }
}

/// Returns what the span of a path is expected to have, as [`Spans::record`] writes it.
fn expected(path: &Path, protocol: Protocol, place: Place) -> String {
    let (End { outcome, is_error }, origin) = match place {
        Place::Outer => (path.outer_end(), path.caller.origin()),
        Place::Inner => (path.end, path.caller.inner_origin()),
    };
    let is_error = if is_error { ", an error" } else { "" };
    let first_responses = u8::from(path.has_first_response());
    let address = match protocol {
        Protocol::Http1 | Protocol::Http2 => path.caller.client_address(),
        Protocol::Grpc => "unknown",
    };
    format!("{outcome}{is_error}, first responses: {first_responses}, {origin}, client {address}")
}

/// Returns the relation of a span to the caller, and the client's address.
fn origin(span: &SpanData) -> String {
    let is_callers = span.span_context.trace_id().to_string() == CALLER_TRACE;
    let has_parent = span.parent_span_id != SpanId::INVALID;
    let mut links = span.links.iter();
    let is_linked = links.any(|link| link.span_context.trace_id().to_string() == CALLER_TRACE);
    let origin = match (has_parent, is_callers, is_linked) {
        (true, true, false) => "child in the caller's trace",
        (true, false, false) => "child",
        (false, false, true) => "root with a link",
        (false, false, false) => "root",
        _ => "both the caller's trace and a link to it",
    };
    let client = value(&span.attributes, "client.address").map(Value::as_str);
    let client = client.unwrap_or_else(|| "unknown".into());
    format!("{origin}, client {client}")
}

struct Outcome {
    /// `DEPARTED` or `ABORTED(reason)`.
    outcome: String,
    /// The error status and the number of first responses.
    details: String,
}

impl Outcome {
    /// Returns the outcome, or a contradiction between the span's attributes, events and status.
    fn read(span: &SpanData) -> Self {
        let text = |attributes, key| value(attributes, key).map(Value::as_str);
        let outcome = text(&span.attributes, "api.outcome").unwrap_or_default();
        let reason = text(&span.attributes, "api.abort.reason");
        let outcome = match reason {
            Some(reason) => format!("{outcome}({reason})"),
            None => outcome.to_string(),
        };
        Self {
            outcome,
            details: details(span),
        }
    }
}

/// Returns the error status and the number of first responses, or a contradiction between the span's attributes,
/// events and status.
fn details(span: &SpanData) -> String {
    let is_error = match (&span.status, value(&span.attributes, "error.type")) {
        (Status::Error { .. }, Some(_)) => ", an error",
        (Status::Unset, None) => "",
        (status, error_type) => return format!(", {status:?}, but error.type {error_type:?}"),
    };
    let text = |attributes, key| value(attributes, key).map(Value::as_str);
    let last = span.events.iter().next_back();
    let outcome = text(&span.attributes, "api.outcome").unwrap_or_default();
    let reason = text(&span.attributes, "api.abort.reason");
    let event = last.map(|event| (event.name.as_ref(), text(&event.attributes, "reason")));
    if event != Some((&*format!("api.{outcome}"), reason.clone())) {
        return format!(", but its last event is {event:?}");
    }
    let first = |event: &&Event| event.name == "api.FIRST_RESPONSE_FROM_CORE";
    let first_responses = span.events.iter().filter(first).count();
    format!("{is_error}, first responses: {first_responses}")
}

fn value<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a Value> {
    let found = attributes.iter().find(|found| found.key.as_str() == key)?;
    Some(&found.value)
}

impl SpanProcessor for Spans {
    fn on_start(&self, _: &mut Span, _: &Context) {
        self.starts.fetch_add(1, Ordering::SeqCst);
    }

    fn on_end(&self, span: SpanData) {
        self.record(&span);
        self.ends.fetch_add(1, Ordering::SeqCst);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}
