//! The floor: the work of `recording` for a plain request, written by hand with the OpenTelemetry API. It has
//! no handle and no classification, and does not catch panics.

use std::convert::Infallible;
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Request, header};
use http_body::Body;
use opentelemetry::KeyValue;
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::{SpanKind, TraceContextExt as _, Tracer as _, TracerProvider as _};
use opentelemetry_http::HeaderExtractor;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;

use super::services::{Answers, Read, head, read};

/// Returns a function that sends requests through `service`, each with a span around it.
pub(crate) fn handwritten_sender<S, B>(
    mut service: S,
    provider: &SdkTracerProvider,
) -> impl FnMut(Request<()>) -> Read + use<S, B>
where
    S: Answers<B>,
    B: Body<Data = Bytes, Error = Infallible>,
{
    let tracer = provider.tracer("by hand");
    let propagator = TraceContextPropagator::new();
    move |request| {
        let arrived = Instant::now();
        let headers = request.headers();
        let parent = propagator.extract(&HeaderExtractor(headers));
        let host = text(headers, header::HOST);
        let (host, port) = host.split_once(':').unwrap_or((host, "80"));
        let method = request.method().as_str().to_owned();
        let span = tracer
            .span_builder(method.clone())
            .with_kind(SpanKind::Server)
            .with_attributes([
                KeyValue::new("http.request.method", method),
                KeyValue::new("url.path", request.uri().path().to_owned()),
                KeyValue::new("url.scheme", "http"),
                KeyValue::new("network.protocol.version", "1.1"),
                KeyValue::new("server.address", host.to_owned()),
                KeyValue::new("server.port", port.parse::<i64>().unwrap_or(80)),
                KeyValue::new(
                    "user_agent.original",
                    text(headers, header::USER_AGENT).to_owned(),
                ),
            ])
            .start_with_context(&tracer, &parent);
        let context = parent.with_span(span);
        let _inside = context.clone().attach();
        let span = context.span();
        span.add_event("api.ARRIVED", Vec::new());
        let response = head(&mut service, request);
        let status = i64::from(response.status().as_u16());
        span.set_attribute(KeyValue::new("http.response.status_code", status));
        let time_to_head = arrived.elapsed().as_secs_f64();
        span.set_attribute(KeyValue::new("api.time_to_head", time_to_head));
        let read = read(response.into_body());
        // The body is one frame, so its end is also the time of its first byte.
        let time_to_first_byte = arrived.elapsed().as_secs_f64();
        span.set_attribute(KeyValue::new("api.time_to_first_byte", time_to_first_byte));
        span.set_attribute(KeyValue::new("api.outcome", "DEPARTED"));
        span.add_event("api.DEPARTED", Vec::new());
        span.end();
        read
    }
}

fn text(headers: &HeaderMap, name: HeaderName) -> &str {
    let value = headers.get(name);
    value.and_then(|value| value.to_str().ok()).unwrap_or("")
}
