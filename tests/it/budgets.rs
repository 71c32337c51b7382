//! The number of allocations of a request and the memory of an open stream, which are the same in every run.
//! Included are a caller, all attributes of a plain request, both events, the handle, a body read to
//! its end, and a span processor that only counts.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use allocation_counter::measure;
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full, StreamBody};
use opentelemetry::trace::noop::NoopTracerProvider;
use opentelemetry::trace::{SpanBuilder, SpanKind, Tracer as _, TracerProvider as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider, Span, SpanData, SpanProcessor};
use tower::{Service, service_fn};
use tower_api_span::{ApiSpanLayer, SpanHandle};
use tower_layer::Layer as _;

use crate::support::ready;

/// Counts ended spans.
#[derive(Clone, Debug, Default)]
struct EndCounter(Arc<AtomicU64>);

impl SpanProcessor for EndCounter {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        assert!(span.attributes.len() >= 9 && span.events.len() == 2);
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// A request extension that is set before the layer.
#[derive(Clone)]
struct Extension;

fn request(has_caller: bool, has_extensions: bool) -> Request<()> {
    let mut request = Request::get("/v1/models")
        .header("host", "api.example.com:8443")
        .header("user-agent", "curl/8.14.1");
    if has_caller {
        let caller = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        request = request.header("traceparent", caller);
    }
    if has_extensions {
        request = request.extension(Extension);
    }
    request.body(()).expect("a request")
}

/// Counts the allocations that `layer` adds to one request.
fn added_by_request(layer: &ApiSpanLayer, has_caller: bool, has_extensions: bool) -> u64 {
    added_by(layer, || request(has_caller, has_extensions))
}

/// Counts the allocations that `layer` adds to one of these requests.
fn added_by(layer: &ApiSpanLayer, request: impl Fn() -> Request<()>) -> u64 {
    let inner = || {
        service_fn(|_: Request<()>| {
            let body = Full::new(Bytes::from_static(b"hello, world"));
            std::future::ready(Ok::<_, Infallible>(Response::new(body)))
        })
    };
    let (mut bare, mut layered) = (inner(), layer.layer(inner()));
    // The first call fills the thread-local caches.
    drop(ready(layered.call(request())));
    let one = request();
    let layered = measure(|| {
        let body = ready(layered.call(one)).expect("a response").into_body();
        assert_eq!(ready(body.collect()).expect("bytes").to_bytes().len(), 12);
    });
    let one = request();
    let bare = measure(|| {
        let body = ready(bare.call(one)).expect("a response").into_body();
        assert_eq!(ready(body.collect()).expect("bytes").to_bytes().len(), 12);
    });
    layered.count_total - bare.count_total
}

#[test]
fn a_request_adds_a_fixed_number_of_allocations() {
    let ends = EndCounter::default();
    let provider = |sampler: Sampler| {
        SdkTracerProvider::builder()
            .with_sampler(sampler)
            .with_span_processor(ends.clone())
            .build()
    };
    let layer = || ApiSpanLayer::new().propagator(TraceContextPropagator::new());
    let off = layer().tracer_provider(&NoopTracerProvider::new());
    let sampled_out = layer().tracer_provider(&provider(Sampler::AlwaysOff));
    let on = layer().tracer_provider(&provider(Sampler::AlwaysOn));
    let no_attributes = on.clone().response_attributes(|_| Vec::new());
    for (rule, layer, has_caller, has_extensions, expected) in [
        ("off", &off, false, false, 0),
        ("off, with a caller", &off, true, false, 1),
        ("sampled out", &sampled_out, true, false, 13),
        ("sampled out, with extensions", &sampled_out, true, true, 11),
        ("recording", &on, true, false, 13),
        ("recording, with extensions", &on, true, true, 11),
        ("recording, without a caller", &on, false, false, 12),
        (
            "recording, no response attributes",
            &no_attributes,
            true,
            false,
            13,
        ),
    ] {
        let allocations = added_by_request(layer, has_caller, has_extensions);
        println!("{rule}: {allocations} allocations");
        assert_eq!(allocations, expected, "{rule}");
    }
    assert_eq!(ends.0.load(Ordering::SeqCst), 8);
}

/// The list is in the caller's context, in that of the request, in the span and in what the processor gets: the API
/// and the SDK need each.
#[test]
fn a_tracestate_is_copied_four_times() {
    let ends = EndCounter::default();
    let provider = SdkTracerProvider::builder()
        .with_span_processor(ends.clone())
        .build();
    let layer = ApiSpanLayer::new().propagator(TraceContextPropagator::new());
    let layer = layer.tracer_provider(&provider);
    for (list, members) in [("", 0), ("a=1", 1), ("a=1,b=2", 2), ("a=1,b=2,c=3", 3)] {
        let request = || {
            let mut request = request(true, false);
            if !list.is_empty() {
                let list = HeaderValue::from_static(list);
                request.headers_mut().insert("tracestate", list);
            }
            request
        };
        // A list, its keys and its values; and once a place for the span while its context is made.
        let copies = if members == 0 {
            0
        } else {
            4 * (1 + 2 * members) + 1
        };
        assert_eq!(added_by(&layer, request), 13 + copies, "{list}");
    }
}

/// Counts the allocations that `layer` adds to a gRPC call, after one of `earlier`.
fn added_by_call(
    layer: &ApiSpanLayer,
    earlier: &'static str,
    timeout: Option<&'static str>,
) -> u64 {
    let call_to = |method| {
        let call = Request::post(format!("http://example.com/pkg.Service/{method}"));
        let mut call = call.header("content-type", "application/grpc");
        if let Some(timeout) = timeout {
            call = call.header("grpc-timeout", timeout);
        }
        call.body(()).expect("a request")
    };
    let call = || call_to("Method");
    let inner = || {
        service_fn(|_: Request<()>| {
            let data = Frame::data(Bytes::from_static(&[0; 5]));
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", HeaderValue::from_static("0"));
            let frames = [data, Frame::trailers(trailers)].map(Ok::<_, Infallible>);
            let response = Response::builder().header("content-type", "application/grpc");
            std::future::ready(response.body(StreamBody::new(stream::iter(frames))))
        })
    };
    let (mut bare, mut layered) = (inner(), layer.layer(inner()));
    // The first call fills the thread-local caches, and confirms its method.
    let body = ready(layered.call(call_to(earlier)))
        .expect("a response")
        .into_body();
    ready(BodyExt::collect(body)).expect("frames");
    let one = call();
    let layered = measure(|| {
        let body = ready(layered.call(one)).expect("a response").into_body();
        let all = ready(BodyExt::collect(body)).expect("frames");
        assert!(all.trailers().is_some());
    });
    let one = call();
    let bare = measure(|| {
        let body = ready(bare.call(one)).expect("a response").into_body();
        let all = ready(BodyExt::collect(body)).expect("frames");
        assert!(all.trailers().is_some());
    });
    layered.count_total - bare.count_total
}

#[test]
fn a_grpc_call_adds_a_fixed_number_of_allocations() {
    let provider = |sampler: Sampler| SdkTracerProvider::builder().with_sampler(sampler).build();
    let layer = || ApiSpanLayer::new().propagator(TraceContextPropagator::new());
    let off = layer().tracer_provider(&NoopTracerProvider::new());
    let sampled_out = layer().tracer_provider(&provider(Sampler::AlwaysOff));
    let on = layer().tracer_provider(&provider(Sampler::AlwaysOn));
    let again = on.clone().span_name("");
    for (rule, layer, earlier, timeout, expected) in [
        ("off", &off, "Method", None, 0),
        ("sampled out", &sampled_out, "Method", None, 12),
        ("recording, not yet learnt", &on, "Other", None, 15),
        ("recording", &again, "Method", None, 11),
        (
            "recording, with a timeout",
            &again,
            "Method",
            Some("1S"),
            12,
        ),
    ] {
        let allocations = added_by_call(layer, earlier, timeout);
        println!("{rule}: {allocations} allocations");
        assert_eq!(allocations, expected, "{rule}");
    }
}

#[test]
fn an_unsampled_service_error_adds_no_allocation() {
    let provider = SdkTracerProvider::builder()
        .with_sampler(Sampler::AlwaysOff)
        .build();
    let layer = ApiSpanLayer::new().tracer_provider(&provider);
    let allocations = |is_error: bool| {
        let mut service = layer.layer(service_fn(move |_: Request<()>| {
            let response = Response::new(Full::new(Bytes::new()));
            std::future::ready(if is_error { Err("no") } else { Ok(response) })
        }));
        drop(ready(service.call(request(true, false))));
        let one = request(true, false);
        measure(|| drop(ready(service.call(one)))).count_total
    };
    assert_eq!(allocations(true), allocations(false));
}

/// The error's texts, its sources and the operator's callback are not asked for.
#[test]
fn an_error_that_nothing_observes_is_not_read() {
    let sampled_out = SdkTracerProvider::builder()
        .with_sampler(Sampler::AlwaysOff)
        .build();
    for layer in [
        ApiSpanLayer::new().tracer_provider(&sampled_out),
        ApiSpanLayer::new().tracer_provider(&NoopTracerProvider::new()),
    ] {
        let layer = layer.error_type_fn(|_| -> Option<&str> { panic!("the callback is called") });
        let allocations = |layer: &ApiSpanLayer, is_error: bool| {
            let mut service = layer.layer(service_fn(move |_: Request<()>| {
                let response = Response::new(Full::new(Bytes::new()));
                let error = tower::timeout::error::Elapsed::new();
                // It has no size, so its box is no allocation.
                std::future::ready(if is_error {
                    Err(tower::BoxError::from(error))
                } else {
                    Ok(response)
                })
            }));
            drop(ready(service.call(request(true, false))));
            let one = request(true, false);
            measure(|| drop(ready(service.call(one)))).count_total
        };
        assert_eq!(allocations(&layer, true), allocations(&layer, false));
    }
}

/// Only the tracer's list grows, by doubling.
#[test]
fn writing_the_attributes_of_the_handler_allocates_nothing_for_each() {
    let provider = SdkTracerProvider::builder().build();
    let layer = ApiSpanLayer::new().tracer_provider(&provider);
    let at_end = |attributes: usize| {
        let mut service = layer.layer(service_fn(move |request: Request<()>| {
            let handle = SpanHandle::from_extensions(request.extensions());
            let keys = (0..attributes).map(|n| format!("test.key_{n}"));
            handle.set_attributes(keys.map(|key| KeyValue::new(key, true)));
            let body = Full::new(Bytes::from_static(b"hello"));
            std::future::ready(Ok::<_, Infallible>(Response::new(body)))
        }));
        let response = ready(service.call(request(false, false)));
        let mut body = response.expect("a response").into_body();
        measure(|| drop(ready(body.frame()))).count_total
    };
    // The first call fills the thread-local caches.
    at_end(1);
    let (one, many) = (at_end(1), at_end(100));
    println!("the end with 1 attribute: {one} allocations, with 100: {many}");
    assert!(many <= one + 8, "{many}");
}

/// Keeps the number of attributes of the last span, and their capacity.
#[derive(Clone, Debug, Default)]
struct AttributeCapacity(Arc<Mutex<(usize, usize)>>);

impl SpanProcessor for AttributeCapacity {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        let attributes = span.attributes;
        *self.0.lock().expect("no panic") = (attributes.len(), attributes.capacity());
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

#[test]
fn a_span_allocates_exactly_the_capacity_for_its_attributes() {
    let last = AttributeCapacity::default();
    let provider = SdkTracerProvider::builder()
        .with_span_processor(last.clone())
        .build();
    let address = || Some(([192, 0, 2, 1], 8_080).into());
    let plain = ApiSpanLayer::new().tracer_provider(&provider);
    let peer = plain.clone().peer_address_fn(move |_| address());
    let local = plain.clone().local_address_fn(move |_| address());
    let route = plain.clone().route_fn(|_| Some("/v1/{what}"));
    let sizes = plain.clone().body_sizes(true);
    let headers = plain
        .clone()
        .capture_request_headers([http::header::ACCEPT, http::header::FORWARDED])
        .capture_response_headers([http::header::CONTENT_TYPE]);
    let all = plain
        .clone()
        .peer_address_fn(move |_| address())
        .client_port(true)
        .local_address_fn(move |_| address())
        .route_fn(|_| Some("/v1/{what}"))
        .body_sizes(true)
        .capture_request_headers([http::header::ACCEPT, http::header::FORWARDED])
        .capture_response_headers([http::header::CONTENT_TYPE]);
    for (rule, layer, has_query) in [
        ("plain", &plain, false),
        ("a query", &plain, true),
        ("a peer", &peer, false),
        ("a local address", &local, false),
        ("a route", &route, false),
        ("sizes", &sizes, false),
        ("headers", &headers, false),
        ("all", &all, true),
    ] {
        let query = if has_query { "?q=1" } else { "" };
        let request = Request::get(format!("http://example.com:81/v1/models{query}"))
            .header("user-agent", "curl/8.14.1")
            .header("content-length", "5")
            .header("accept", "text/html")
            .header("forwarded", "for=203.0.113.9")
            .body(());
        let mut service = layer.layer(service_fn(|_: Request<()>| {
            let response = Response::builder().header("content-type", "text/plain");
            let response = response.body(Full::new(Bytes::from_static(b"hello")));
            std::future::ready(response)
        }));
        let response = ready(service.call(request.expect("a request")));
        let body = response.expect("a response").into_body();
        ready(body.collect()).expect("bytes");
        let (used, capacity) = *last.0.lock().expect("no panic");
        assert_eq!(used, capacity, "{rule}: attributes and their capacity");
    }
}

/// The most bytes that an open stream may hold in addition to the tracer's span.
const MAX_STREAM_BYTES: i64 = 1_024;
/// The same for the answer of a language model: an event is kept, and what was read.
const MAX_ANSWER_BYTES: i64 = MAX_STREAM_BYTES + 1_024 + 512;

/// Keeps the start attributes of the last span.
#[derive(Clone, Debug, Default)]
struct StartAttributes(Arc<Mutex<Vec<KeyValue>>>);

impl SpanProcessor for StartAttributes {
    fn on_start(&self, span: &mut Span, _: &Context) {
        let started = span.exported_data().expect("a span that records");
        *self.0.lock().expect("no panic") = started.attributes;
    }

    fn on_end(&self, _: SpanData) {}

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// Returns the heap bytes that a value holds.
fn heap_bytes<T>(mut make: impl FnMut() -> T) -> i64 {
    // The first call fills the thread-local caches.
    drop(make());
    let mut kept = None;
    let measured = measure(|| kept = Some(make()));
    drop(kept);
    measured.bytes_current
}

/// Opens a response and reads its first frame.
fn open_stream<S, B>(service: &mut S) -> Pin<Box<B>>
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible>,
    B: Body<Error = Infallible>,
{
    let response = ready(service.call(request(true, false)));
    let Ok(response) = response;
    let mut body = Box::pin(response.into_body());
    assert!(matches!(ready(body.frame()), Some(Ok(frame)) if frame.is_data()));
    body
}

#[test]
fn an_open_stream_holds_bounded_memory() {
    fn inner(
        frame: &'static [u8],
    ) -> impl Service<
        Request<()>,
        Response = Response<impl Body<Data = Bytes, Error = Infallible>>,
        Error = Infallible,
        Future = impl Future<
            Output = Result<Response<impl Body<Data = Bytes, Error = Infallible>>, Infallible>,
        >,
    > {
        service_fn(move |_: Request<()>| {
            let frames = [Frame::data(Bytes::from_static(frame))];
            let body = StreamBody::new(stream::iter(frames.map(Ok)).chain(stream::pending()));
            let mut response = Response::new(body);
            let content_type = HeaderValue::from_static("text/event-stream");
            response.headers_mut().insert("content-type", content_type);
            std::future::ready(Ok::<_, Infallible>(response))
        })
    }
    const PLAIN: &[u8] = b"data: hello, world\n\n";
    let id = "i".repeat(40);
    let tokens = |padding: usize| -> &'static [u8] {
        let padding = "p".repeat(padding);
        let token = format!(
            "data: {{\"id\":\"{id}\",\"model\":\"{id}\",\"choices\":[{{\"delta\":{{\"content\":\"a\"}},\
             \"padding\":\"{padding}\"}}]}}\n\n"
        );
        token.repeat(3).into_bytes().leak()
    };
    let (small, large) = (tokens(100), tokens(600));
    let cut = &large[..large.len() / 2];
    let starts = StartAttributes::default();
    let provider = SdkTracerProvider::builder()
        .with_span_processor(starts.clone())
        .build();
    for (rule, layer, frame, max) in [
        ("plain", ApiSpanLayer::new(), PLAIN, MAX_STREAM_BYTES),
        ("LLM", ApiSpanLayer::llm(), small, MAX_ANSWER_BYTES),
        (
            "LLM, large events",
            ApiSpanLayer::llm(),
            large,
            MAX_ANSWER_BYTES,
        ),
        (
            "LLM, a cut event",
            ApiSpanLayer::llm(),
            cut,
            MAX_ANSWER_BYTES,
        ),
        ("LLM, no JSON", ApiSpanLayer::llm(), PLAIN, MAX_ANSWER_BYTES),
    ] {
        let layer = layer
            .propagator(TraceContextPropagator::new())
            .tracer_provider(&provider);
        let bare = heap_bytes(|| open_stream(&mut inner(frame)));
        let layered = heap_bytes(|| open_stream(&mut layer.layer(inner(frame))));
        let attributes = starts.0.lock().expect("no panic").clone();
        assert!(attributes.len() >= 7, "{rule}: {attributes:?}");
        let tracer = provider.tracer("test");
        let span = heap_bytes(|| {
            let mut builder = SpanBuilder::from_name("GET").with_kind(SpanKind::Server);
            builder.attributes = Some(attributes.clone());
            Box::new(tracer.build_with_context(builder, &Context::new()))
        });
        let added = layered - bare - span;
        println!("{rule}: {layered} B - {bare} B bare - {span} B span = {added} B");
        assert!(added <= max, "{rule}: {added} bytes");
    }
}
