//! The request's headers as a propagator sees them: without an invalid `traceparent`, and with lists joined.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::propagation::Extractor;
use opentelemetry::trace::SpanContext;

use super::fields::{BAGGAGE, TRACEPARENT, TRACESTATE};
use super::sampling::Rate;
use super::traceparent::{LENGTH, Traceparent, unsampled};

// Parsed once: a lookup by text parses the name each time.
static TRACEPARENT_NAME: HeaderName = HeaderName::from_static(TRACEPARENT);
static TRACESTATE_NAME: HeaderName = HeaderName::from_static(TRACESTATE);
static BAGGAGE_NAME: HeaderName = HeaderName::from_static(BAGGAGE);

/// The headers as a propagator sees them.
pub(super) struct StrictHeaders<'a> {
    headers: &'a HeaderMap,
    /// The `traceparent`, if it is well-formed, not repeated, and of another trace than the current
    /// span.
    traceparent: Option<&'a str>,
    /// The `traceparent` in version 00 with a cleared sampled flag, if it is sampled and the rate does not keep it.
    unsampled: Option<[u8; LENGTH]>,
    tracestate: Option<Cow<'a, str>>,
    baggage: Option<Cow<'a, str>>,
}

impl<'a> StrictHeaders<'a> {
    pub(super) fn new(headers: &'a HeaderMap, current: &SpanContext, rate: Rate) -> Self {
        // A caller in the current span's trace is hidden. Otherwise `with_nearest_span` would replace it with the
        // current span, marked as remote.
        let traceparent = single_traceparent(headers).filter(|value| {
            Traceparent::parse(value.as_bytes())
                .is_some_and(|traceparent| !traceparent.is_in_trace_of(current))
        });
        let traceparent = traceparent.and_then(|value| value.to_str().ok());
        Self {
            headers,
            traceparent,
            unsampled: traceparent
                .filter(|_| !rate.keeps_all())
                .and_then(|traceparent| unsampled(traceparent.as_bytes(), rate)),
            tracestate: traceparent.and_then(|_| joined_tracestate(headers)),
            baggage: join_lines(headers, &BAGGAGE_NAME),
        }
    }

    /// Whether the sampled flag of the `traceparent` was cleared.
    pub(super) fn is_unsampled(&self) -> bool {
        self.unsampled.is_some()
    }
}

impl Extractor for StrictHeaders<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        if key.eq_ignore_ascii_case(TRACEPARENT) {
            match &self.unsampled {
                Some(unsampled) => std::str::from_utf8(unsampled).ok(),
                None => self.traceparent,
            }
        } else if key.eq_ignore_ascii_case(TRACESTATE) {
            self.tracestate.as_deref()
        } else if key.eq_ignore_ascii_case(BAGGAGE) {
            self.baggage.as_deref()
        } else {
            self.headers.get(key)?.to_str().ok()
        }
    }

    fn get_all(&self, key: &str) -> Option<Vec<&str>> {
        if [TRACEPARENT, TRACESTATE, BAGGAGE]
            .iter()
            .any(|own| key.eq_ignore_ascii_case(own))
        {
            return self.get(key).map(|value| vec![value]);
        }
        let values = self.headers.get_all(key).iter();
        let values: Vec<_> = values.filter_map(|value| value.to_str().ok()).collect();
        (!values.is_empty()).then_some(values)
    }

    fn keys(&self) -> Vec<&str> {
        self.headers
            .keys()
            .map(http::HeaderName::as_str)
            .filter(|key| self.get(key).is_some())
            .collect()
    }
}

/// Returns the `traceparent`, unless it is repeated.
pub(super) fn single_traceparent(headers: &HeaderMap) -> Option<&HeaderValue> {
    let mut values = headers.get_all(&TRACEPARENT_NAME).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => Some(value),
        _ => None,
    }
}

/// Returns the lines of `tracestate` as one list.
pub(super) fn joined_tracestate(headers: &HeaderMap) -> Option<Cow<'_, str>> {
    join_lines(headers, &TRACESTATE_NAME)
}

/// Joins the lines of a header with commas.
fn join_lines<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<Cow<'a, str>> {
    // The header is usually absent, and `get` is faster than `get_all` then.
    headers.get(name)?;
    let mut values = headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let first = Cow::Borrowed(values.next()?);
    Some(values.fold(first, |joined, more| joined + "," + more))
}
