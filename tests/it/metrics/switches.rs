//! Spans and metrics can be turned on and off independently.

use std::sync::Arc;

use http::Response;
use opentelemetry::Context;
use opentelemetry::metrics::MeterProvider;
use opentelemetry::metrics::noop::NoopMeterProvider;
use opentelemetry_sdk::trace::Sampler;
use tower::Service as _;
use tower_api_span::{ApiSpanLayer, RequestBodyLayer, SpanHandle};
use tower_layer::Layer as _;

use super::endings::{ALL, Ending};
use super::{CALL_DURATION, DURATION, REQUEST_SIZE};
use crate::support::foreign::{Foreign, Method};
use crate::support::meters::Meters;
use crate::support::recorder::{Recorder, w3c};
use crate::support::{called, defused, ready};

/// The handler records data that metrics use.
const HANDLER_DATA: Ending = Ending {
    name: "handler data",
    use_handle: |handle| {
        handle.set_route("/x/{id}");
        handle.mark_aborted("out_of_memory", "no room");
        handle.gen_ai().operation_name("chat").provider_name("me");
    },
    ..ALL[0]
};

/// Checks that all endings are measured as they are with spans.
fn assert_measured(layer: impl Fn() -> ApiSpanLayer, why: &str) {
    for ending in &ALL {
        let meters = Meters::new();
        let layer = meters.on(layer()).active_requests(true);
        // From an unsampled caller, which the parent-based sampler follows.
        let mut request = (ending.request)();
        request.headers_mut().extend(called("00").headers().clone());
        ending.run_with(request, &layer);
        let metric = if ending.is_grpc() {
            CALL_DURATION
        } else {
            DURATION
        };
        let series = meters.only(metric);
        let name = ending.name;
        assert_eq!(series.count(), 1, "{why}: {name}");
        let error_type = series.attribute("error.type");
        assert_eq!(error_type.as_deref(), ending.error_type, "{why}: {name}");
        assert_eq!(meters.active(), 0, "{why}: {name}");
    }
    let meters = Meters::new();
    HANDLER_DATA.run_with(called("00"), &meters.on(layer()).gen_ai_metrics(true));
    let series = meters.only(DURATION);
    let route = series.attribute("http.route");
    assert_eq!(route.as_deref(), Some("/x/{id}"), "{why}");
    let error_type = series.attribute("error.type");
    assert_eq!(error_type.as_deref(), Some("out_of_memory"), "{why}");
    let gen_ai = meters.only("gen_ai.server.request.duration");
    let provider = gen_ai.attribute("gen_ai.provider.name");
    assert_eq!(provider.as_deref(), Some("me"), "{why}");
}

#[test]
fn metrics_are_recorded_without_a_tracer() {
    assert_measured(|| ApiSpanLayer::new().propagator(w3c()), "no tracer");
}

#[test]
fn metrics_are_recorded_for_requests_sampled_out() {
    let recorder = Recorder::new();
    assert_measured(|| recorder.layer().sample_rate(0.0), "by the rate");
    assert_eq!(recorder.starts(), 0);
    let off = Recorder::with(|builder| builder.with_sampler(Sampler::AlwaysOff));
    assert_measured(|| off.layer(), "by the sampler");
    let by_parent = Sampler::ParentBased(Box::new(Sampler::AlwaysOn));
    let by_parent = Recorder::with(|builder| builder.with_sampler(by_parent));
    assert_measured(|| by_parent.layer(), "by the caller");
    for recorder in [off, by_parent] {
        assert_eq!(recorder.exported().len(), 0);
    }
}

#[test]
fn metrics_are_recorded_if_the_tracer_panics() {
    let tracer = Foreign::new().panicking_in(&[Method::Build]);
    defused(|| assert_measured(|| tracer.layer(), "the tracer panics"));
}

#[test]
fn spans_are_recorded_without_metrics() {
    for provider in [None, Some(NoopMeterProvider::new())] {
        let recorder = Recorder::new();
        let layer = recorder.layer().active_requests(true).response_times(true);
        let layer = match &provider {
            Some(noop) => layer.meter_provider(noop),
            None => layer,
        };
        HANDLER_DATA.run(&layer);
        assert_eq!(recorder.only().outcome(), "ABORTED(out_of_memory)");
    }
}

#[test]
fn a_filtered_or_suppressed_request_has_neither_a_span_nor_metrics() {
    let (recorder, meters) = (Recorder::new(), Meters::new());
    let layer = meters.on(recorder.layer()).active_requests(true);
    HANDLER_DATA.run(&layer.clone().filter(|_| false));
    {
        let _suppressed = Context::enter_telemetry_suppressed_scope();
        HANDLER_DATA.run(&layer);
    }
    assert_eq!(recorder.starts(), 0);
    assert_eq!(meters.names(), [""; 0]);
    // The same layer records a request that is neither filtered nor suppressed.
    HANDLER_DATA.run(&layer);
    assert_eq!(recorder.starts(), 1);
    assert_eq!(meters.names(), ["http.server.active_requests", DURATION]);
}

#[test]
fn a_noop_meter_provider_replaces_a_real_one() {
    let meters = Meters::new();
    HANDLER_DATA.run(&meters.layer().meter_provider(&NoopMeterProvider::new()));
    assert_eq!(meters.names(), [""; 0]);
}

/// As that of `global::meter_provider`.
#[test]
fn a_provider_whose_type_is_erased_is_used() {
    let meters = Meters::new();
    let erased: Arc<dyn MeterProvider + Send + Sync> = Arc::new(meters.provider.clone());
    HANDLER_DATA.run(&ApiSpanLayer::new().meter_provider(&*erased));
    assert_eq!(meters.names(), [DURATION]);
}

#[test]
fn the_handle_is_in_the_extensions_if_metrics_are_on_and_not_if_all_is_off() {
    let has_handle = |layer: ApiSpanLayer| {
        let mut found = None;
        let mut service = crate::support::answering(&layer, |request| {
            found = Some(request.extensions().get::<SpanHandle>().is_some());
            Response::new(String::new())
        });
        drop(ready(service.call(called("01"))));
        drop(service);
        found.expect("the request is served")
    };
    let meters = Meters::new();
    assert!(has_handle(meters.layer()));
    assert!(!has_handle(
        ApiSpanLayer::new().meter_provider(&NoopMeterProvider::new())
    ));
}

#[test]
fn request_bytes_are_counted_without_a_span() {
    let meters = Meters::new();
    let layer = meters.layer().body_sizes(true);
    let counting = RequestBodyLayer::new().layer(tower::service_fn(
        async |request: http::Request<tower_api_span::RequestBody<String>>| {
            let mut body = request.into_body();
            assert!(crate::support::poll_frame(&mut body).is_ready());
            Ok::<_, std::convert::Infallible>(Response::new(String::new()))
        },
    ));
    let request = http::Request::post("/").body("twelve bytes".to_owned());
    let future = layer.layer(counting).call(request.expect("a request"));
    drop(ready(future));
    assert_eq!(meters.only(REQUEST_SIZE).sum().to_string(), "12");
}
