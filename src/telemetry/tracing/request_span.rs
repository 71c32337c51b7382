//! Makes the request's span of `tracing`.

use std::sync::Arc;

use http::request;
use opentelemetry::trace::{SpanContext, TraceContextExt};
use opentelemetry::{Context, StringValue};
use tracing::Span;
use tracing::field::{Empty, display};

use super::TARGET;
use crate::catch_panic::catch_panic;
use crate::propagation::current::{current, with_current};
use crate::propagation::tracing_span::TracingSpan;
use crate::recording::request_info::RequestInfo;
use crate::recording::request_tracer::{Starting, announce, is_used};
use crate::recording::shared_span::SharedSpan;
use crate::settings::Settings;
use crate::telemetry::span::http::route;
use crate::telemetry::span::target::{Target, has_own_extensions};
use crate::text::truncate;

/// What is known of a request at its start.
#[derive(Clone, Copy, Default)]
pub(crate) struct Known<'a> {
    /// The SERVER span, if the request has one.
    pub(crate) shared: Option<&'a Arc<SharedSpan>>,
    /// The request, if something else observes it.
    pub(crate) request: Option<&'a RequestInfo>,
    /// Whether the rate drops the request. Then its context is not sampled.
    pub(crate) is_sampled_out: bool,
}

/// Makes the span of a request, if the settings ask for it and a subscriber records it. `context` is that of the inner
/// service.
pub(crate) fn make_span(
    settings: &Settings,
    parts: &mut request::Parts,
    context: Option<&Context>,
    known: Known<'_>,
) -> Option<TracingSpan> {
    let tracing = &settings.tracing;
    if !tracing.has_span {
        return None;
    }
    let around = || context.cloned().unwrap_or_else(current);
    with_current(&around(), || {
        let ids = current().span().span_context().clone();
        let custom = tracing.span.call(|make| make(parts));
        let span = match custom.and_then(Result::ok) {
            Some(span) => {
                catch_panic(|| record_ids(&span, &ids));
                Some(span)
            }
            None => catch_panic(|| make(settings, parts, &ids, known.request)),
        };
        let span = TracingSpan::new(span?)?;
        if is_used() {
            catch_panic(|| announce_request(&span, known, ids));
        }
        Some(span)
    })
}

/// Records the ids in a span that the operator has made, if it declares the fields.
fn record_ids(span: &Span, ids: &SpanContext) {
    if ids.is_valid() {
        span.record("trace_id", display(ids.trace_id()));
        span.record("span_id", display(ids.span_id()));
    }
}

fn make(
    settings: &Settings,
    parts: &mut request::Parts,
    ids: &SpanContext,
    request: Option<&RequestInfo>,
) -> Span {
    let has_own_extensions = has_own_extensions(parts);
    let target = Target::read(parts, has_own_extensions);
    let route = match request {
        Some(request) => request.route.clone(),
        None => route(parts, target, settings),
    };
    let is_valid = ids.is_valid();
    let request_id = settings.request_id_header.as_ref();
    let request_id = request_id.and_then(|name| parts.headers.get(name)?.to_str().ok());
    tracing::info_span!(
        target: TARGET,
        "request",
        method = truncate(parts.method.as_str()),
        path = truncate(target.path()),
        route = route.as_ref().map(StringValue::as_str),
        request_id = request_id.map(truncate),
        trace_id = is_valid.then(|| display(ids.trace_id())),
        span_id = is_valid.then(|| display(ids.span_id())),
        user_id = Empty,
        session_id = Empty,
        tenant = Empty,
    )
}

/// Has tracing-opentelemetry start the span now, if its tracer is a `RequestTracer`. Without a tracer of the layer, the
/// span is one like any other.
fn announce_request(span: &TracingSpan, known: Known<'_>, ids: SpanContext) {
    let starting = match known.shared {
        Some(shared) => Starting::Request(Arc::clone(shared), ids),
        None if known.is_sampled_out => Starting::Hidden(ids),
        None => return,
    };
    let Some(parent) = span.span() else {
        return;
    };
    announce(starting, |has_started| {
        // By default it starts a span that is entered.
        drop(span.enter());
        if !has_started() {
            // Without context activation it starts the parent of a span that is made.
            drop(tracing::info_span!(target: TARGET, parent: parent, "request start"));
        }
    });
}
