//! Extracts the caller's context from request headers, and injects a context into headers.
//!
//! The propagator is the layer's own, else the global one. It reads through an extractor that is stricter than the
//! W3C propagator of `opentelemetry_sdk` 0.33:
//!
//! * It hides a `traceparent` that is repeated, or malformed by W3C Trace Context (level 2, section 3.2), together
//!   with its `tracestate`. Then a new trace starts.
//! * It joins several lines of `tracestate` or `baggage` with commas. The propagator would read only the first.
//!
//! Imports only `catch_panic` from the crate.

pub(crate) mod current;
mod extracted;
mod fields;
mod given;
pub(crate) mod sampling;
mod strict_headers;
pub(crate) mod traceparent;
mod w3c;

use std::fmt;
use std::sync::Arc;

use http::HeaderMap;
use opentelemetry::propagation::{Injector, TextMapPropagator};
use opentelemetry::trace::{SpanContext, TraceContextExt};
use opentelemetry::{Context, global};
use opentelemetry_http::HeaderInjector;

use crate::catch_panic::catch_panic;
use crate::propagation::sampling::Rate;

use fields::{BAGGAGE, TRACEPARENT, TRACESTATE};
use given::Given;
use strict_headers::StrictHeaders;
use traceparent::format_traceparent;
use w3c::{extract_w3c, is_sdks_w3c};

pub(crate) use extracted::Extracted;

/// The propagator of a layer.
#[derive(Clone, Default)]
pub(crate) enum Propagation {
    /// The process-wide one, looked up by each request.
    #[default]
    Global,
    /// The layer's own.
    Given(Arc<dyn TextMapPropagator + Send + Sync>),
    /// The layer's own, which is the SDK's for W3C Trace Context. [`w3c`] replaces its extraction.
    GivenW3c(Arc<dyn TextMapPropagator + Send + Sync>),
}

impl Propagation {
    /// Creates the propagation with the layer's own propagator.
    pub(crate) fn given<P: TextMapPropagator + Send + Sync + 'static>(propagator: P) -> Self {
        if is_sdks_w3c(&propagator) {
            Self::GivenW3c(Arc::new(Given::new(propagator)))
        } else {
            Self::Given(Arc::new(Given::new(propagator)))
        }
    }

    /// Extracts the caller's context into a copy of `current`, whose baggage and suppression are kept. Returns `None`
    /// if no header of the propagator is present, or if it panics.
    ///
    /// Clears the sampled flag of a W3C parent that `rate` does not keep.
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

    /// Replaces the caller's context in `headers` with `context`. If the propagator writes no header, the
    /// headers are unchanged, except with [`Baggage::FromContext`], which strips them.
    pub(crate) fn replace(&self, context: &Context, headers: &mut HeaderMap, baggage: Baggage) {
        let mut injected = self.inject_into_new(context);
        match baggage {
            Baggage::FromCaller if headers.contains_key(BAGGAGE) => drop(injected.remove(BAGGAGE)),
            Baggage::FromCaller => {}
            Baggage::FromContext => self.strip(headers),
        }
        if injected.is_empty() {
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
        extend(headers, injected);
    }

    /// Removes the propagator's headers and the W3C headers.
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

    /// Injects `context` into `headers`.
    pub(crate) fn inject(&self, context: &Context, headers: &mut HeaderMap) {
        extend(headers, self.inject_into_new(context));
    }

    /// Injects `context` into new headers. If the global propagator writes no header, as when none is set, the W3C
    /// headers are written. Returns no headers if the layer's own propagator panics.
    fn inject_into_new(&self, context: &Context) -> HeaderMap {
        let injected = catch_panic(|| {
            self.with(|propagator| {
                let mut injected = HeaderMap::new();
                propagator.inject_context(context, &mut NonEmpty(HeaderInjector(&mut injected)));
                injected
            })
        });
        let mut injected = injected.unwrap_or_default();
        if injected.is_empty() && matches!(self, Self::Global) {
            inject_w3c(context.span().span_context(), &mut injected);
        }
        injected
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

/// The source of the baggage in replaced headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Baggage {
    /// The caller's, unchanged.
    FromCaller,
    /// The context's. An untrusted caller's is removed.
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

/// Adds headers. If the map is full, the rest is dropped: `extend` panics then.
fn extend(headers: &mut HeaderMap, more: HeaderMap) {
    catch_panic(|| headers.extend(more));
}

/// Writes `traceparent` and, unless it is empty, `tracestate`.
fn inject_w3c(span_context: &SpanContext, headers: &mut HeaderMap) {
    if !span_context.is_valid() {
        return;
    }
    let mut injector = NonEmpty(HeaderInjector(headers));
    injector.set(TRACEPARENT, format_traceparent(span_context));
    injector.set(TRACESTATE, span_context.trace_state().header());
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
    // The propagator may have read a parent in another format, whose flag was not cleared.
    let parent = context.span().span_context().clone();
    Some(Extracted {
        is_sampled_out: headers.is_unsampled() && parent.is_valid() && !parent.is_sampled(),
        context,
    })
}

/// An injector that skips empty values. The SDK's propagator writes an empty `tracestate`.
struct NonEmpty<'a>(HeaderInjector<'a>);

impl Injector for NonEmpty<'_> {
    fn set(&mut self, key: &str, value: String) {
        if !value.is_empty() {
            self.0.set(key, value);
        }
    }
}

/// Keeps the current span as the parent if it is in the caller's trace, as with two stacked layers. It is nearer to
/// this request than the caller's span.
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

#[cfg(test)]
mod tests;
