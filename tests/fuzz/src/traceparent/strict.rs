//! A strict parser of W3C Trace Context, level 2.

use std::collections::HashMap;
use std::str::FromStr;

use http::{HeaderMap, HeaderValue};
use opentelemetry::Context;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
use opentelemetry_sdk::propagation::BaggagePropagator;

/// A parent.
#[derive(Debug, PartialEq)]
pub struct Parent {
    pub trace_id: u128,
    pub span_id: u64,
    pub is_sampled: bool,
}

impl Parent {
    pub fn span_context(&self, state: TraceState) -> SpanContext {
        let flags = TraceFlags::new(u8::from(self.is_sampled));
        let (trace_id, span_id) = (TraceId::from(self.trace_id), SpanId::from(self.span_id));
        SpanContext::new(trace_id, span_id, flags, true, state)
    }
}

/// Returns the parent, if there is exactly one `traceparent` and it is valid.
pub fn expected(headers: &HeaderMap) -> Option<Parent> {
    let lines: Vec<_> = headers.get_all("traceparent").iter().collect();
    let [line] = lines[..] else {
        return None;
    };
    let text = std::str::from_utf8(line.as_bytes()).ok()?;
    let fields: Vec<&str> = text.split('-').collect();
    let [version, trace_id, span_id, flags, more @ ..] = &fields[..] else {
        return None;
    };
    for (field, digits) in [(version, 2), (trace_id, 32), (span_id, 16), (flags, 2)] {
        let is_digit = |digit: char| matches!(digit, '0'..='9' | 'a'..='f');
        if field.len() != digits || !field.chars().all(is_digit) {
            return None;
        }
    }
    // Later versions can append fields after a dash. Their content is not parsed.
    if *version == "ff" || (*version == "00" && !more.is_empty()) {
        return None;
    }
    // But they must be text.
    if !more.iter().all(|more| is_text(more.as_bytes())) {
        return None;
    }
    let parent = Parent {
        trace_id: u128::from_str_radix(trace_id, 16).ok()?,
        span_id: u64::from_str_radix(span_id, 16).ok()?,
        is_sampled: u8::from_str_radix(flags, 16).ok()? % 2 == 1,
    };
    (parent.trace_id != 0 && parent.span_id != 0).then_some(parent)
}

/// Parses the lines of `tracestate` as one list, by the parser of the OpenTelemetry API. A list of more than 32
/// members is discarded.
pub fn state(headers: &HeaderMap) -> TraceState {
    let members = state_members(headers);
    TraceState::from_str(&members.unwrap_or_default()).unwrap_or_default()
}

/// Returns the members in the lines of `tracestate` as one list without empty ones; `None` if there are more than 32.
pub fn state_members(headers: &HeaderMap) -> Option<String> {
    let list = list(headers, "tracestate");
    let members = list
        .split(',')
        .map(|member| member.trim_matches([' ', '\t']));
    let members: Vec<_> = members.filter(|member| !member.is_empty()).collect();
    (members.len() <= 32).then(|| members.join(","))
}

/// Parses the lines of `baggage` as one list, by the parser of the SDK.
pub fn baggage(headers: &HeaderMap) -> Vec<(String, String)> {
    let carrier = HashMap::from([("baggage".to_owned(), list(headers, "baggage"))]);
    let context = BaggagePropagator::new().extract_with_context(&Context::new(), &carrier);
    super::baggage_pairs(&context)
}

/// Whether a line of a header is text.
pub fn has_text(headers: &HeaderMap, name: &str) -> bool {
    let mut lines = headers.get_all(name).iter();
    lines.any(|line| is_text(line.as_bytes()))
}

/// Returns the lines of a header that are text as one list.
pub fn list(headers: &HeaderMap, name: &str) -> String {
    let lines = headers.get_all(name).iter().map(HeaderValue::as_bytes);
    let lines: Vec<_> = lines
        .filter(|line| is_text(line))
        .map(|line| String::from_utf8_lossy(line))
        .collect();
    lines.join(",")
}

fn is_text(line: &[u8]) -> bool {
    line.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~'))
}
