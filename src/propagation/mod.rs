//! Extracts the caller's context from request headers, and injects a context into headers.
//!
//! The propagator is the layer's own, else the global one. It alone decides which headers are read. It is called for
//! each request, whatever its [`fields`](TextMapPropagator::fields) are: they are the headers that it *writes*. Its
//! extractor is stricter than the W3C propagator of `opentelemetry_sdk` 0.33:
//!
//! * It hides a `traceparent` that is repeated, or malformed by W3C Trace Context (level 2, section 3.2), together
//!   with its `tracestate`.
//! * It joins several lines of `tracestate` or `baggage` with commas. The propagator would read only the first.
//! * It hides a `tracestate` of more than 32 members. The propagator would keep the first 32.
//!
//! Imports only `catch_panic` from the crate.

pub(crate) mod current;
mod extract;
mod extracted;
mod fields;
mod given;
mod global_w3c;
mod recording_extractor;
pub(crate) mod sampling;
mod strict_headers;
pub(crate) mod traceparent;
#[cfg(feature = "tracing")]
pub(crate) mod tracing_span;
mod undeclared;
mod w3c;

use std::fmt;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::propagation::{Injector, TextMapPropagator};
use opentelemetry::trace::{SpanContext, TraceContextExt};
use opentelemetry::{Context, global};

use crate::catch_panic::catch_panic;
use crate::propagation::sampling::Rate;

use extract::{extract, extract_with_global, has_added};
use fields::{BAGGAGE, TRACEPARENT, TRACESTATE, remove_trace_headers};
use given::Given;
use recording_extractor::RecordingExtractor;
use traceparent::format_traceparent;
use undeclared::{find_span, remove_read};
use w3c::{extract_w3c, is_sdks_w3c};

pub(crate) use extracted::Extracted;
pub(crate) use strict_headers::has_traceparent;

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
    /// if the propagator reads no header that is present and changes nothing, or if it panics.
    ///
    /// The SDK's W3C propagator clears the sampled flag of a caller that `rate` does not keep.
    /// [`Rate::sample_out`] does so for other callers.
    #[inline]
    pub(crate) fn extract(
        &self,
        headers: &HeaderMap,
        current: &Context,
        rate: Rate,
    ) -> Option<Extracted> {
        match self {
            Self::GivenW3c(_) => extract_w3c(headers, current, rate),
            Self::Given(propagator) => {
                catch_panic(|| extract(propagator.as_ref(), headers, current)).flatten()
            }
            Self::Global => extract_with_global(headers, current, rate),
        }
    }

    /// Replaces the caller's context in `headers` with `context`. If the propagator writes no header but baggage,
    /// the caller's stays, except with [`Baggage::FromContext`], which strips it.
    pub(crate) fn replace(&self, context: &Context, headers: &mut HeaderMap, baggage: Baggage) {
        let mut injected = self.inject_into_new(context);
        match baggage {
            Baggage::FromCaller if headers.contains_key(BAGGAGE) => drop(injected.remove(BAGGAGE)),
            Baggage::FromCaller => {}
            Baggage::FromContext => self.strip_beside(headers, &injected),
        }
        if injected.keys().any(|name| name != BAGGAGE) {
            self.remove_fields(headers);
        }
        extend(headers, injected);
    }

    /// Removes the caller's context and baggage: all headers by which the propagator, or that of another format,
    /// would find them.
    pub(crate) fn strip(&self, headers: &mut HeaderMap) {
        self.strip_beside(headers, &HeaderMap::new());
    }

    /// Removes what [`strip`](Self::strip) removes, and what the propagator would add to the context in `own`.
    fn strip_beside(&self, headers: &mut HeaderMap, own: &HeaderMap) {
        self.remove_fields(headers);
        headers.remove(BAGGAGE);
        // The SDK's propagator reads no other header.
        if !matches!(self, Self::GivenW3c(_)) {
            self.remove_read(headers, own);
        }
    }

    /// Removes the propagator's fields and the trace headers of all known formats, but no baggage.
    fn remove_fields(&self, headers: &mut HeaderMap) {
        remove_trace_headers(headers);
        catch_panic(|| {
            self.with(|propagator| {
                for field in propagator.fields().filter(|field| *field != BAGGAGE) {
                    headers.remove(field);
                }
            });
        });
    }

    /// Removes the headers that decide which context the propagator finds beside `own`. The propagator may read headers
    /// that it does not declare. Others that it reads stay, such as `authorization`.
    fn remove_read(&self, headers: &mut HeaderMap, own: &HeaderMap) {
        remove_read(headers, |headers, hidden| {
            catch_panic(|| self.with(|propagator| find_span(propagator, headers, own, hidden)))
        });
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
                propagator.inject_context(context, &mut HeaderInjector(&mut injected));
                injected
            })
        });
        let mut injected = injected.unwrap_or_default();
        if injected.is_empty() && matches!(self, Self::Global) {
            inject_w3c(context.span().span_context(), &mut injected);
        }
        injected
    }

    /// Whether it is the process-wide one.
    pub(crate) fn is_global(&self) -> bool {
        matches!(self, Self::Global)
    }

    /// Whether the propagator looks for no header and adds nothing to a context, as the API's no-op. Returns `None` if
    /// it panics.
    pub(crate) fn reads_nothing(&self, headers: &HeaderMap) -> Option<bool> {
        catch_panic(|| {
            self.with(|propagator| {
                let (recorder, empty) = (RecordingExtractor::new(headers), Context::new());
                let extracted = propagator.extract_with_context(&empty, &recorder);
                recorder.into_read().is_empty() && !has_added(&extracted, &empty)
            })
        })
    }

    /// Describes the propagator by the headers that it declares.
    pub(crate) fn describe(&self) -> String {
        let source = if self.is_global() { "global" } else { "given" };
        let fields =
            || self.with(|propagator| propagator.fields().map(str::to_owned).collect::<Vec<_>>());
        match (self.reads_nothing(&HeaderMap::new()), catch_panic(fields)) {
            (Some(true), _) => format!("{source}, none (the API's no-op)"),
            (Some(false), Some(fields)) => format!("{source} ({})", fields.join(", ")),
            (None, _) | (_, None) => format!("{source}, panics"),
        }
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
    let mut injector = HeaderInjector(headers);
    injector.set(TRACEPARENT, format_traceparent(span_context));
    injector.set(TRACESTATE, span_context.trace_state().header());
}

/// Writes headers. Skips invalid names and values, and empty values: the SDK's propagator writes an empty `tracestate`.
///
/// Not that of opentelemetry-http: cargo could select another version of it than of the API.
struct HeaderInjector<'a>(&'a mut HeaderMap);

impl Injector for HeaderInjector<'_> {
    fn set(&mut self, key: &str, value: String) {
        if value.is_empty() {
            return;
        }
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(key), HeaderValue::try_from(value)) {
            self.0.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests;
