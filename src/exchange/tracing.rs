//! Gives a request its span of `tracing`, and its lines in the access log.

use http::request;

use crate::exchange::cold::ColdState;
use crate::exchange::guard::ExchangeGuard;
use crate::exchange::signals::Fate;
use crate::exchange::state::Exchange;
use crate::propagation::current::{InnerContext, with_current};
use crate::propagation::tracing_span::TracingSpan;
use crate::protocol::http::forwarded::read_trusted_hop;
use crate::settings::Settings;
use crate::telemetry::span::network::client_address;
use crate::telemetry::tracing::access_log::RequestLog;
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
        exchange.start_log(parts, span.clone());
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
    /// Logs the arrival of a request that is logged, and prepares the line of its end.
    fn start_log(&mut self, parts: &request::Parts, span: Option<TracingSpan>) {
        let Some(cold) = &mut self.cold else {
            return;
        };
        let ColdState {
            log: Some(log),
            path,
            ..
        } = &mut **cold
        else {
            return;
        };
        let settings = &self.shared.settings;
        let headers = &parts.headers;
        let hop = read_trusted_hop(headers, settings.trusted_proxies, settings.proxy_headers);
        *log = RequestLog {
            client_address: client_address(parts, settings, &hop),
            span,
        };
        if let Some(context) = &self.context {
            with_current(context, || log.write_start(settings, parts, path.as_ref()));
        }
    }
}
