//! Gives a request its span of `tracing`, and its lines in the access log.

use http::request;

use crate::exchange::guard::ExchangeGuard;
use crate::exchange::signals::Fate;
use crate::exchange::state::Exchange;
use crate::propagation::current::{InnerContext, with_current};
use crate::propagation::tracing_span::{EnteredSpan, TracingSpan};
use crate::settings::Settings;
use crate::telemetry::tracing::request_span::{Known, make_span};

/// Adds the span of `tracing` to the context of the inner service, if the settings ask for one. Logs the arrival of a
/// request that is logged.
// Only the check is inlined: by default there is neither.
#[inline]
pub(super) fn in_tracing_span(
    settings: &Settings,
    parts: &mut request::Parts,
    inner: &mut InnerContext,
    guard: &mut ExchangeGuard,
    fate: Fate,
) {
    if settings.tracing.is_read() {
        add_tracing_span(settings, parts, inner, guard, fate);
    }
}

#[inline(never)]
fn add_tracing_span(
    settings: &Settings,
    parts: &mut request::Parts,
    inner: &mut InnerContext,
    guard: &mut ExchangeGuard,
    fate: Fate,
) {
    let exchange = guard.exchange();
    let span = match fate {
        Fate::Untraced => None,
        Fate::SampledOut | Fate::Traced => {
            let known = known(exchange.as_deref(), fate);
            make_span(settings, parts, inner.context(), known)
        }
    };
    if let Some(exchange) = exchange {
        exchange.start_log(parts, span.as_ref());
    }
    if let Some(span) = span {
        inner.set_tracing_span(span);
    }
}

fn known(exchange: Option<&Exchange>, fate: Fate) -> Known<'_> {
    let open = exchange.filter(|exchange| exchange.at_start.is_some());
    Known {
        shared: open.map(|exchange| &exchange.span),
        request: exchange.map(|exchange| &exchange.request),
        is_sampled_out: fate == Fate::SampledOut,
    }
}

impl Exchange {
    /// Logs the arrival of a request that is logged, and keeps the span for what is reported at the end.
    fn start_log(&mut self, parts: &request::Parts, span: Option<&TracingSpan>) {
        let Some(context) = &self.context else {
            return;
        };
        let settings = &self.shared.settings;
        let cold = self.cold.as_deref();
        if let Some(log) = cold.and_then(|cold| cold.log.as_ref()) {
            let path = cold.and_then(|cold| cold.path.as_ref());
            let _entered = span.map(TracingSpan::enter);
            with_current(context, || log.write_start(settings, parts, path));
        }
        if let Some(span) = span {
            self.cold().tracing_span = Some(span.clone());
        }
    }

    /// Returns the request's span of `tracing`, made current until what is returned is dropped.
    pub(super) fn enter_tracing_span(&self) -> Option<EnteredSpan<'_>> {
        let span = self.cold.as_ref()?.tracing_span.as_ref();
        span.map(TracingSpan::enter)
    }
}
