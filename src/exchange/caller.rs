//! The caller of a request: its context, the rate that applies to it, and what the inner service gets to see
//! of it in the request's headers.

use http::HeaderMap;
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, TraceContextExt};

use crate::propagation::sampling::Rate;
use crate::propagation::{Baggage, Extracted};
use crate::settings::Settings;

/// What the context of a request's caller comes to.
#[derive(Default)]
pub(super) struct Caller {
    /// In place of the current context, if one came.
    pub(super) context: Option<Context>,
    /// Whether the rate drops the request. Then `context` is without the sampled flag.
    pub(super) is_sampled_out: bool,
    /// A caller that is not trusted: only a link to it is kept.
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
        // The sampled flag of a caller that is not trusted decides nothing.
        let rate = if is_public { Rate::ALL } else { rate };
        let extracted = settings.propagation.extract(headers, current, rate);
        let Some(Extracted {
            context,
            is_sampled_out,
        }) = extracted
        else {
            return Self::default();
        };
        if !is_public {
            return Self {
                context: Some(context),
                is_sampled_out,
                link: None,
            };
        }
        let span = context.span();
        let caller = span.span_context();
        let is_current = caller.span_id() == current.span().span_context().span_id();
        Self {
            link: (caller.is_valid() && !is_current).then(|| caller.clone()),
            ..Self::default()
        }
    }

    /// Applies the rate. The propagator has applied it to a W3C caller; any other parent is looked at here,
    /// and so is a request without one.
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

/// Puts the context of the span, or of a request that is sampled out, into the request's headers, if the
/// settings ask for it. Without either, the headers of a caller that is not trusted are removed.
#[inline]
pub(super) fn rewrite_headers(
    settings: &Settings,
    headers: &mut HeaderMap,
    caller: &Caller,
    span: Option<&Context>,
    is_public: bool,
) {
    if !settings.propagate_to_inner {
        return;
    }
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
