//! Removes the headers by which a propagator finds a caller, although it does not declare them.

use http::HeaderMap;
use opentelemetry::Context;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{SpanContext, TraceContextExt};

use crate::propagation::recording_extractor::RecordingExtractor;

/// How many headers are found one by one. A client can send hundreds on which its context depends.
const MAX_FOUND: usize = 16;

/// What a propagator finds.
pub(super) struct Found {
    span: SpanContext,
    /// The names of the headers that it has read, in lower case.
    read: Vec<String>,
}

/// Returns what a propagator finds in `headers` and in `own`, which replace those of the same names. It does not see
/// the `hidden` ones of `headers`: names that are sorted and in lower case.
pub(super) fn find_span(
    propagator: &dyn TextMapPropagator,
    headers: &HeaderMap,
    own: &HeaderMap,
    hidden: &[String],
) -> Found {
    let recorder = RecordingExtractor::beside(headers, own, hidden);
    let extracted = propagator.extract_with_context(&Context::new(), &recorder);
    let span = extracted.span().span_context().clone();
    let read = recorder.into_read().into_iter().collect();
    Found { span, read }
}

/// Removes the headers that decide which span the propagator finds. Other headers that it reads stay. If more than
/// [`MAX_FOUND`] headers decide, those that it reads behind the last removed name are removed, too. `find` is
/// [`find_span`] with the propagator and without the hidden headers. `find` returns `None` if the propagator panics.
///
/// Each header is found by a binary search among all that were read, so that a client cannot make this slow.
pub(super) fn remove_read(
    headers: &mut HeaderMap,
    find: impl Fn(&HeaderMap, &[String]) -> Option<Found>,
) {
    let Some(first) = find(headers, &[]) else {
        return;
    };
    let Some((without, mut rest)) = without_read(headers, &first, &find) else {
        return;
    };
    if first.span == without {
        return;
    }
    // Those of `rest` before `shown` are seen without a change.
    let is_same = |headers: &HeaderMap, rest: &[String], shown: usize| {
        let found = find(headers, &rest[shown..]);
        found.is_some_and(|found| found.span == without)
    };
    for _ in 0..MAX_FOUND {
        if is_same(headers, &rest, rest.len()) {
            return;
        }
        let (mut same, mut other) = (0, rest.len());
        while other - same > 1 {
            let middle = same.midpoint(other);
            if is_same(headers, &rest, middle) {
                same = middle;
            } else {
                other = middle;
            }
        }
        // Nothing was read if the propagator finds another span each time.
        let Some(name) = rest.get(same) else {
            return;
        };
        headers.remove(name);
        rest.drain(..=same);
    }
    if !is_same(headers, &rest, rest.len()) {
        for name in rest {
            headers.remove(name);
        }
    }
}

/// Returns the span that is found without any header that is read, and the sorted names of these headers. A header can
/// hide another one, which is read only without it.
fn without_read(
    headers: &HeaderMap,
    first: &Found,
    find: impl Fn(&HeaderMap, &[String]) -> Option<Found>,
) -> Option<(SpanContext, Vec<String>)> {
    let mut hidden = Vec::new();
    let mut read = first.read.clone();
    loop {
        read.retain(|name| headers.contains_key(name));
        hidden.append(&mut read);
        hidden.sort_unstable();
        hidden.dedup();
        let found = find(headers, &hidden)?;
        let is_new =
            |name: &String| headers.contains_key(name) && hidden.binary_search(name).is_err();
        if !found.read.iter().any(is_new) {
            return Some((found.span, hidden));
        }
        read = found.read;
    }
}
