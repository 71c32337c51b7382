//! Stacked layers count a request once.

use http::{HeaderValue, Request, Response};
use opentelemetry::KeyValue;
use opentelemetry::trace::noop::NoopTracerProvider;
use tower::{Service, service_fn};
use tower_api_span::ApiSpanLayer;
use tower_layer::Layer as _;

use super::DURATION;
use crate::support::body::ScriptedBody;
use crate::support::body::Step::Bytes;
use crate::support::meters::{Meters, Series};
use crate::support::recorder::Recorder;
use crate::support::{get, handle_of, read, ready, response};

const GENERATION: &str = "gen_ai.server.request.duration";

const ANSWER: &[u8] = b"data: {\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\
    \"delta\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";

/// Answers a request inside two layers with a stream of a language model.
fn answer(outer: &ApiSpanLayer, inner: &ApiSpanLayer) {
    let handler = service_fn(async |request: Request<()>| {
        handle_of(&request).set_attribute(KeyValue::new("test.tenant", "blue"));
        let mut response: Response<_> = response(200, ScriptedBody::new([Bytes(ANSWER)]));
        let stream = HeaderValue::from_static("text/event-stream");
        response.headers_mut().insert("content-type", stream);
        Ok::<_, std::convert::Infallible>(response)
    });
    let mut service = outer.layer(inner.layer(handler));
    let response = ready(service.call(get())).expect("a response");
    read(&mut response.into_body()).expect("bytes");
}

fn count(meters: &Meters, metric: &str) -> u64 {
    meters.of(metric).iter().map(Series::count).sum()
}

#[test]
fn stacked_layers_measure_a_request_once_and_make_a_span_each() {
    let (at, meters) = (Recorder::new(), Meters::new());
    let layer = || meters.on(at.layer());
    let outer = layer().active_requests(true).body_sizes(true);
    let inner = layer().active_requests(true).response_times(true);
    answer(
        &outer.route_fn(|_| Some("/outer")),
        &inner.route_fn(|_| Some("/inner")),
    );
    assert_eq!(at.ends(), 2);
    assert_eq!(count(&meters, DURATION), 1);
    let route = meters.only(DURATION).attribute("http.route");
    assert_eq!(route.as_deref(), Some("/outer"));
    assert_eq!(count(&meters, "http.server.response.body.size"), 1);
    assert_eq!(count(&meters, "api.server.time_to_head"), 0);
    assert_eq!(meters.active(), 0);
}

#[test]
fn a_layer_with_nested_metrics_measures_inside_another() {
    let (at, meters) = (Recorder::new(), Meters::new());
    let layer = || meters.on(at.layer());
    answer(&layer(), &layer().nested_metrics(true));
    assert_eq!(count(&meters, DURATION), 2);
}

#[test]
fn the_outermost_layer_that_measures_counts() {
    let (at, meters) = (Recorder::new(), Meters::new());
    let unmeasured = || {
        at.layer()
            .meter_provider(&opentelemetry::metrics::noop::NoopMeterProvider::new())
    };
    for (case, outer) in [
        ("no meter", unmeasured()),
        ("filtered", meters.on(at.layer()).filter(|_| false)),
        (
            "a callback alone",
            unmeasured().filter(|_| false).on_completion(|_| {}),
        ),
    ] {
        let before = count(&meters, DURATION);
        answer(&outer, &meters.on(at.layer()));
        assert_eq!(count(&meters, DURATION) - before, 1, "{case}");
    }
}

#[test]
fn a_layer_in_between_that_does_not_measure_passes_on_that_one_outside_does() {
    let (at, meters) = (Recorder::new(), Meters::new());
    let silent = opentelemetry::metrics::noop::NoopMeterProvider::new();
    let middle = at.layer().meter_provider(&silent);
    let without_span = || {
        let layer = ApiSpanLayer::new().tracer_provider(&NoopTracerProvider::new());
        meters.on(layer)
    };
    let handler = service_fn(async |_: Request<()>| {
        Ok::<_, std::convert::Infallible>(response(200, ScriptedBody::full(1)))
    });
    for outer in [meters.on(at.layer()), without_span()] {
        let before = count(&meters, DURATION);
        let inner = meters.on(at.layer()).layer(handler);
        let mut service = outer.layer(middle.layer(inner));
        let response = ready(service.call(get())).expect("a response");
        read(&mut response.into_body()).expect("bytes");
        assert_eq!(count(&meters, DURATION) - before, 1);
    }
}

#[test]
fn metrics_of_language_models_are_recorded_once_too() {
    let at = Recorder::new();
    for (case, outer, inner) in [
        ("the inner one alone", false, true),
        ("the outer one alone", true, false),
        ("both", true, true),
    ] {
        let meters = Meters::new();
        let layer = |is_llm: bool| {
            let layer = if is_llm {
                ApiSpanLayer::llm()
            } else {
                ApiSpanLayer::new()
            };
            meters.on(layer.tracer_provider(&at.provider))
        };
        answer(&layer(outer), &layer(inner));
        assert_eq!(count(&meters, DURATION), 1, "{case}");
        assert_eq!(count(&meters, GENERATION), 1, "{case}");
    }
}
