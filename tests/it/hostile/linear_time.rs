//! Inputs that are made to take time: the layer's work grows with their length, and not with its square.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderName, HeaderValue, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use opentelemetry::Context;
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{
    Extractor, Injector, TextMapCompositePropagator, TextMapPropagator,
};
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId};
use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};
use tower::{Service as _, service_fn};
use tower_api_span::{AccessLog, ApiSpanLayer};
use tower_layer::Layer as _;

use crate::support::ready;
use crate::support::recorder::Recorder;

/// How many times as long the longer input is.
const LONGER: usize = 16;
/// The most times as long that it may take as so many shorter inputs. Quadratic work takes 16 times as long.
const MAX_RATIO: f64 = 4.0;
/// The same for a binary search, whose work grows a little faster.
const MAX_RATIO_OF_SEARCH: f64 = 8.0;
/// How often the times are measured, at most. The shortest count: a busy machine makes others longer.
const ROUNDS: usize = 12;

/// Asserts that a longer input takes about as long as many shorter ones of the same length together. `prepare` makes an
/// input of about this length, and returns the work on it.
fn check<F: FnOnce()>(case: &str, length: usize, prepare: impl Fn(usize) -> F) {
    check_within(MAX_RATIO, case, length, prepare);
}

fn check_within<F: FnOnce()>(max: f64, case: &str, length: usize, prepare: impl Fn(usize) -> F) {
    let time = |inputs: usize, length: usize| {
        let all: Vec<_> = (0..inputs).map(|_| prepare(length)).collect();
        let start = Instant::now();
        for work in all {
            work();
        }
        start.elapsed()
    };
    // The first one fills the caches.
    time(1, length);
    let (mut short, mut long) = (Duration::MAX, Duration::MAX);
    let ratio = |long: Duration, short: Duration| long.as_secs_f64() / short.as_secs_f64();
    for _ in 0..ROUNDS {
        short = short.min(time(LONGER, length));
        long = long.min(time(1, length * LONGER));
        if ratio(long, short) <= max {
            break;
        }
    }
    let times = ratio(long, short);
    println!("{case}: {short:?}, {long:?}, {times:.1} times");
    assert!(times <= max, "{case}: {times:.1} times as long");
}

fn layer() -> ApiSpanLayer {
    let propagator = TextMapCompositePropagator::new(vec![
        Box::new(TraceContextPropagator::new()),
        Box::new(BaggagePropagator::new()),
    ]);
    Recorder::new().layer().propagator(propagator)
}

/// Returns the work on a request.
fn serving(layer: &ApiSpanLayer, request: Request<()>) -> impl FnOnce() {
    let mut service = layer.layer(service_fn(|_: Request<()>| {
        std::future::ready(Ok::<_, Infallible>(Response::new(String::new())))
    }));
    move || {
        let response = ready(service.call(request)).expect("a response");
        ready(response.into_body().collect()).expect("a body");
    }
}

/// Returns a request with this header, and a caller.
fn with_header(name: &'static str, value: String) -> Request<()> {
    Request::post("/a/b")
        .header("content-type", "application/grpc")
        .header(
            "traceparent",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        )
        .header(name, value)
        .body(())
        .expect("a request")
}

#[test]
fn the_time_for_a_header_grows_with_its_length() {
    let proxies = layer().trusted_proxies(usize::MAX);
    let proxy = layer().trusted_proxies(1);
    for (case, layer, name, unit) in [
        ("commas", &proxies, "forwarded", ","),
        ("quotes", &proxies, "forwarded", "\""),
        ("escaped quotes", &proxies, "forwarded", "\\\""),
        ("elements", &proxies, "forwarded", "for=\"a\","),
        (
            "elements that are never closed",
            &proxies,
            "forwarded",
            "for=\",\",",
        ),
        ("pairs", &proxy, "forwarded", "a=b;"),
        ("equals signs", &proxy, "forwarded", "="),
        ("escapes", &proxy, "forwarded", "\\a"),
        ("addresses", &proxies, "x-forwarded-for", "a,"),
        ("hosts", &proxies, "x-forwarded-host", "a,"),
        ("commas", &proxy, "tracestate", ","),
        ("members", &proxy, "tracestate", "a=1,"),
        ("a value", &proxy, "tracestate", "a"),
        ("entries", &proxy, "baggage", "a=1,"),
        ("escapes", &proxy, "baggage", "%41"),
        ("at signs", &proxy, "host", "@"),
        ("digits", &proxy, "host", "9"),
        ("digits", &proxy, "grpc-timeout", "9"),
        ("letters", &proxy, "user-agent", "a"),
    ] {
        check(&format!("{name}, {case}"), 4_000, |length| {
            let value = unit.repeat(length / unit.len());
            let value = if case == "escapes" && name == "forwarded" {
                format!("host=\"{value}\"")
            } else {
                value
            };
            serving(layer, with_header(name, value))
        });
    }
}

#[test]
fn the_time_for_a_target_grows_with_its_length() {
    let layer = layer()
        .access_log(AccessLog::new().query(true))
        .on_completion(|_| {});
    for (case, before, unit) in [
        ("segments", "/", "a/"),
        ("escapes", "/", "%41"),
        ("parameters", "/?", "a&"),
        ("sensitive parameters", "/?", "sig=a&"),
        ("encoded parameters", "/?", "%73ig=a&"),
    ] {
        check(case, 4_000, |length| {
            let target = before.to_owned() + &unit.repeat(length / unit.len());
            serving(&layer, Request::get(target).body(()).expect("a request"))
        });
    }
}

#[test]
fn the_time_for_lines_of_a_header_grows_with_their_number() {
    let layer = layer().trusted_proxies(usize::MAX);
    let names = [
        "tracestate",
        "baggage",
        "forwarded",
        "x-forwarded-for",
        "traceparent",
    ];
    for name in names.map(HeaderName::from_static) {
        check(&format!("{name}, lines"), 200, |count| {
            let mut request = with_header("accept", "*/*".to_owned());
            for _ in 0..count {
                let value = HeaderValue::from_static("a=1");
                request.headers_mut().append(&name, value);
            }
            serving(&layer, request)
        });
    }
}

/// Lists the headers of the request to find its caller, and does not declare what it reads.
#[derive(Debug)]
struct Listing;

impl TextMapPropagator for Listing {
    fn inject_context(&self, _: &Context, injector: &mut dyn Injector) {
        injector.set("x-own", "1".to_owned());
    }

    fn extract_with_context(&self, context: &Context, extractor: &dyn Extractor) -> Context {
        let names = extractor.keys();
        let count = names.iter().filter(|name| name.starts_with("z-")).count();
        if count == 0 {
            return context.clone();
        }
        context.with_remote_span_context(SpanContext::new(
            TraceId::from(count as u128),
            SpanId::from(1),
            TraceFlags::SAMPLED,
            true,
            opentelemetry::trace::TraceState::NONE,
        ))
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(&[])
    }
}

#[test]
fn the_time_to_strip_a_caller_grows_with_the_number_of_headers() {
    let layer = layer()
        .propagator(Listing)
        .public_endpoint(true)
        .propagate_to_inner(true);
    for (case, of_caller) in [("one header", 1), ("half of the headers", 2)] {
        let case = format!("the caller is in {case}");
        check_within(MAX_RATIO_OF_SEARCH, &case, 60, |count| {
            let mut request = Request::new(());
            let own = if of_caller == 1 { 1 } else { count / 2 };
            let names = (0..count).map(|nth| {
                let first = if nth < own { "z" } else { "a" };
                HeaderName::try_from(format!("{first}-{nth}")).expect("a name")
            });
            let headers = names.map(|name| (name, HeaderValue::from_static("1")));
            request.headers_mut().extend(headers);
            serving(&layer, request)
        });
    }
}

/// Returns the work on an answer with these frames.
fn answering(
    layer: &ApiSpanLayer,
    content_type: &'static str,
    frames: Vec<Bytes>,
) -> impl FnOnce() + use<> {
    let mut frames = Some(frames);
    let mut service = layer.layer(service_fn(move |_: Request<()>| {
        let frames = frames.take().expect("one request").into_iter();
        let frames = frames.map(|frame| Ok::<_, Infallible>(Frame::data(frame)));
        let mut response = Response::new(StreamBody::new(stream::iter(frames)));
        let content_type = HeaderValue::from_static(content_type);
        response.headers_mut().insert("content-type", content_type);
        std::future::ready(Ok::<_, Infallible>(response))
    }));
    let response = ready(service.call(Request::new(()))).expect("a response");
    let mut body = Box::pin(response.into_body());
    move || while ready(body.frame()).is_some() {}
}

#[test]
fn the_time_for_an_answer_grows_with_its_length() {
    const STREAM: &str = "text/event-stream";
    const LINES: &str = "application/x-ndjson";
    const WHOLE: &str = "application/json";
    let layer = ApiSpanLayer::llm().tracer_provider(&Recorder::new().provider);
    for (case, content_type, before, unit) in [
        ("a name", STREAM, "", "x"),
        ("empty lines", STREAM, "", "\n"),
        ("line ends", STREAM, "", "\r"),
        ("a comment", STREAM, "", ":"),
        ("lines of data", STREAM, "", "data: a\n"),
        ("lines of JSON", STREAM, "data: {\n", "data: \"a\":1,\n"),
        ("events", STREAM, "", "data: {}\n\n"),
        (
            "events of text",
            STREAM,
            "data: a\n\n",
            "data: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n\n",
        ),
        // Like one before up to a text that does not end.
        (
            "cut events",
            STREAM,
            "data: {\"t\":\"a\"}\n\ndata: {\"t\":\"b\"}\n\n",
            "data: {\"t\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n\n",
        ),
        ("names of events", STREAM, "", "event: aaaa\n"),
        ("failures", STREAM, "", "error: aaaa\n"),
        (
            "events of failures",
            STREAM,
            "",
            "data: {\"error\":{\"message\":\"a\"}}\n\n",
        ),
        ("a text", STREAM, "data: {\"a\":\"", "a"),
        ("escapes", STREAM, "data: {\"id\":\"", "\\ud800"),
        ("a number", STREAM, "data: {\"a\":", "9"),
        ("white space", STREAM, "data: {\"a\":", " "),
        (
            "choices",
            STREAM,
            "data: {\"choices\":[",
            "{\"finish_reason\":\"a\"},",
        ),
        (
            "choices of many events",
            STREAM,
            "",
            "data: {\"choices\":[{\"index\":9,\"finish_reason\":\"a\"},{\"index\":1}]}\n\n",
        ),
        ("a line", LINES, "{\"a\":\"", "a"),
        ("lines", LINES, "", "{}\n"),
        ("nested arrays", WHOLE, "", "["),
        ("nested objects", WHOLE, "", "{\"a\":"),
        ("members", WHOLE, "{", "\"error\":{},"),
        ("objects", WHOLE, "[", "{\"error\":{\"message\":\"a\"}},"),
    ] {
        check(&format!("{content_type}, {case}"), 8_000, |length| {
            let text = before.to_owned() + &unit.repeat(length / unit.len());
            answering(&layer, content_type, vec![text.into()])
        });
        check(
            &format!("{content_type}, {case}, by bytes"),
            500,
            |length| {
                let text =
                    Bytes::from(before.to_owned() + &unit.repeat(length.div_ceil(unit.len())));
                let frames = (0..text.len()).map(|at| text.slice(at..=at));
                answering(&layer, content_type, frames.collect())
            },
        );
    }
}
