//! From a request to its open span: whether there is one, under which parent, and what it knows from
//! the start.

use std::sync::Arc;

use http::request;
use opentelemetry::Context;
use opentelemetry::trace::{Event, SpanBuilder, SpanKind};

use super::RequestSpan;
use crate::attributes::{self, AtStart};
use crate::config::Config;
use crate::contain::contain;
use crate::grpc::{self, Protocol};
use crate::handle::SpanHandle;
use crate::outcome::Head;
use crate::propagation::Extracted;
use crate::sampling::Rate;
use crate::semconv as key;
use crate::timeline::Timeline;
use crate::tracer::FoundTracer;

/// What opening a request's span has come to.
pub(crate) struct Opened {
    /// To be current inside, if anything but what is current already: the span's, or without a span
    /// the caller's.
    pub(crate) context: Option<Context>,
    pub(crate) span: Option<RequestSpan>,
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

impl RequestSpan {
    /// Starts the span of a request and puts its handle into the request's extensions. Whatever
    /// fails in here, the request goes on.
    pub(crate) fn open(config: &Arc<Config>, parts: &mut request::Parts) -> Opened {
        let current = contain(Context::current).unwrap_or_default();
        let is_traced = !current.is_telemetry_suppressed() && config.lets_through(parts);
        let tracer = is_traced.then(|| config.tracer.tracer()).flatten();
        let tracer = tracer.filter(|tracer| config.rate.keeps_all() || tracer.is_real());
        // Without a tracer there is nothing to sample, and the caller's word stands.
        let rate = tracer.as_ref().map_or(Rate::ALL, |_| config.rate);
        let caller = config.propagation.extract(&parts.headers, &current, rate);
        let (mut caller, is_sampled_out) = match caller {
            Some(Extracted {
                context,
                is_sampled_out,
            }) => (Some(context), is_sampled_out),
            None => (None, false),
        };
        let Some(tracer) = tracer else {
            return Opened::without_span(caller);
        };
        let parent = caller.as_ref().unwrap_or(&current);
        if is_sampled_out || !rate.keeps_all() {
            // The parent may be of another format than W3C's, or there may be none.
            let without_flag = rate.sampled_out(parent);
            if is_sampled_out || without_flag.is_some() {
                caller = without_flag.or(caller);
                if let Some(context) = caller.as_ref().filter(|_| config.propagate_to_inner) {
                    config.propagation.replace(context, &mut parts.headers);
                }
                return Opened::without_span(caller);
            }
        }
        match contain(|| Self::start(config, parts, parent, &tracer)).flatten() {
            Some((span, context)) => {
                if config.propagate_to_inner {
                    config.propagation.replace(&context, &mut parts.headers);
                }
                Opened {
                    context: Some(context),
                    span: Some(span),
                }
            }
            None => Opened::without_span(caller),
        }
    }

    fn start(
        config: &Arc<Config>,
        parts: &mut request::Parts,
        parent: &Context,
        tracer: &FoundTracer<'_>,
    ) -> Option<(Self, Context)> {
        let timeline = Timeline::start();
        let protocol = grpc::protocol_of_request(&parts.method, &parts.headers);
        let AtStart {
            name,
            attributes,
            written,
        } = attributes::at_start(parts, protocol, config.request_id_header.as_ref());
        let name = config.span_name.clone().unwrap_or(name);
        let mut builder = SpanBuilder::from_name(name)
            .with_kind(SpanKind::Server)
            .with_start_time(timeline.started());
        // Not `with_attributes`, which would collect them anew and without the spare room.
        builder.attributes = Some(attributes);
        let mut events = Vec::with_capacity(2);
        events.push(Event::new(
            key::EVENT_ARRIVED,
            timeline.started(),
            Vec::new(),
            0,
        ));
        builder.events = Some(events);
        let started = tracer.start(builder, parent, timeline)?;
        let span = Self {
            slot: Arc::clone(&started.slot),
            config: Arc::clone(config),
            timeline,
            written,
            is_http: protocol == Protocol::Http,
            head: Head::new(parts.method.clone(), None).with_protocol(protocol),
            timeout: match protocol {
                Protocol::Http => None,
                Protocol::Grpc | Protocol::GrpcWeb => grpc::timeout(&parts.headers),
            },
            grpc_status: None,
            delivery: None,
            time_to_head: None,
            time_to_first_byte: None,
            whole_at: None,
            is_event_stream: false,
            stream: None,
            web_trailers: None,
            end: None,
        };
        parts.extensions.insert(SpanHandle::new(
            started.slot,
            started.context.clone(),
            config.propagation.clone(),
        ));
        Some((span, started.context))
    }
}
