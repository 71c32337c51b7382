//! What is compared of a call, in the words of the guide. This file has what is compared of its span.

pub mod log;
pub mod metrics;

use std::collections::BTreeSet;

use opentelemetry::Value;
use opentelemetry::trace::{SpanId, SpanKind, Status};
use opentelemetry_sdk::trace::SpanData;

use crate::client::CALLER;
use crate::recording::Recording;

/// Spans that are made while the stream is sent.
const IN_STREAM: [&str; 2] = ["chunk", "query"];

impl Recording {
    /// Returns the span of the request. There is one in every application.
    fn span(&self) -> &SpanData {
        let mut spans = self.spans.iter();
        let mut of_request = spans
            .by_ref()
            .filter(|span| !IN_STREAM.contains(&&*span.name));
        let span = of_request.next().expect("a span");
        assert_eq!(of_request.count(), 0, "{:?}", self.spans);
        span
    }

    fn attribute(&self, key: &str) -> Option<String> {
        let attributes = &self.span().attributes;
        let found = attributes.iter().find(|found| found.key.as_str() == key);
        found.map(|found| found.value.to_string())
    }
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

/// Returns all of them as code, or "none".
fn list<'t>(texts: impl IntoIterator<Item = &'t str>) -> String {
    let texts: Vec<_> = texts.into_iter().map(code).collect();
    if texts.is_empty() {
        "none".to_owned()
    } else {
        texts.join(", ")
    }
}

/// Name and kind.
pub fn span(recording: &Recording) -> String {
    let span = recording.span();
    let kind = match span.span_kind {
        SpanKind::Server => "SERVER",
        SpanKind::Internal => "INTERNAL",
        SpanKind::Client | SpanKind::Producer | SpanKind::Consumer => "of another kind",
    };
    format!("{}, {kind}", code(&span.name))
}

/// Keys. Those that tracing-opentelemetry adds to each span of `tracing` are not listed one by one.
pub fn attributes(recording: &Recording) -> String {
    let attributes = recording.span().attributes.iter();
    let keys: BTreeSet<_> = attributes.map(|attribute| attribute.key.as_str()).collect();
    let is_of_bridge = |key: &&str| {
        let prefix = key.split('.').next().unwrap_or_default();
        ["code", "thread", "busy_ns", "idle_ns", "target"].contains(&prefix)
    };
    let (of_bridge, others): (Vec<_>, Vec<_>) = keys.into_iter().partition(is_of_bridge);
    let rest = if of_bridge.is_empty() {
        ""
    } else {
        ", those of tracing-opentelemetry, such as `busy_ns`"
    };
    list(others) + rest
}

/// Names of the events.
pub fn events(recording: &Recording) -> String {
    let events = recording.span().events.iter();
    list(events.map(|event| &*event.name))
}

/// Status, with `error.type` and `api.abort.reason`.
pub fn status(recording: &Recording) -> String {
    let status = match &recording.span().status {
        Status::Unset => "Unset".to_owned(),
        Status::Ok => "Ok".to_owned(),
        Status::Error { description } if description.is_empty() => "Error".to_owned(),
        Status::Error { description } => format!("Error, {}", code(&format!("{description:?}"))),
    };
    let mut parts = vec![status];
    for key in ["error.type", "api.abort.reason"] {
        if let Some(value) = recording.attribute(key) {
            parts.push(code(&format!("{key}={value}")));
        }
    }
    parts.join(", ")
}

/// When the span ended. The first chunk, which makes spans, is sent half the pause after the head, and half the pause
/// before the end.
pub fn end(recording: &Recording) -> String {
    let spans = recording.spans.iter();
    let in_stream = spans.filter(|span| IN_STREAM.contains(&&*span.name));
    let first = in_stream.map(|span| span.start_time).min();
    let ends_late = recording.span().end_time >= first.expect("chunks make spans");
    let end = if ends_late { "stream" } else { "head" };
    format!("with the {end}")
}

/// Parent of the span. Of a span without a caller this is "none".
pub fn parent(recording: &Recording) -> String {
    let span = recording.span();
    let caller = CALLER.split('-').nth(2).expect("a span id");
    if span.parent_span_id == SpanId::INVALID {
        "none: a trace of its own".to_owned()
    } else {
        assert_eq!(span.parent_span_id.to_string(), caller);
        "the caller's span".to_owned()
    }
}

/// Parent of a span that is made while the stream is sent, by `tracing` or else by the API.
pub fn child_in_stream(recording: &Recording) -> String {
    let request = &recording.span().span_context;
    let named = |name| recording.spans.iter().find(|span| span.name == name);
    let child = named("chunk")
        .or_else(|| named("query"))
        .expect("chunks make spans");
    if child.parent_span_id == request.span_id() {
        "the request's span"
    } else {
        assert_ne!(child.span_context.trace_id(), request.trace_id());
        "none: a trace of its own"
    }
    .to_owned()
}

/// Name of the instrumentation scope.
pub fn scope(recording: &Recording) -> String {
    code(recording.span().instrumentation_scope.name())
}

fn text(recording: &Recording, key: &str) -> String {
    let value = recording.attribute(key);
    value.map_or_else(|| "absent".to_owned(), |value| code(&format!("{value:?}")))
}

/// Value of `url.scheme`.
pub fn scheme(recording: &Recording) -> String {
    text(recording, "url.scheme")
}

/// Value of `http.route`.
pub fn route(recording: &Recording) -> String {
    text(recording, "http.route")
}

/// Names of the headers that carry the trace.
pub fn trace_headers(recording: &Recording) -> String {
    let headers = &recording.head.as_ref().expect("a response").headers;
    let names = headers.keys().map(http::HeaderName::as_str);
    list(names.filter(|name| name.starts_with("trace")))
}

/// Value of the recorded header `Authorization`.
pub fn authorization(recording: &Recording) -> String {
    text(recording, "http.request.header.authorization")
}

/// Type of `server.port`.
pub fn server_port(recording: &Recording) -> String {
    let attributes = &recording.span().attributes;
    let port = attributes
        .iter()
        .find(|one| one.key.as_str() == "server.port");
    match port.map(|port| &port.value) {
        None => "absent",
        Some(Value::I64(_)) => "int",
        Some(Value::String(_)) => "string",
        Some(other) => panic!("{other:?}"),
    }
    .to_owned()
}
