//! Request headers to the caller's context.
//!
//! The propagator is the given one, else the global one, and parses what it likes; the extractor
//! it reads through is strict where the stock W3C propagator of opentelemetry 0.33 is not:
//!
//! * a `traceparent` that is malformed by W3C Trace Context (level 2, section 3.2), or there more
//!   than once, is hidden together with its `tracestate`, so that a new trace starts;
//! * several lines of `tracestate` or `baggage` are joined with commas, where the propagator would
//!   see the first alone.

pub(crate) mod sampling;
pub(crate) mod traceparent;

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{SpanContext, TraceContextExt, TraceFlags, TraceState};
use opentelemetry::{Context, global};
use opentelemetry_http::HeaderInjector;

use crate::catch_panic::catch_panic;
use crate::propagation::sampling::Rate;

use traceparent::{LENGTH, Traceparent, format_traceparent, unsampled};

const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";
const BAGGAGE: &str = "baggage";

// Made once: to look for a header by its text takes it apart each time.
static TRACEPARENT_NAME: HeaderName = HeaderName::from_static(TRACEPARENT);
static TRACESTATE_NAME: HeaderName = HeaderName::from_static(TRACESTATE);
static BAGGAGE_NAME: HeaderName = HeaderName::from_static(BAGGAGE);

/// Where the propagator comes from.
#[derive(Clone, Default)]
pub(crate) enum Propagation {
    /// The process-wide one, asked for anew by each request.
    #[default]
    Global,
    /// The layer's own.
    Given(Arc<dyn TextMapPropagator + Send + Sync>),
    /// The layer's own, which is the SDK's for W3C Trace Context and nothing else: what it would read is
    /// read here, where the header has to be taken apart in any case.
    GivenW3c(Arc<dyn TextMapPropagator + Send + Sync>),
}

/// The name of the SDK's propagator, on which the library does not depend. Where it is another one
/// day, the propagator is asked as any other is.
const SDKS: &str = "opentelemetry_sdk::propagation::trace_context::TraceContextPropagator";

impl Propagation {
    /// This propagator.
    pub(crate) fn given<P: TextMapPropagator + Send + Sync + 'static>(propagator: P) -> Self {
        let is_sdks = std::any::type_name::<P>() == SDKS;
        let propagator = Arc::new(propagator);
        if is_sdks {
            Self::GivenW3c(propagator)
        } else {
            Self::Given(propagator)
        }
    }

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
        if let Self::GivenW3c(_) = self {
            return extract_w3c(headers, current, rate);
        }
        catch_panic(|| self.with(|propagator| extract(propagator, headers, current, rate)))
            .flatten()
    }

    /// Writes `context` into `headers` in place of what they say of another. If nothing can be
    /// written, the headers stay as they are, unless they are a stranger's.
    pub(crate) fn replace(&self, context: &Context, headers: &mut HeaderMap, baggage: Baggage) {
        let mut written = self.written(context);
        match baggage {
            Baggage::FromCaller if headers.contains_key(BAGGAGE) => drop(written.remove(BAGGAGE)),
            Baggage::FromCaller => {}
            Baggage::FromContext => self.strip(headers),
        }
        if written.is_empty() {
            return;
        }
        catch_panic(|| {
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
    pub(crate) fn strip(&self, headers: &mut HeaderMap) {
        catch_panic(|| {
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
        let written = catch_panic(|| {
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
            Self::Given(propagator) | Self::GivenW3c(propagator) => {
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
    FromCaller,
    /// That of the context, and not a stranger's.
    FromContext,
}

impl fmt::Debug for Propagation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Global => "Global",
            Self::Given(_) | Self::GivenW3c(_) => "Given",
        })
    }
}

/// Adds headers, as long as there is room for them: a map of too many panics.
fn extend(headers: &mut HeaderMap, more: HeaderMap) {
    catch_panic(|| headers.extend(more));
}

/// Writes `traceparent` and, unless it is empty, `tracestate`.
fn inject_w3c(span_context: &SpanContext, headers: &mut HeaderMap) {
    if !span_context.is_valid() {
        return;
    }
    let mut injector = NoEmpty(HeaderInjector(headers));
    injector.set(TRACEPARENT, format_traceparent(span_context));
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

/// The same as with the SDK's propagator, without it.
fn extract_w3c(headers: &HeaderMap, current: &Context, rate: Rate) -> Option<Extracted> {
    let traceparent = Traceparent::parse(once(headers, &TRACEPARENT_NAME)?.as_bytes())?;
    if traceparent.is_of(current.span().span_context()) {
        return None;
    }
    let Traceparent {
        trace_id, span_id, ..
    } = traceparent;
    let is_sampled_out = traceparent.is_sampled && !rate.keeps(trace_id);
    let flags = if traceparent.is_sampled && !is_sampled_out {
        TraceFlags::SAMPLED
    } else {
        TraceFlags::NOT_SAMPLED
    };
    let state = joined(headers, &TRACESTATE_NAME);
    let state = state.and_then(|state| TraceState::from_str(&state).ok());
    let caller = SpanContext::new(trace_id, span_id, flags, true, state.unwrap_or_default());
    Some(Extracted {
        context: current.with_remote_span_context(caller),
        is_sampled_out,
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
        let traceparent = once(headers, &TRACEPARENT_NAME).filter(|value| {
            Traceparent::parse(value.as_bytes())
                .is_some_and(|traceparent| !traceparent.is_of(current))
        });
        let traceparent = traceparent.and_then(|value| value.to_str().ok());
        Self {
            headers,
            traceparent,
            unsampled: traceparent
                .filter(|_| !rate.keeps_all())
                .and_then(|traceparent| unsampled(traceparent.as_bytes(), rate)),
            tracestate: traceparent.and_then(|_| joined(headers, &TRACESTATE_NAME)),
            baggage: joined(headers, &BAGGAGE_NAME),
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
fn once<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => Some(value),
        _ => None,
    }
}

/// The values of a header that is a list, as one.
fn joined<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<Cow<'a, str>> {
    // Mostly it is not there, and that is told sooner of one than of all.
    headers.get(name)?;
    let mut values = headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let first = Cow::Borrowed(values.next()?);
    Some(values.fold(first, |joined, more| joined + "," + more))
}

#[cfg(test)]
mod tests;
