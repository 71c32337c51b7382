//! Allocations of filtered requests, of requests that are sampled out, and of frames in event streams.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use allocation_counter::measure;
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body::{Body, Frame};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::Sampler;
use tower::Service;
use tower_api_span::ApiSpanLayer;
use tower_layer::Layer as _;

use super::{event_stream, llm};
use crate::support::body::ScriptedBody;
use crate::support::recorder::Recorder;
use crate::support::{answering, poll_frame, ready, response};

/// Returns a request, with a sampled caller if asked for.
fn request(method: Method, path: &str, has_caller: bool) -> Request<()> {
    let request = Request::builder().method(method).uri(path);
    let request = if has_caller {
        let caller = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        request.header("traceparent", caller)
    } else {
        request
    };
    request.body(()).expect("a request")
}

/// Counts the allocations of one request, read to the end of its response.
fn count_allocations<S, B>(service: &mut S, request: Request<()>) -> u64
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible>,
    B: Body<Data = Bytes> + Unpin,
{
    let counted = measure(|| {
        let response = ready(service.call(request)).expect("a response");
        let mut body = response.into_body();
        while let Poll::Ready(Some(_)) = poll_frame(&mut body) {}
    });
    counted.count_total
}

/// Counts the allocations that `layer` adds to one request.
fn added_allocations(layer: &ApiSpanLayer, request: impl Fn() -> Request<()>) -> u64 {
    let inner = || {
        tower::service_fn(|_: Request<()>| {
            std::future::ready(Ok::<_, Infallible>(response(200, ScriptedBody::new([]))))
        })
    };
    let (mut bare, mut layered) = (inner(), layer.layer(inner()));
    // The first request fills the thread-local caches.
    count_allocations(&mut layered, request());
    count_allocations(&mut layered, request()) - count_allocations(&mut bare, request())
}

#[test]
fn a_filtered_request_adds_no_allocation_or_two_with_a_caller() {
    let recorder = Recorder::new();
    let layer = llm(&recorder)
        .propagator(TraceContextPropagator::new())
        .filter(|request| {
            let is_other = matches!(request.uri.path(), "/health" | "/v1/models");
            request.method != Method::OPTIONS && !is_other
        });
    for (method, path) in [
        (Method::OPTIONS, "/v1/chat/completions"),
        (Method::GET, "/health"),
        (Method::GET, "/v1/models"),
    ] {
        let added =
            |has_caller| added_allocations(&layer, || request(method.clone(), path, has_caller));
        assert_eq!(added(false), 0, "{method} {path}");
        let with_caller = added(true);
        println!("{method} {path} with a caller: {with_caller}");
        assert!(with_caller <= 2, "{method} {path}: {with_caller}");
    }
    assert_eq!(recorder.starts(), 0);
}

#[test]
fn a_request_sampled_out_adds_two_allocations_at_most() {
    let recorder = Recorder::new();
    for (case, layer) in [
        ("plain", ApiSpanLayer::new()),
        ("the preset", ApiSpanLayer::llm()),
    ] {
        let layer = layer
            .tracer_provider(&recorder.provider)
            .propagator(TraceContextPropagator::new())
            .sample_rate(0.0);
        for has_caller in [false, true] {
            let added = added_allocations(&layer, || request(Method::POST, "/v1/x", has_caller));
            println!("sampled out, {case}, caller {has_caller}: {added}");
            assert!(added <= 2, "{case}, caller {has_caller}: {added}");
        }
    }
    assert_eq!(recorder.starts(), 0);
}

#[test]
fn an_answer_is_read_only_for_a_span_that_records() {
    let recorder = Recorder::with(|builder| builder.with_sampler(Sampler::AlwaysOff));
    let count = |layer: ApiSpanLayer| {
        let layer = layer.tracer_provider(&recorder.provider);
        added_allocations(&layer, || request(Method::POST, "/v1/x", false))
    };
    assert_eq!(count(ApiSpanLayer::llm()), count(ApiSpanLayer::new()));
}

/// A body that repeats its frames without end.
struct Endless {
    frames: &'static [&'static [u8]],
    next: usize,
}

impl Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let frame = self.frames[self.next % self.frames.len()];
        self.next += 1;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(frame)))))
    }
}

#[test]
fn reading_an_event_stream_adds_few_allocations_and_none_per_frame() {
    const WHOLE: &[&[u8]] = &[
        b"data: {\"choices\":[{\"delta\":{\"content\":\"Hi\"}}]}\n\n",
        b": keep-alive\n\n",
        b"id: 7\nevent: message\ndata: one\n\ndata: two\r\n\r\n",
    ];
    const CUT: &[&[u8]] = &[
        b"data: {\"choices\":[{\"delta\":",
        b"{\"content\":\"Hi\"}}]}\n",
        b"\ndata: [DON",
        b"E] not\n\n",
        b"data: a line that is longer than others ",
        &[b'x'; 5_000],
        b"\r\n\r\n",
    ];
    let (with_reader, without_reader) = (llm as fn(&Recorder) -> ApiSpanLayer, Recorder::layer);
    for (case, layer, frames, max_first, max_others) in [
        ("whole events", with_reader, WHOLE, 0, 5),
        ("cut lines", with_reader, CUT, 0, 5),
        ("cut lines without a reader", without_reader, CUT, 0, 0),
    ] {
        let recorder = Recorder::new();
        let mut service = answering(&layer(&recorder), |_| {
            event_stream([]).map(|_| Endless { frames, next: 0 })
        });
        let response = ready(service.call(request(Method::POST, "/", false)));
        let mut body = response.expect("a response").into_body();
        let mut poll = |frames: usize| {
            measure(|| {
                for _ in 0..frames {
                    assert!(poll_frame(&mut body).is_ready());
                }
            })
        };
        // What is kept of an event is allocated once: a name, data that is no JSON, an event to compare with.
        let (first, others) = (poll(1), poll(10_000));
        let bytes = first.bytes_total + others.bytes_total;
        let (first, others) = (first.count_total, others.count_total);
        println!("{case}: {first} for the first frame, {others} for 10,000 others, {bytes} bytes");
        assert!(others <= max_others, "{case}: {others}");
        assert!(first <= max_first, "{case}: {first}");
        assert!(bytes < 2_048, "{case}: {bytes} bytes");
        assert_eq!(recorder.ends(), 0, "{case}: the span is still open");
    }
}
