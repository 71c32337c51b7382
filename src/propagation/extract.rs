//! Extracts a caller with a propagator, and decides whether it becomes the parent.

use http::HeaderMap;
use opentelemetry::baggage::{BaggageExt, KeyValueMetadata};
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::TraceContextExt;
use opentelemetry::{Context, global};

use crate::catch_panic::catch_panic;
use crate::propagation::extracted::Extracted;
use crate::propagation::global_w3c::Recognition;
use crate::propagation::sampling::Rate;
use crate::propagation::strict_headers::StrictHeaders;
use crate::propagation::w3c::extract_w3c;

/// Extracts with the global propagator, whatever it is now. If it is the SDK's for W3C Trace Context, [`extract_w3c`]
/// replaces it, and the lock of the global one is released before the headers are read.
pub(super) fn extract_with_global(
    headers: &HeaderMap,
    current: &Context,
    rate: Rate,
) -> Option<Extracted> {
    static RECOGNITION: Recognition = Recognition::new();

    let extracted = catch_panic(|| {
        global::get_text_map_propagator(|propagator| {
            if RECOGNITION.is_sdks_w3c(propagator) {
                return None;
            }
            Some(extract(propagator, headers, current))
        })
    });
    match extracted {
        Some(None) => extract_w3c(headers, current, rate),
        Some(Some(extracted)) => extracted,
        None => None,
    }
}

/// Extracts with a propagator. Returns `None` if it reads no header that is present and changes nothing.
pub(super) fn extract(
    propagator: &dyn TextMapPropagator,
    headers: &HeaderMap,
    current: &Context,
) -> Option<Extracted> {
    let headers = StrictHeaders::new(headers);
    let extracted = propagator.extract_with_context(current, &headers);
    // A propagator that finds no header may still have added a span or baggage, such as that of the process.
    if !headers.has_answered() && !has_added(&extracted, current) {
        return None;
    }
    Some(Extracted {
        context: with_valid_parent(extracted, current),
        is_only_span: false,
        is_sampled_out: false,
    })
}

/// Whether a context has another span or other baggage than the current one.
pub(super) fn has_added(extracted: &Context, current: &Context) -> bool {
    let baggage = extracted.baggage();
    let is_same_baggage = baggage.is_empty() || std::ptr::eq(baggage, current.baggage());
    !is_same_baggage || !has_same_span(extracted, current)
}

/// Keeps the current span as the parent in two cases:
///
/// * The caller is in the same trace, as with two stacked layers. The current span is nearer to this request.
/// * The caller's ids are invalid. AWS load balancers send a trace id without a span id. A sampler would take such a
///   caller for one that is not sampled.
// Kept out of the path of a request without a caller.
#[inline(never)]
fn with_valid_parent(extracted: Context, current: &Context) -> Context {
    if has_same_span(&extracted, current) {
        return extracted;
    }
    let is_replaced = {
        let (nearest, caller) = (current.span(), extracted.span());
        let (nearest, caller) = (nearest.span_context(), caller.span_context());
        let is_same_trace = nearest.is_valid() && nearest.trace_id() == caller.trace_id();
        caller.is_valid() && !is_same_trace
    };
    if is_replaced {
        return extracted;
    }
    // No span can be taken out of a context. So the baggage is copied into the one that has the current span.
    let entries = extracted.baggage().iter();
    current.with_baggage(entries.map(|(key, (value, metadata))| {
        KeyValueMetadata::new(key.clone(), value.clone(), metadata.clone())
    }))
}

/// Whether both contexts hold the same span, or none.
fn has_same_span(one: &Context, other: &Context) -> bool {
    if !one.has_active_span() || !other.has_active_span() {
        return one.has_active_span() == other.has_active_span();
    }
    std::ptr::eq(one.span().span_context(), other.span().span_context())
}
