//! Starts an exchange: decides which signals the request has, reads the request, and starts its span.

use std::sync::Arc;

use http::request;
use opentelemetry::Context;
use opentelemetry::trace::{Event, Link, SpanBuilder, SpanContext, SpanKind, TraceContextExt};

use crate::catch_panic::catch_panic;
use crate::exchange::caller::{Caller, rewrite_headers};
use crate::exchange::cold::ColdState;
use crate::exchange::guard::ExchangeGuard;
use crate::exchange::shared::Shared;
use crate::exchange::signals::{Fate, OtherSignals};
use crate::exchange::state::{Exchange, Phase};
#[cfg(feature = "tracing")]
use crate::exchange::tracing::in_tracing_span;
use crate::handle::SpanHandle;
use crate::propagation::current::{InnerContext, current};
use crate::propagation::sampling::Rate;
use crate::protocol::grpc::{Protocol, detect_protocol};
use crate::protocol::http::forwarded::{Hop, read_trusted_hop};
use crate::provider::parent::Parent;
use crate::provider::start_span::{StartOptions, StartedSpan};
use crate::provider::tracer::FoundTracer;
use crate::recording::clock::Clock;
use crate::recording::measured::Measured;
use crate::recording::request_info::RequestInfo;
use crate::recording::shared_span::SharedSpan;
use crate::semconv::EVENT_ARRIVED;
use crate::settings::Settings;
use crate::telemetry::span::end::AtStart;
use crate::telemetry::span::request::{read_request, read_target};
use crate::telemetry::span::start::{SpanStart, describe_start};
use crate::telemetry::span::target::{Target, has_own_extensions};

/// Starts the exchange of a request. Returns the context for the inner service, and the guard that ends the
/// exchange. A failure in here never stops the request.
///
/// Inserts a handle into the request's extensions, if anything observes the request.
pub(crate) fn start(
    shared: &Arc<Shared>,
    parts: &mut request::Parts,
) -> (InnerContext, ExchangeGuard) {
    let settings = &shared.settings;
    let current = current();
    let is_traced = !current.is_telemetry_suppressed() && settings.should_trace(parts);
    let signals = OtherSignals::find(shared, parts, is_traced);
    let tracer = find_tracer(shared, is_traced);
    let is_public = settings.is_public(parts);
    // Without a tracer the rate does not apply, and the caller's sampled flag stays.
    let rate = tracer.as_ref().map_or(Rate::ALL, |_| settings.rate);
    let mut caller = Caller::read(settings, &parts.headers, &current, rate, is_public);
    if tracer.is_some() {
        caller.sample(&current, rate);
    }
    let tracer = tracer.filter(|_| !caller.is_sampled_out);
    let fate = match (is_traced, caller.is_sampled_out) {
        (false, _) => Fate::Untraced,
        (true, true) => Fate::SampledOut,
        (true, false) => Fate::Traced,
    };
    let headers = &mut parts.headers;
    if tracer.is_none() && !signals.is_any_enabled() {
        rewrite_headers(settings, headers, &caller, None, is_public);
        let (mut inner, mut guard) = (InnerContext::new(caller.context), ExchangeGuard::default());
        in_tracing_span(settings, parts, &mut inner, &mut guard, fate);
        return (inner, guard);
    }
    // At a public endpoint the span starts a new trace anyhow.
    let is_unread = !is_public
        && caller.context.is_none()
        && (settings.missing).is_caller_unread(&settings.propagation, headers, &current);
    let observed = catch_panic(|| observe(shared, parts, &mut caller, current, tracer, &signals));
    let (context, mut exchange) = observed.unwrap_or_default();
    if is_unread && context.is_some() {
        let missing = &settings.missing;
        missing.check_propagator(&settings.propagation, &parts.headers);
    }
    let headers = &mut parts.headers;
    rewrite_headers(settings, headers, &caller, context.as_ref(), is_public);
    let mut inner = InnerContext::new(context.or(caller.context));
    in_tracing_span(settings, parts, &mut inner, &mut exchange, fate);
    (inner, exchange)
}

/// Without the feature `tracing` a request has no span of it, and there is no access log.
#[cfg(not(feature = "tracing"))]
fn in_tracing_span(
    _: &Settings,
    _: &request::Parts,
    _: &mut InnerContext,
    _: &mut ExchangeGuard,
    _: Fate,
) {
}

/// Returns the tracer for this request, if there is one.
fn find_tracer(shared: &Shared, is_traced: bool) -> Option<FoundTracer<'_>> {
    let tracers = &shared.providers.tracers;
    let tracer = is_traced.then(|| tracers.tracer()).flatten();
    // Starting a span finds out whether the tracer is the API's no-op. A request that is sampled out starts no
    // span, so with a rate the tracer is tried here.
    tracer.filter(|tracer| shared.settings.rate.keeps_all() || tracer.is_real())
}

/// A span that has started, and the data from its start that its end needs.
struct OpenSpan {
    started: StartedSpan,
    at_start: AtStart,
}

impl OpenSpan {
    fn is_recording(&self) -> bool {
        self.started.span.is_recording()
    }
}

/// Reads the request, starts its span, and inserts the handle. Returns the span's context, if there is a
/// span, and the guard. If the tracer panics, the others still observe the request.
fn observe(
    shared: &Arc<Shared>,
    parts: &mut request::Parts,
    caller: &mut Caller,
    current: Context,
    tracer: Option<FoundTracer<'_>>,
    signals: &OtherSignals,
) -> (Option<Context>, ExchangeGuard) {
    let settings = &shared.settings;
    let clock = Clock::start();
    let claimed = claimed_protocol(settings, parts);
    let has_own_extensions = has_own_extensions(parts);
    let hop = read_hop(settings, parts);
    let target = Target::read(parts, has_own_extensions);
    let request = read_info(shared, parts, target, claimed, &hop);
    // All that can panic is read before the span starts.
    let mut cold = ColdState::read(settings, parts, target, claimed, &hop, signals);
    let (measurement, measured) = signals.measure(shared, parts, clock, &request);
    let options = signals.start_options(clock);
    let open = tracer.and_then(|tracer| {
        let link = caller.link.take();
        let parent = &mut Parent::new(&current, &mut caller.context, caller.is_only_span);
        catch_panic(|| {
            let start = describe_start(parts, target, settings, &request, &hop, clock.started());
            start_span(shared, start, link, tracer, parent, options)
        })
    });
    let open = open.flatten();
    if open.is_none() && !options.has_other_readers {
        return (None, ExchangeGuard::default());
    }
    if open.as_ref().is_some_and(OpenSpan::is_recording) {
        ColdState::set_target(&mut cold, read_target(target, &request, settings));
    }
    let (span, at_start, context) =
        share_span(shared, parts, open, caller, current, clock, measured);
    let exchange = Exchange {
        cold,
        measurement,
        phase: Phase::AwaitingHead { claimed },
        span,
        shared: Arc::clone(shared),
        request,
        at_start,
        emits_events: signals.has_logger,
        context: options.has_other_readers.then(|| context.clone()),
    };
    let inner = exchange.at_start.is_some().then_some(context);
    (inner, ExchangeGuard::new(Box::new(exchange)))
}

/// Reads what the end needs of the request.
#[inline]
fn read_info(
    shared: &Shared,
    parts: &request::Parts,
    target: Target<'_>,
    claimed: Protocol,
    hop: &Hop<'_>,
) -> RequestInfo {
    let learnt = &shared.learnt_methods;
    read_request(parts, target, claimed, &shared.settings, learnt, hop)
}

/// Returns the report of the trusted proxies.
fn read_hop<'a>(settings: &Settings, parts: &'a request::Parts) -> Hop<'a> {
    let headers = &parts.headers;
    read_trusted_hop(headers, settings.trusted_proxies, settings.proxy_headers)
}

/// Returns the protocol that the request's content type claims.
fn claimed_protocol(settings: &Settings, parts: &request::Parts) -> Protocol {
    // An empty list of known gRPC methods turns gRPC off.
    if settings.rpc_methods.has_any() {
        detect_protocol(&parts.method, &parts.headers)
    } else {
        Protocol::Http
    }
}

/// Starts the span. Returns `None` if the tracer makes no span for this request.
fn start_span(
    shared: &Shared,
    start: SpanStart,
    link: Option<SpanContext>,
    tracer: FoundTracer<'_>,
    parent: &mut Parent<'_>,
    options: StartOptions,
) -> Option<OpenSpan> {
    let has_lifecycle = shared.has_lifecycle_on_span();
    let SpanStart {
        name,
        is_named,
        attributes,
        keys,
        refused,
        waited,
    } = start;
    let arrived = options.clock.started();
    let started_at = match waited {
        Some(waited) if shared.settings.queue.starts_span => arrived - waited,
        _ => arrived,
    };
    let mut builder = SpanBuilder::from_name(name)
        .with_kind(SpanKind::Server)
        .with_start_time(started_at);
    // `with_attributes` would collect them again, without the capacity for the attributes of the end.
    builder.attributes = Some(attributes);
    if has_lifecycle {
        let mut events = Vec::with_capacity(2);
        events.push(Event::new(EVENT_ARRIVED, arrived, Vec::new(), 0));
        builder.events = Some(events);
    }
    builder.links = link.map(|caller| vec![Link::with_context(caller)]);
    let started = tracer.start(builder, parent, options)?;
    Some(OpenSpan {
        started,
        at_start: AtStart {
            keys,
            is_named,
            refused,
            has_lifecycle,
        },
    })
}

/// Inserts the handle. Returns the shared span, the data of its start if it is a span, and the context of the request.
fn share_span(
    shared: &Shared,
    parts: &mut request::Parts,
    open: Option<OpenSpan>,
    caller: &Caller,
    current: Context,
    clock: Clock,
    measured: Measured,
) -> (Arc<SharedSpan>, Option<AtStart>, Context) {
    if let Some(OpenSpan { started, at_start }) = open {
        let context = started.context.clone();
        insert_handle(shared, parts, &started.span, context, measured);
        (started.span, Some(at_start), started.context)
    } else {
        let context = caller.context.clone().unwrap_or(current);
        let span = without_span(shared, parts, context.clone(), clock, measured);
        (span, None, context)
    }
}

/// Creates the recording of a request without a span, which metrics, logs and callbacks read. Not inlined, because most
/// requests have a span.
#[inline(never)]
fn without_span(
    shared: &Shared,
    parts: &mut request::Parts,
    context: Context,
    clock: Clock,
    measured: Measured,
) -> Arc<SharedSpan> {
    let parent = context.span().span_context().clone();
    let span: Arc<SharedSpan> = Arc::new(SharedSpan::without_span(parent, clock));
    // A handle from an outer layer stays, because it may have a span.
    if parts.extensions.get::<SpanHandle>().is_none() {
        insert_handle(shared, parts, &span, context, measured);
    }
    span
}

fn insert_handle(
    shared: &Shared,
    parts: &mut request::Parts,
    span: &Arc<SharedSpan>,
    context: Context,
    measured: Measured,
) {
    let propagation = shared.settings.propagation.clone();
    let is_body_read = shared.settings.gen_ai_attributes;
    let span = Arc::clone(span);
    let handle = SpanHandle::new(span, context, propagation, is_body_read, measured);
    parts.extensions.insert(handle);
}
