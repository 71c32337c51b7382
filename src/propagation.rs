//! Request headers to the caller's context.
//!
//! The propagator is the given one, else the global one, and parses what it likes; the extractor
//! it reads through is strict where the stock W3C propagator of opentelemetry 0.33 is not:
//!
//! * a `traceparent` that is malformed by W3C Trace Context (level 2, section 3.2), or there more
//!   than once, is hidden together with its `tracestate`, so that a new trace starts;
//! * several lines of `tracestate` or `baggage` are joined with commas, where the propagator would
//!   see the first alone.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use http::HeaderMap;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{SpanContext, TraceContextExt, TraceFlags, TraceId};
use opentelemetry::{Context, global};
use opentelemetry_http::HeaderInjector;

use crate::contain::contain;
use crate::sampling::Rate;

const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";
const BAGGAGE: &str = "baggage";

/// Where the propagator comes from.
#[derive(Clone, Default)]
pub(crate) enum Propagation {
    /// The process-wide one, asked for anew by each request.
    #[default]
    Global,
    /// The layer's own.
    Given(Arc<dyn TextMapPropagator + Send + Sync>),
}

impl Propagation {
    /// The context that came with a request, on top of `current`: baggage and suppression in
    /// `current` flow on. `None` if no header of the propagator's came, or if it panics.
    ///
    /// A W3C parent that `rate` does not keep comes without its sampled flag.
    pub(crate) fn extract(
        &self,
        headers: &HeaderMap,
        current: &Context,
        rate: Rate,
    ) -> Option<Extracted> {
        if headers.is_empty() {
            return None;
        }
        contain(|| self.with(|propagator| extract(propagator, headers, current, rate))).flatten()
    }

    /// Writes `context` into `headers` in place of what they say of another. If nothing can be
    /// written, the headers stay as they are, unless they are a stranger's.
    pub(crate) fn replace(&self, context: &Context, headers: &mut HeaderMap, baggage: Baggage) {
        let mut written = self.written(context);
        match baggage {
            Baggage::Callers if headers.contains_key(BAGGAGE) => drop(written.remove(BAGGAGE)),
            Baggage::Callers => {}
            Baggage::Own => self.take_out(headers),
        }
        if written.is_empty() {
            return;
        }
        contain(|| {
            self.with(|propagator| {
                for field in propagator.fields().filter(|field| *field != BAGGAGE) {
                    headers.remove(field);
                }
            });
        });
        headers.remove(TRACESTATE);
        extend(headers, written);
    }

    /// Takes out of `headers` what says a context, W3C's in any case.
    pub(crate) fn take_out(&self, headers: &mut HeaderMap) {
        contain(|| {
            self.with(|propagator| {
                for field in propagator.fields() {
                    headers.remove(field);
                }
            });
        });
        for field in [TRACEPARENT, TRACESTATE, BAGGAGE] {
            headers.remove(field);
        }
    }

    /// Writes `context` into `headers`.
    pub(crate) fn inject(&self, context: &Context, headers: &mut HeaderMap) {
        extend(headers, self.written(context));
    }

    /// What says `context`, by the propagator or, where the global one writes nothing because none is
    /// set, as W3C has it. Nothing if the propagator panics.
    fn written(&self, context: &Context) -> HeaderMap {
        let written = contain(|| {
            self.with(|propagator| {
                let mut written = HeaderMap::new();
                propagator.inject_context(context, &mut NoEmpty(HeaderInjector(&mut written)));
                written
            })
        });
        let mut written = written.unwrap_or_default();
        if written.is_empty() && matches!(self, Self::Global) {
            inject_w3c(context.span().span_context(), &mut written);
        }
        written
    }

    fn with<T>(&self, f: impl FnMut(&dyn TextMapPropagator) -> T) -> T {
        match self {
            Self::Global => global::get_text_map_propagator(f),
            Self::Given(propagator) => {
                let mut f = f;
                f(propagator.as_ref())
            }
        }
    }
}

/// Whose baggage the rewritten headers carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Baggage {
    /// The caller's, as it came.
    Callers,
    /// That of the context, and not a stranger's.
    Own,
}

impl fmt::Debug for Propagation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Global => "Global",
            Self::Given(_) => "Given",
        })
    }
}

/// Adds headers, as long as there is room for them: a map of too many panics.
fn extend(headers: &mut HeaderMap, more: HeaderMap) {
    contain(|| headers.extend(more));
}

/// Writes `traceparent` and, unless it is empty, `tracestate`.
fn inject_w3c(span_context: &SpanContext, headers: &mut HeaderMap) {
    if !span_context.is_valid() {
        return;
    }
    let (trace_id, span_id) = (span_context.trace_id(), span_context.span_id());
    let flags = span_context.trace_flags() & TraceFlags::SAMPLED;
    let traceparent = format!("00-{trace_id}-{span_id}-{:02x}", flags.to_u8());
    let mut injector = NoEmpty(HeaderInjector(headers));
    injector.set(TRACEPARENT, traceparent);
    injector.set(TRACESTATE, span_context.trace_state().header());
}

/// What came with a request.
pub(crate) struct Extracted {
    pub(crate) context: Context,
    /// The caller's sampled flag was taken away, because of the rate.
    pub(crate) is_sampled_out: bool,
}

fn extract(
    propagator: &dyn TextMapPropagator,
    headers: &HeaderMap,
    current: &Context,
    rate: Rate,
) -> Option<Extracted> {
    if !propagator.fields().any(|field| headers.contains_key(field)) {
        return None;
    }
    let headers = StrictHeaders::new(headers, current.span().span_context(), rate);
    let extracted = propagator.extract_with_context(current, &headers);
    let context = with_nearest_span(extracted, current);
    // Whether the propagator took the parent that lost its flag, and not one of another format.
    let parent = context.span().span_context().clone();
    Some(Extracted {
        is_sampled_out: headers.unsampled.is_some() && parent.is_valid() && !parent.is_sampled(),
        context,
    })
}

/// Leaves out what is empty: the stock propagator writes a `tracestate` of nothing.
struct NoEmpty<'a>(HeaderInjector<'a>);

impl Injector for NoEmpty<'_> {
    fn set(&mut self, key: &str, value: String) {
        if !value.is_empty() {
            self.0.set(key, value);
        }
    }
}

/// Where the current span is in the caller's trace already, as with two layers stacked, it is nearer
/// to this request than the caller is.
fn with_nearest_span(extracted: Context, current: &Context) -> Context {
    let span = current.span();
    let (nearer, caller) = (span.span_context(), extracted.span().span_context().clone());
    let is_same_trace = nearer.is_valid() && nearer.trace_id() == caller.trace_id();
    if is_same_trace && nearer.span_id() != caller.span_id() {
        extracted.with_remote_span_context(nearer.clone())
    } else {
        extracted
    }
}

/// Headers as a propagator may see them.
struct StrictHeaders<'a> {
    headers: &'a HeaderMap,
    /// The `traceparent`, if it is there once, well-formed, and not of the trace that the current
    /// span is in already.
    traceparent: Option<&'a str>,
    /// The same in version 00 and without the sampled flag, if it is sampled and the rate does not
    /// keep it.
    unsampled: Option<[u8; LENGTH]>,
    tracestate: Option<Cow<'a, str>>,
    baggage: Option<Cow<'a, str>>,
}

impl<'a> StrictHeaders<'a> {
    fn new(headers: &'a HeaderMap, current: &SpanContext, rate: Rate) -> Self {
        // Hidden where `with_nearest_span` would undo it, so that the current span stays itself.
        let traceparent = once(headers, TRACEPARENT).filter(|value| {
            trace_id(value).is_some_and(|trace_id| {
                !current.is_valid() || TraceId::from_hex(trace_id) != Ok(current.trace_id())
            })
        });
        Self {
            headers,
            traceparent,
            unsampled: traceparent
                .filter(|_| !rate.keeps_all())
                .and_then(|traceparent| unsampled(traceparent, rate)),
            tracestate: traceparent.and_then(|_| joined(headers, TRACESTATE)),
            baggage: joined(headers, BAGGAGE),
        }
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

/// The value of a header that is there exactly once.
fn once<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

/// The values of a header that is a list, as one.
fn joined<'a>(headers: &'a HeaderMap, name: &str) -> Option<Cow<'a, str>> {
    let mut values = headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let first = Cow::Borrowed(values.next()?);
    Some(values.fold(first, |joined, more| joined + "," + more))
}

/// Length of a `traceparent` of version 00.
const LENGTH: usize = 55;

/// A well-formed `traceparent` without its sampled flag, if it has it and the rate does not keep its
/// trace.
fn unsampled(traceparent: &str, rate: Rate) -> Option<[u8; LENGTH]> {
    let mut unsampled = *traceparent.as_bytes().first_chunk::<LENGTH>()?;
    let is_sampled = u8::from_str_radix(&traceparent[53..LENGTH], 16).ok()? & 1 == 1;
    let trace_id = TraceId::from_hex(&traceparent[3..35]).ok()?;
    if !is_sampled || rate.keeps(trace_id) {
        return None;
    }
    unsampled[..2].copy_from_slice(b"00");
    unsampled[53..].copy_from_slice(b"00");
    Some(unsampled)
}

/// The trace id in a well-formed `traceparent`.
fn trace_id(traceparent: &str) -> Option<&str> {
    let bytes = traceparent.as_bytes();
    let is_hex = |bytes: &[u8]| {
        bytes
            .iter()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_zero = |bytes: &[u8]| bytes.iter().all(|byte| *byte == b'0');
    let (head, rest) = bytes.split_at_checked(LENGTH)?;
    let (version, trace_id, parent_id, flags) =
        (&head[..2], &head[3..35], &head[36..52], &head[53..]);
    let well_formed = [head[2], head[35], head[52]] == *b"---"
        && [version, trace_id, parent_id, flags]
            .into_iter()
            .all(is_hex)
        && version != b"ff"
        && !is_zero(trace_id)
        && !is_zero(parent_id)
        // Version 00 ends here; a later one may go on after a dash.
        && (rest.is_empty() || (version != b"00" && rest[0] == b'-'));
    well_formed.then(|| &traceparent[3..35])
}

#[cfg(test)]
mod tests;
