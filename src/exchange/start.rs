//! From a request to its open span: whether there is one, under which parent, and what it knows from
//! the start.

use std::sync::Arc;

use http::{HeaderMap, request};
use opentelemetry::Context;
use opentelemetry::trace::{Event, Link, SpanBuilder, SpanContext, SpanKind, TraceContextExt};

use super::RequestSpan;
use super::cold::ColdState;
use crate::catch_panic::catch_panic;
use crate::handle::SpanHandle;
use crate::outcome::Head;
use crate::propagation::sampling::Rate;
use crate::propagation::{Baggage, Extracted};
use crate::protocol::grpc::{self, Protocol};
use crate::protocol::http::forwarded::{self, Hop};
use crate::provider::tracer::{FoundTracer, StartOptions, Started, no_span};
use crate::recording::clock::Clock;
use crate::recording::shared_span::Slot;
use crate::semconv as key;
use crate::settings::Settings;
use crate::telemetry::metrics::Meter;
use crate::telemetry::span::{self, RequestInfo, StartAttributes, StartKeys};

/// What opening a request's span has come to.
pub(crate) struct Opened {
    /// To be current inside, if anything but what is current already: the span's, or without a span
    /// the caller's.
    pub(crate) context: Option<Context>,
    pub(crate) span: Option<Box<RequestSpan>>,
}

impl Opened {
    /// No span; the caller's context flows on, if there is one.
    fn without_span(context: Option<Context>) -> Self {
        Self {
            context,
            span: None,
        }
    }
}

/// What is made of the context that came with a request.
#[derive(Default)]
struct Caller {
    /// What flows on in place of what is current, if anything did come.
    context: Option<Context>,
    /// The caller's sampled flag was taken away, because of the rate.
    is_sampled_out: bool,
    /// Of a stranger no more is kept than who it was.
    link: Option<SpanContext>,
}

impl Caller {
    fn of(
        config: &Settings,
        parts: &request::Parts,
        current: &Context,
        rate: Rate,
        is_public: bool,
    ) -> Self {
        // A stranger's sampling decides nothing here.
        let rate = if is_public { Rate::ALL } else { rate };
        let extracted = config.propagation.extract(&parts.headers, current, rate);
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
}

impl RequestSpan {
    /// Starts the span of a request and puts its handle into the request's extensions; without a span
    /// the same for metrics and logs, if there are any. Whatever fails in here, the request goes on.
    pub(crate) fn open(config: &Arc<Settings>, parts: &mut request::Parts) -> Opened {
        let current = catch_panic(Context::current).unwrap_or_default();
        let is_watched = !current.is_telemetry_suppressed() && config.lets_through(parts);
        let others = OtherSignals::of(config, is_watched);
        let tracer = is_watched.then(|| config.tracer.tracer()).flatten();
        let tracer = tracer.filter(|tracer| config.rate.keeps_all() || tracer.is_real());
        // Without a tracer there is nothing to sample, and the caller's word stands.
        let rate = tracer.as_ref().map_or(Rate::ALL, |_| config.rate);
        let is_public = config.is_public(parts);
        let Caller {
            context: mut caller,
            is_sampled_out,
            link,
        } = Caller::of(config, parts, &current, rate, is_public);
        let take_out_stranger = |headers: &mut HeaderMap| {
            if is_public && config.propagate_to_inner {
                config.propagation.strip(headers);
            }
        };
        let Some(tracer) = tracer else {
            take_out_stranger(&mut parts.headers);
            return others.open(config, parts, caller, current, None);
        };
        let baggage = if is_public {
            Baggage::FromContext
        } else {
            Baggage::FromCaller
        };
        let parent = caller.as_ref().unwrap_or(&current);
        if is_sampled_out || !rate.keeps_all() {
            // The parent may be of another format than W3C's, or there may be none.
            let without_flag = rate.sample_out(parent);
            if is_sampled_out || without_flag.is_some() {
                caller = without_flag.or(caller);
                if let Some(context) = caller.as_ref().filter(|_| config.propagate_to_inner) {
                    let headers = &mut parts.headers;
                    config.propagation.replace(context, headers, baggage);
                }
                return others.open(config, parts, caller, current, None);
            }
        }
        let mut facts = None;
        let started =
            catch_panic(|| Self::start(config, parts, parent, link, &tracer, &others, &mut facts));
        let Some((span, context)) = started.flatten() else {
            take_out_stranger(&mut parts.headers);
            return others.open(config, parts, caller, current, facts);
        };
        if config.propagate_to_inner {
            let headers = &mut parts.headers;
            config.propagation.replace(&context, headers, baggage);
        }
        Opened {
            context: Some(context),
            span: Some(span),
        }
    }

    fn start(
        config: &Arc<Settings>,
        parts: &mut request::Parts,
        parent: &Context,
        link: Option<SpanContext>,
        tracer: &FoundTracer<'_>,
        others: &OtherSignals,
        found: &mut Option<RequestInfo>,
    ) -> Option<(Box<Self>, Context)> {
        let watch = StartOptions {
            timeline: Clock::start(),
            by_others: others.are_there(),
        };
        let hop = hop(config, parts);
        let protocol = protocol(config, parts);
        // They stay there if there is no span, so that nobody is asked twice.
        let facts = found.insert(RequestInfo::of(parts, protocol, config, &hop));
        let StartAttributes {
            name,
            is_named,
            attributes,
            written,
        } = span::at_start(parts, config, facts, &hop);
        drop(hop);
        let started_at = watch.timeline.started();
        let mut builder = SpanBuilder::from_name(name)
            .with_kind(SpanKind::Server)
            .with_start_time(started_at);
        // Not `with_attributes`, which would collect them anew and without the spare room.
        builder.attributes = Some(attributes);
        if config.lifecycle_events.are_on_spans() {
            let mut events = Vec::with_capacity(2);
            events.push(Event::new(key::EVENT_ARRIVED, started_at, Vec::new(), 0));
            builder.events = Some(events);
        }
        builder.links = link.map(|caller| vec![Link::with_context(caller)]);
        let Started { slot, context } = tracer.start(builder, parent, watch)?;
        let facts = found.take()?;
        let mut span = Self::new(config, parts, facts, slot, others);
        span.written = written;
        span.is_named = is_named;
        span.give_handle(parts, context.clone());
        Some((span, context))
    }

    /// A request that is watched from now on.
    fn new(
        config: &Arc<Settings>,
        parts: &request::Parts,
        facts: RequestInfo,
        slot: Arc<dyn Slot>,
        others: &OtherSignals,
    ) -> Box<Self> {
        let protocol = facts.protocol;
        Box::new(Self {
            listens: slot.listens(),
            records: slot.records(),
            slot,
            config: Arc::clone(config),
            is_span: true,
            written: StartKeys::default(),
            is_named: false,
            metered: others
                .meter
                .as_ref()
                .map(|meter| meter.start(&facts, config)),
            facts,
            head: Head::new(parts.method.clone(), None).with_protocol(protocol),
            delivery: None,
            time_to_head: None,
            time_to_first_byte: None,
            whole_at: None,
            is_event_stream: false,
            is_stream: false,
            stream: None,
            rare: ColdState::of(config, parts, protocol),
            is_settled: false,
        })
    }

    fn give_handle(&self, parts: &mut request::Parts, context: Context) {
        parts.extensions.insert(SpanHandle::new(
            Arc::clone(&self.slot),
            context,
            self.config.propagation.clone(),
        ));
    }
}

/// Who wants to know of a request beside its span.
struct OtherSignals {
    meter: Option<Meter>,
    are_logged: bool,
}

impl OtherSignals {
    fn of(config: &Settings, is_watched: bool) -> Self {
        Self {
            meter: is_watched.then(|| config.meters.find()).flatten(),
            are_logged: is_watched && config.loggers.is_set(),
        }
    }

    fn are_there(&self) -> bool {
        self.meter.is_some() || self.are_logged
    }

    /// Opens a request without a span; the caller's context flows on.
    fn open(
        &self,
        config: &Arc<Settings>,
        parts: &mut request::Parts,
        caller: Option<Context>,
        current: Context,
        facts: Option<RequestInfo>,
    ) -> Opened {
        if !self.are_there() {
            return Opened::without_span(caller);
        }
        let context = caller.clone().unwrap_or(current);
        let span = catch_panic(|| {
            let timeline = Clock::start();
            let protocol = protocol(config, parts);
            let facts = facts
                .unwrap_or_else(|| RequestInfo::of(parts, protocol, config, &hop(config, parts)));
            let slot = no_span(timeline, &context);
            let mut span = RequestSpan::new(config, parts, facts, slot, self);
            span.is_span = false;
            // That of a layer outside has a span to speak to.
            if parts.extensions.get::<SpanHandle>().is_none() {
                span.give_handle(parts, context);
            }
            span
        });
        Opened {
            context: caller,
            span,
        }
    }
}

/// What is spoken: nothing but HTTP where the operator says that there are no gRPC methods.
fn protocol(config: &Settings, parts: &request::Parts) -> Protocol {
    if config.rpc_methods.has_any() {
        grpc::detect_protocol(&parts.method, &parts.headers)
    } else {
        Protocol::Http
    }
}

/// What the trusted proxies say.
fn hop<'a>(config: &Settings, parts: &'a request::Parts) -> Hop<'a> {
    let headers = &parts.headers;
    forwarded::read_trusted_hop(headers, config.trusted_proxies, config.proxy_headers)
}
