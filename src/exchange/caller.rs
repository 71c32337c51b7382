//! The caller of a request: reads its trace context, applies the sampling rate, and rewrites the request's
//! trace headers for the inner service.

use http::HeaderMap;
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, TraceContextExt};

use crate::propagation::sampling::Rate;
use crate::propagation::{Baggage, Extracted};
use crate::settings::Settings;

/// The caller of a request, with the sampling rate applied.
#[derive(Default)]
pub(super) struct Caller {
    /// The context that replaces the current one: a trusted caller's, or one that is sampled out.
    pub(super) context: Option<Context>,
    /// Whether `context` is the current one with another span.
    pub(super) is_only_span: bool,
    /// Whether the rate drops the request. The sampled flag of `context` is then cleared.
    pub(super) is_sampled_out: bool,
    /// The span of an untrusted caller, which the request's span links.
    pub(super) link: Option<SpanContext>,
}

impl Caller {
    pub(super) fn read(
        settings: &Settings,
        headers: &HeaderMap,
        current: &Context,
        rate: Rate,
        is_public: bool,
    ) -> Self {
        // The sampled flag of an untrusted caller is ignored.
        let rate = if is_public { Rate::ALL } else { rate };
        let extracted = settings.propagation.extract(headers, current, rate);
        let Some(Extracted {
            context,
            is_only_span,
            is_sampled_out,
        }) = extracted
        else {
            return Self::default();
        };
        if !is_public {
            return Self {
                context: Some(context),
                is_only_span,
                is_sampled_out,
                link: None,
            };
        }
        let span = context.span();
        let caller = span.span_context();
        let ids = |span: &SpanContext| (span.trace_id(), span.span_id());
        let is_current = ids(caller) == ids(current.span().span_context());
        Self {
            link: (caller.is_valid() && !is_current).then(|| caller.clone()),
            ..Self::default()
        }
    }

    /// Applies the rate to a request without a parent, and to any parent to which `extract` has not applied it.
    pub(super) fn sample(&mut self, current: &Context, rate: Rate) {
        if rate.keeps_all() {
            return;
        }
        let parent = self.context.as_ref().unwrap_or(current);
        if let Some(unsampled) = rate.sample_out(parent) {
            self.context = Some(unsampled);
            self.is_sampled_out = true;
        }
    }
}

/// Rewrites the request's trace headers, if `propagate_to_inner` is set.
// Only the check is inlined: by default nothing is rewritten.
#[inline]
pub(super) fn rewrite_headers(
    settings: &Settings,
    headers: &mut HeaderMap,
    caller: &Caller,
    span: Option<&Context>,
    is_public: bool,
) {
    if settings.propagate_to_inner {
        replace_caller(settings, headers, caller, span, is_public);
    }
}

/// Replaces the caller's context in the headers with that of the span, or of a request that is sampled out. Without
/// either, removes that of an untrusted caller.
#[inline(never)]
fn replace_caller(
    settings: &Settings,
    headers: &mut HeaderMap,
    caller: &Caller,
    span: Option<&Context>,
    is_public: bool,
) {
    let unsampled = || caller.context.as_ref().filter(|_| caller.is_sampled_out);
    let context = span.or_else(unsampled);
    let baggage = if is_public {
        Baggage::FromContext
    } else {
        Baggage::FromCaller
    };
    match context {
        Some(context) => settings.propagation.replace(context, headers, baggage),
        None if is_public => settings.propagation.strip(headers),
        None => {}
    }
}
