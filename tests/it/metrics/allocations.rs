//! The allocations of metrics for a request whose series exists already.

use std::convert::Infallible;
use std::task::Poll;

use allocation_counter::measure;
use opentelemetry::metrics::noop::NoopMeterProvider;
use tower::{Service as _, service_fn};
use tower_api_span::ApiSpanLayer;
use tower_layer::Layer as _;

use crate::support::body::ScriptedBody;
use crate::support::body::Step::Data;
use crate::support::meters::Meters;
use crate::support::recorder::Recorder;
use crate::support::{get, poll_frame, ready, response};

/// Counts the allocations of one request through `layer`, including those of the bare service.
fn count_allocations(layer: &ApiSpanLayer) -> u64 {
    let mut service = layer.layer(service_fn(|_| {
        std::future::ready(Ok::<_, Infallible>(response(
            200,
            ScriptedBody::new([Data(3)]),
        )))
    }));
    let mut counted = 0;
    // The first requests fill the thread-local caches and create the series.
    for _ in 0..3 {
        let request = get();
        counted = measure(|| {
            let mut body = ready(service.call(request))
                .expect("a response")
                .into_body();
            while let Poll::Ready(Some(_)) = poll_frame(&mut body) {}
        })
        .count_total;
    }
    counted
}

fn without_metrics() -> ApiSpanLayer {
    ApiSpanLayer::new().meter_provider(&NoopMeterProvider::new())
}

#[test]
fn metrics_that_are_off_allocate_nothing() {
    let bare = count_allocations(&ApiSpanLayer::new().filter(|_| false));
    assert_eq!(count_allocations(&without_metrics()), bare);
}

/// The request's state, the data recorded by the handler, and the handle in otherwise empty extensions.
#[test]
fn metrics_without_a_span_allocate_five_times() {
    let meters = Meters::new();
    let bare = count_allocations(&without_metrics());
    for (case, layer) in [
        ("durations", meters.on(ApiSpanLayer::new())),
        (
            "all of them",
            meters
                .on(ApiSpanLayer::new())
                .gen_ai_metrics(true)
                .active_requests(true)
                .body_sizes(true)
                .response_times(true),
        ),
    ] {
        assert_eq!(count_allocations(&layer) - bare, 5, "{case}");
    }
}

#[test]
fn metrics_add_no_allocations_to_those_of_a_span() {
    let (recorder, meters) = (Recorder::new(), Meters::new());
    let with_span = || {
        let layer = ApiSpanLayer::new().tracer_provider(&recorder.provider);
        layer.body_sizes(true).response_times(true)
    };
    let layer = with_span().meter_provider(&NoopMeterProvider::new());
    let span_only = count_allocations(&layer);
    let measured = count_allocations(&meters.on(with_span()).active_requests(true));
    assert_eq!(measured - span_only, 0);
}
