//! Attributes of the application on metrics: only listed keys, whatever the handler or a client sends.

use std::sync::{Arc, Mutex};

use http::{HeaderValue, Request, Response};
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry::{Context, KeyValue};
use tower::Service;
use tower_api_span::{ApiSpanLayer, Outcome, SpanHandle};

use super::faults::Calling;
use super::{DURATION, RESPONSE_SIZE};
use crate::support::body::ScriptedBody;
use crate::support::meters::{Meters, Series};
use crate::support::recorder::Recorder;
use crate::support::{answering, defused, explode, get, handle_of, read, ready, response};

/// Serves a request, whose handler is passed the handle.
fn serve_with(layer: &ApiSpanLayer, request: Request<()>, handler: impl Fn(&SpanHandle)) {
    let mut service = answering(layer, move |request| {
        handler(&handle_of(&request));
        let mut response: Response<_> = response(200, ScriptedBody::full(3));
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert("content-type", json);
        response
    });
    let response = ready(service.call(request)).expect("a response");
    read(&mut response.into_body()).expect("bytes");
}

fn serve(layer: &ApiSpanLayer, handler: impl Fn(&SpanHandle)) {
    serve_with(layer, get(), handler);
}

fn text(series: &Series, key: &str) -> String {
    series.attribute(key).unwrap_or_default()
}

fn plan(value: &'static str) -> KeyValue {
    KeyValue::new("test.plan", value)
}

#[test]
fn attributes_of_handler_and_callback_are_on_each_histogram_and_nowhere_else() {
    let (at, meters) = (Recorder::new(), Meters::new());
    let layer = meters.on(at.layer()).active_requests(true);
    let layer = layer.body_sizes(true).response_times(true);
    let layer = layer
        .gen_ai_metrics(true)
        .metric_attribute_keys(["test.plan", "test.outcome"])
        .metric_attributes(|completion| {
            let outcome = completion.outcome().map(Outcome::to_string);
            outcome.map(|outcome| KeyValue::new("test.outcome", outcome))
        });
    serve(&layer, |handle| {
        handle.gen_ai().operation_name("chat");
        handle.set_metric_attribute(plan("free"));
    });
    let names = meters.names();
    for expected in [
        DURATION,
        RESPONSE_SIZE,
        "api.server.time_to_head",
        "api.server.time_to_first_byte",
        "gen_ai.server.request.duration",
    ] {
        assert!(names.iter().any(|name| name == expected), "{names:?}");
    }
    for name in names {
        let series = meters.only(&name);
        let both = (text(&series, "test.plan"), text(&series, "test.outcome"));
        let expected = if name == "http.server.active_requests" {
            ("", "")
        } else {
            ("free", "DEPARTED")
        };
        assert_eq!((both.0.as_str(), both.1.as_str()), expected, "{name}");
    }
    let span = at.only();
    assert_eq!(span.attribute("test.plan"), None);
    assert_eq!(span.attribute("test.outcome"), None);
}

#[test]
fn the_last_value_of_a_key_counts_and_the_callbacks_wins() {
    let meters = Meters::new();
    let layer = meters
        .layer()
        .metric_attribute_keys(["test.plan", "test.size"]);
    serve(&layer, |handle| {
        handle.set_metric_attribute(KeyValue::new("test.size", 1));
        handle.set_metric_attribute(plan("free"));
        handle.set_metric_attribute(KeyValue::new("test.size", 2));
    });
    let series = meters.only(DURATION);
    assert_eq!(text(&series, "test.size"), "2");
    assert_eq!(text(&series, "test.plan"), "free");

    let meters = Meters::new();
    let layer = meters.on(layer).metric_attributes(|_| [plan("paid")]);
    serve(&layer, |handle| handle.set_metric_attribute(plan("free")));
    assert_eq!(text(&meters.only(DURATION), "test.plan"), "paid");
}

#[test]
fn keys_that_are_not_listed_and_the_layers_own_are_left_out() {
    let own = ["http.route", "error.type", "http.response.status_code", ""];
    let set = |handle: &SpanHandle| {
        for key in own.into_iter().chain(["test.other", "test.plan"]) {
            handle.set_metric_attribute(KeyValue::new(key, "set"));
        }
        handle.set_metric_attribute(KeyValue::new("test.empty", ""));
    };
    let expected = |meters: &Meters| {
        let plain = Meters::new();
        serve(&plain.layer(), |_| {});
        let series = meters.only(DURATION);
        let mut attributes = series.attributes;
        attributes.retain(|attribute| attribute.key.as_str() != "test.plan");
        assert_eq!(attributes, plain.only(DURATION).attributes);
    };
    let meters = Meters::new();
    let listed = own.into_iter().chain(["test.plan", "test.empty"]);
    let layer = meters.layer().metric_attribute_keys(listed);
    serve(&layer, set);
    assert_eq!(text(&meters.only(DURATION), "test.plan"), "set");
    expected(&meters);
    // The next list replaces it.
    let meters = Meters::new();
    serve(&meters.on(layer).metric_attribute_keys([""; 0]), set);
    assert_eq!(text(&meters.only(DURATION), "test.plan"), "");
    expected(&meters);
}

#[test]
fn a_long_value_is_truncated() {
    let meters = Meters::new();
    let layer = meters.layer().metric_attribute_keys(["test.plan"]);
    serve(&layer, |handle| {
        handle.set_metric_attribute(KeyValue::new("test.plan", "é".repeat(600)));
    });
    let value = text(&meters.only(DURATION), "test.plan");
    assert_eq!(value, "é".repeat(512));
}

#[test]
fn a_client_that_chooses_keys_creates_no_series() {
    let meters = Meters::new();
    let layer = meters.layer().metric_attribute_keys(["test.plan"]);
    for id in 0..5_000 {
        let request = Request::get("/").header("x-key", format!("test.{id}"));
        serve_with(&layer, request.body(()).expect("a request"), |handle| {
            handle.set_metric_attribute(KeyValue::new(format!("test.{id}"), "x"));
            handle.set_metric_attribute(plan("free"));
        });
    }
    assert_eq!(meters.only(DURATION).count(), 5_000);
}

#[test]
fn attributes_set_after_the_end_have_no_effect() {
    let meters = Meters::new();
    let layer = meters.layer().metric_attribute_keys(["test.plan"]);
    let kept = Mutex::new(SpanHandle::default());
    serve(&layer, |handle| {
        *kept.lock().expect("no panic") = handle.clone();
    });
    let handle = kept.into_inner().expect("no panic");
    handle.set_metric_attribute(plan("late"));
    assert_eq!(handle.lost_records(), 1);
    serve(&layer, |_| {});
    assert_eq!(text(&meters.only(DURATION), "test.plan"), "");
    SpanHandle::default().set_metric_attribute(plan("inert"));
}

#[test]
fn a_callback_that_panics_measures_the_request_without_its_attributes() {
    let meters = Meters::new();
    let layer = meters.layer().metric_attribute_keys(["test.plan"]);
    let layer = layer.metric_attributes(|_| -> Vec<KeyValue> { explode() });
    defused(|| serve(&layer, |handle| handle.set_metric_attribute(plan("free"))));
    assert_eq!(text(&meters.only(DURATION), "test.plan"), "free");
}

#[test]
fn the_callback_reads_path_attributes_and_outcome() {
    let meters = Meters::new();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let callback = Arc::clone(&seen);
    let layer = meters.layer().metric_attributes(move |completion| {
        let tenant = completion.attribute("test.tenant").map(ToString::to_string);
        let path = completion.path().map(str::to_owned);
        let all = (path, tenant, completion.outcome().cloned());
        callback.lock().expect("no panic").push(all);
        None
    });
    serve(&layer, |handle| {
        handle.set_attribute(KeyValue::new("test.tenant", "blue"));
    });
    let expected = (
        Some("/".to_owned()),
        Some("blue".to_owned()),
        Some(Outcome::Departed),
    );
    assert_eq!(*seen.lock().expect("no panic"), [expected]);
}

/// For exemplars.
#[test]
fn the_requests_span_is_current_while_metrics_are_recorded() {
    let at = Recorder::new();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let recorded = Arc::clone(&seen);
    let provider = Calling::new(move |name| {
        let context = Context::current();
        let span = context.span().span_context().clone();
        let mut recorded = recorded.lock().expect("no panic");
        recorded.push((name.to_owned(), span.trace_id(), span.span_id()));
    });
    let layer = at.layer().meter_provider(&provider).body_sizes(true);
    serve(&layer.gen_ai_metrics(true), |handle| {
        handle.gen_ai().operation_name("chat");
    });
    let span = at.only();
    let (trace, id) = (
        span.0.span_context.trace_id(),
        span.0.span_context.span_id(),
    );
    let seen = seen.lock().expect("no panic");
    for metric in [DURATION, RESPONSE_SIZE, "gen_ai.server.request.duration"] {
        assert!(
            seen.contains(&(metric.to_owned(), trace, id)),
            "{metric}: {seen:?}"
        );
    }
}

/// Returns the boundaries of a metric of a request that had all.
fn bounds(layer: ApiSpanLayer, metric: &str) -> Vec<f64> {
    let meters = Meters::new();
    serve(&meters.on(layer).body_sizes(true), |_| {});
    meters.only(metric).bounds().to_vec()
}

#[test]
fn boundaries_apply_to_the_metric_that_they_are_set_for() {
    let layer = || ApiSpanLayer::new().bucket_boundaries(RESPONSE_SIZE, [10.0, 100.0]);
    assert_eq!(bounds(layer(), RESPONSE_SIZE), [10.0, 100.0]);
    let default = bounds(ApiSpanLayer::new(), DURATION);
    assert_eq!(bounds(layer(), DURATION), default);
    let changed = layer().bucket_boundaries(DURATION, [60.0]);
    assert_eq!(bounds(changed.clone(), DURATION), [60.0]);
    assert_eq!(bounds(changed.clone(), RESPONSE_SIZE), [10.0, 100.0]);
    let again = changed.bucket_boundaries(DURATION, [5.0, 6.0]);
    assert_eq!(
        bounds(again.clone(), DURATION),
        [5.0, 6.0],
        "the last counts"
    );
    let unknown = again.bucket_boundaries("http.server.active_requests", [1.0]);
    let unknown = unknown.bucket_boundaries("no.metric", [1.0]);
    assert_eq!(bounds(unknown, DURATION), [5.0, 6.0]);
}

#[test]
fn boundaries_are_sorted_and_those_that_an_sdk_refuses_are_left_out() {
    let strange = [
        2.0,
        f64::NAN,
        1.0,
        2.0,
        f64::INFINITY,
        -0.0,
        0.0,
        -f64::INFINITY,
    ];
    let layer = ApiSpanLayer::new().bucket_boundaries(DURATION, strange);
    assert_eq!(bounds(layer, DURATION), [0.0, 1.0, 2.0]);
    let none = ApiSpanLayer::new().bucket_boundaries(DURATION, []);
    assert_eq!(bounds(none, DURATION), [0.0; 0]);
}

#[test]
fn boundaries_may_be_set_after_the_provider_and_leave_other_layers_alone() {
    let meters = Meters::new();
    let before = meters.layer();
    let after = before.clone().bucket_boundaries(DURATION, [3.0]);
    serve(&after, |_| {});
    assert_eq!(meters.only(DURATION).bounds(), [3.0]);
    let other = Meters::new();
    serve(&other.on(before), |_| {});
    assert_ne!(other.only(DURATION).bounds(), [3.0]);
}

#[test]
fn a_request_that_no_meter_measures_does_not_call_the_callback() {
    let at = Recorder::new();
    let called = Arc::new(Mutex::new(0));
    let calls = Arc::clone(&called);
    let layer = at.layer().metric_attributes(move |_| {
        *calls.lock().expect("no panic") += 1;
        None
    });
    let noop = opentelemetry::metrics::noop::NoopMeterProvider::new();
    serve(&layer.meter_provider(&noop), |_| {});
    assert_eq!(at.ends(), 1);
    assert_eq!(*called.lock().expect("no panic"), 0);
}
