//! The floor: what the API and the SDK cost alone, with the data of a real request. No layer that records this data
//! can cost less, because each of these calls is needed. Nothing is read, decided or checked.

use std::hint::black_box;
use std::sync::Arc;
use std::time::SystemTime;

use http::header::HOST;
use opentelemetry::trace::{
    Event, SpanBuilder, SpanContext, SpanId, SpanKind, TraceContextExt as _, TraceFlags, TraceId,
    TraceState, Tracer as _, TracerProvider as _,
};
use opentelemetry::{Array, Context, Key, KeyValue, StringValue, Value};
use opentelemetry_sdk::trace::{Sampler, SdkTracer};

use crate::real_request::RealRequest;
use crate::support::Ends;

/// A loop of calls of the API.
type Calls = fn(times: u64);

/// The name of each floor.
pub(crate) const FLOORS: [(&str, Calls); 3] = [
    ("a real request", requests),
    ("a frame, in the request's context", frames),
    ("a captured header", headers),
];

/// The strings that the layer owns copies of.
const TEXTS: [(&str, &str); 7] = [
    ("url.path", "/v1/projects/blue-whale/search"),
    (
        "url.query",
        "q=tower+layers&filter=kind%3Dlibrary&sort=updated&order=desc&page=2&size=50&lang=en&theme=dark\
         &utm_source=feed&ref=home",
    ),
    ("server.address", "api.example.com"),
    ("client.address", "192.0.2.10"),
    ("network.peer.address", "192.0.2.10"),
    ("http.route", "/v1/projects/{project}/search"),
    (
        "user_agent.original",
        "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    ),
];

fn requests(times: u64) {
    let ends = Ends::default();
    let tracer = ends.provider(Sampler::AlwaysOn).tracer("floor");
    for _ in 0..times {
        request(&tracer);
    }
    assert_eq!(ends.count(), times, "each request has a span");
}

/// Starts a span with a remote parent, makes it current for the call, the head and the frame, and ends it.
fn request(tracer: &SdkTracer) {
    let trace_state = TraceState::from_key_value(black_box([
        ("vendor", "t61rcWkgMzE"),
        ("other", "00f067aa0ba902b7"),
    ]));
    let caller = SpanContext::new(
        TraceId::from(black_box(1)),
        SpanId::from(2),
        TraceFlags::SAMPLED,
        true,
        trace_state.expect("a trace state"),
    );
    let parent = Context::new().with_remote_span_context(caller);
    let now = SystemTime::now();
    let mut attributes = Vec::with_capacity(15);
    attributes.extend(black_box(TEXTS).map(|(key, text)| KeyValue::new(key, text.to_owned())));
    attributes.push(KeyValue::new("http.request.method", "GET"));
    attributes.push(KeyValue::new("url.scheme", "http"));
    attributes.push(KeyValue::new("network.protocol.version", "1.1"));
    attributes.push(KeyValue::new("network.peer.port", black_box(50_000)));
    let mut builder = SpanBuilder::from_name("GET /v1/projects/{project}/search")
        .with_kind(SpanKind::Server)
        .with_start_time(now);
    builder.attributes = Some(attributes);
    let mut events = Vec::with_capacity(2);
    events.push(Event::new("api.ARRIVED", now, Vec::new(), 0));
    builder.events = Some(events);
    let span = tracer.build_with_context(builder, &parent);
    drop(parent);
    let context = Context::new().with_span(span);
    for _ in 0..3 {
        drop(black_box(context.clone().attach()));
    }
    let span = context.span();
    for (key, value) in black_box([
        ("http.response.status_code", Value::I64(200)),
        ("api.time_to_head", Value::F64(0.1)),
        ("api.time_to_first_byte", Value::F64(0.1)),
        ("api.outcome", Value::from("DEPARTED")),
    ]) {
        span.set_attribute(KeyValue::new(key, value));
    }
    let end = SystemTime::now();
    span.add_event_with_timestamp("api.DEPARTED", end, Vec::new());
    span.end_with_timestamp(end);
}

fn frames(times: u64) {
    let provider = Ends::default().provider(Sampler::AlwaysOn);
    let span = provider.tracer("floor").start("floor");
    let context = Context::new().with_span(span);
    for _ in 0..times {
        drop(black_box(context.clone().attach()));
    }
}

/// Finds a header and makes the attribute, whose type is an array of strings.
fn headers(times: u64) {
    let headers = RealRequest::new().headers;
    let key = Key::from(Arc::<str>::from("http.request.header.host"));
    let mut attributes = Vec::with_capacity(1);
    for _ in 0..times {
        let value = headers.get(black_box(HOST)).expect("a header");
        let text = value.to_str().expect("text").to_owned();
        let list = Value::Array(Array::String(vec![StringValue::from(text)]));
        attributes.push(KeyValue::new(key.clone(), list));
        black_box(&mut attributes).clear();
    }
}
