//! The caller's trace context: the parent of the span, the context of the inner service, and the headers
//! that it receives, for any headers, settings and surrounding context.

mod expected;
mod inputs;

use std::convert::Infallible;

use http::{HeaderMap, Request, Response};
use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::trace::noop::NoopTracerProvider;
use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::Sampler;
use proptest::prelude::*;
use tower::{Service, service_fn};
use tower_layer::Layer as _;

use super::config;
use crate::support::ready;
use crate::support::recorder::{Recorder, is_server};
use expected::expected;
use inputs::{Input, Layer, inputs};

/// The identity of a span.
#[derive(Clone, Debug, Default, PartialEq)]
struct Ids {
    trace: u128,
    span: u64,
    is_sampled: bool,
    state: String,
}

impl Ids {
    fn from_span(span: &SpanContext) -> Self {
        Self {
            trace: u128::from_be_bytes(span.trace_id().to_bytes()),
            span: u64::from_be_bytes(span.span_id().to_bytes()),
            is_sampled: span.is_sampled(),
            state: span.trace_state().header(),
        }
    }

    fn is_valid(&self) -> bool {
        self.span != 0
    }

    fn traceparent(&self) -> String {
        let flags = u8::from(self.is_sampled);
        format!("00-{:032x}-{:016x}-{flags:02x}", self.trace, self.span)
    }
}

/// What was observed of a request.
#[derive(Debug, PartialEq)]
struct Observed {
    /// Trace id, parent span id and links of the exported span, if there is one.
    exported: Option<(u128, u64, Vec<(u128, u64)>)>,
    current: Ids,
    baggage: Vec<String>,
    /// The lines of `traceparent`, `tracestate` and `baggage` that the inner service receives.
    headers: [Vec<String>; 3],
}

proptest! {
    #![proptest_config(config(5_000))]

    #[test]
    fn caller_headers_and_settings_decide_parent_context_and_inner_headers(input in inputs()) {
        let observed = observe(&input);
        let expected = expected(&input, &observed.current);
        assert_eq!(observed, expected);
    }
}

fn observe(input: &Input) -> Observed {
    let at = Recorder::with(|builder| match input.layer {
        Layer::Unsampled => builder.with_sampler(Sampler::AlwaysOff),
        _ => builder,
    });
    let layer = match input.layer {
        Layer::Traces | Layer::Unsampled => at.layer(),
        Layer::SampledOut => at.layer().sample_rate(0.0),
        Layer::HalfSampled => at.layer().sample_rate(0.5),
        Layer::Filtered => at.layer().filter(|_| false),
        Layer::NoTracer => at.layer().tracer_provider(&NoopTracerProvider::new()),
    };
    let layer = layer
        .public_endpoint(input.is_public)
        .propagate_to_inner(input.rewrites_headers);
    let layer = if input.reads_baggage {
        layer
    } else {
        layer.propagator(TraceContextPropagator::new())
    };

    let mut inside = None;
    let mut service = layer.layer(service_fn(|request: Request<()>| {
        let current = Context::current();
        let mut baggage: Vec<_> = current
            .baggage()
            .iter()
            .map(|(key, (value, _))| format!("{key}={value}"))
            .collect();
        baggage.sort();
        let lines = |name| lines(request.headers(), name);
        inside = Some((
            Ids::from_span(current.span().span_context()),
            baggage,
            ["traceparent", "tracestate", "baggage"].map(lines),
        ));
        std::future::ready(Ok::<_, Infallible>(Response::new(String::new())))
    }));
    let _around = surroundings(input.around, input.has_own_baggage).attach();
    drop(ready(service.call(request(input))));
    drop(service);
    let (current, baggage, headers) = inside.expect("a call");
    let exported = at.exported().into_iter().find(is_server).map(|span| {
        let links = span
            .links
            .iter()
            .map(|link| Ids::from_span(&link.span_context));
        (
            Ids::from_span(&span.span_context).trace,
            u64::from_be_bytes(span.parent_span_id.to_bytes()),
            links.map(|link| (link.trace, link.span)).collect(),
        )
    });
    assert_eq!(at.starts(), at.ends());
    Observed {
        exported,
        current,
        baggage,
        headers,
    }
}

/// Returns the context around a layer: with a span of this trace id, span id and sampled flag, and with baggage.
pub fn surroundings(span: Option<(u128, u64, bool)>, has_baggage: bool) -> Context {
    let mut around = Context::new();
    if let Some((trace, span, is_sampled)) = span {
        around = around.with_remote_span_context(SpanContext::new(
            TraceId::from(trace),
            SpanId::from(span),
            TraceFlags::default().with_sampled(is_sampled),
            false,
            TraceState::NONE,
        ));
    }
    if has_baggage {
        around = around.with_baggage([KeyValue::new("own", "1")]);
    }
    around
}

fn request(input: &Input) -> Request<()> {
    let mut request = Request::get("/").body(()).expect("a request");
    let traceparent: Vec<_> = input.traceparent.iter().map(|(line, _)| *line).collect();
    for (name, lines) in [
        ("traceparent", &traceparent),
        ("tracestate", &input.tracestate),
        ("baggage", &input.baggage),
    ] {
        for line in lines {
            let line = line.parse().expect("a value");
            request.headers_mut().append(name, line);
        }
    }
    request
}

fn lines(headers: &HeaderMap, name: &str) -> Vec<String> {
    let lines = headers.get_all(name).iter();
    lines
        .map(|line| line.to_str().expect("text").to_owned())
        .collect()
}
