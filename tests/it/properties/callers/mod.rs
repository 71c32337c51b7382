//! From the request's headers to the span's parent, to what is current inside, and to the headers that
//! the inner service gets: for any headers, settings and surroundings as a small model says.

mod arrivals;
mod model;

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
use arrivals::{Arrival, Layer, arrivals};
use model::expected;

/// A span, as far as others know it.
#[derive(Clone, Debug, Default, PartialEq)]
struct Ids {
    trace: u128,
    span: u64,
    is_sampled: bool,
    state: String,
}

impl Ids {
    fn of(span: &SpanContext) -> Self {
        Self {
            trace: u128::from_be_bytes(span.trace_id().to_bytes()),
            span: u64::from_be_bytes(span.span_id().to_bytes()),
            is_sampled: span.is_sampled(),
            state: span.trace_state().header(),
        }
    }

    fn is_there(&self) -> bool {
        self.span != 0
    }

    fn traceparent(&self) -> String {
        let flags = u8::from(self.is_sampled);
        format!("00-{:032x}-{:016x}-{flags:02x}", self.trace, self.span)
    }
}

/// What came of an arrival.
#[derive(Debug, PartialEq)]
struct Came {
    /// The parent by the exported span, if there is one: trace, span; and the links.
    exported: Option<(u128, u64, Vec<(u128, u64)>)>,
    current: Ids,
    baggage: Vec<String>,
    /// `traceparent`, `tracestate` and `baggage` as the inner service gets them, by lines.
    headers: [Vec<String>; 3],
}

proptest! {
    #![proptest_config(config(5_000))]

    #[test]
    fn callers_are_believed_and_told_on_as_the_settings_say(arrival in arrivals()) {
        let came = came(&arrival);
        let expected = expected(&arrival, &came.current);
        assert_eq!(came, expected);
    }
}

fn came(arrival: &Arrival) -> Came {
    let at = Recorder::with(|builder| match arrival.layer {
        Layer::Unsampled => builder.with_sampler(Sampler::AlwaysOff),
        _ => builder,
    });
    let layer = match arrival.layer {
        Layer::Traces | Layer::Unsampled => at.layer(),
        Layer::SampledOut => at.layer().sample_rate(0.0),
        Layer::HalfSampled => at.layer().sample_rate(0.5),
        Layer::Filtered => at.layer().filter(|_| false),
        Layer::NoTracer => at.layer().tracer_provider(&NoopTracerProvider::new()),
    };
    let layer = layer
        .public_endpoint(arrival.is_public)
        .propagate_to_inner(arrival.is_rewritten);
    let layer = if arrival.knows_baggage {
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
            Ids::of(current.span().span_context()),
            baggage,
            ["traceparent", "tracestate", "baggage"].map(lines),
        ));
        std::future::ready(Ok::<_, Infallible>(Response::new(String::new())))
    }));
    let _around = around(arrival).attach();
    drop(ready(service.call(request(arrival))));
    drop(service);
    let (current, baggage, headers) = inside.expect("a call");
    let exported = at.exported().into_iter().find(is_server).map(|span| {
        let links = span.links.iter().map(|link| Ids::of(&link.span_context));
        (
            Ids::of(&span.span_context).trace,
            u64::from_be_bytes(span.parent_span_id.to_bytes()),
            links.map(|link| (link.trace, link.span)).collect(),
        )
    });
    assert_eq!(at.starts(), at.ends());
    Came {
        exported,
        current,
        baggage,
        headers,
    }
}

fn around(arrival: &Arrival) -> Context {
    let mut around = Context::new();
    if let Some((trace, span, is_sampled)) = arrival.around {
        around = around.with_remote_span_context(SpanContext::new(
            TraceId::from(trace),
            SpanId::from(span),
            TraceFlags::default().with_sampled(is_sampled),
            false,
            TraceState::NONE,
        ));
    }
    if arrival.has_own_baggage {
        around = around.with_baggage([KeyValue::new("own", "1")]);
    }
    around
}

fn request(arrival: &Arrival) -> Request<()> {
    let mut request = Request::get("/").body(()).expect("a request");
    let traceparent: Vec<_> = arrival.traceparent.iter().map(|(line, _)| *line).collect();
    for (name, lines) in [
        ("traceparent", &traceparent),
        ("tracestate", &arrival.tracestate),
        ("baggage", &arrival.baggage),
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
