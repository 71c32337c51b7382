//! What metrics allocate for a request, once its series is there.

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

/// The allocations of one request through `layer`, with those of the bare service.
fn of_request(layer: &ApiSpanLayer) -> u64 {
    let mut service = layer.layer(service_fn(|_| {
        std::future::ready(Ok::<_, Infallible>(response(
            200,
            ScriptedBody::new([Data(3)]),
        )))
    }));
    let mut counted = 0;
    // The first ones make what the thread keeps, and the series.
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

fn off() -> ApiSpanLayer {
    ApiSpanLayer::new().meter_provider(&NoopMeterProvider::new())
}

#[test]
fn metrics_that_are_off_allocate_nothing() {
    let bare = of_request(&ApiSpanLayer::new().filter(|_| false));
    assert_eq!(of_request(&off()), bare);
}

/// What watches the request, what the handler may say, and its handle in a request that has no other
/// extensions.
#[test]
fn metrics_without_a_span_allocate_five_times() {
    let meters = Meters::new();
    let bare = of_request(&off());
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
        assert_eq!(of_request(&layer) - bare, 5, "{case}");
    }
}

#[test]
fn metrics_add_nothing_to_what_a_span_allocates() {
    let (at, meters) = (Recorder::new(), Meters::new());
    let with_span = || {
        let layer = ApiSpanLayer::new().tracer_provider(&at.provider);
        layer.body_sizes(true).response_times(true)
    };
    let layer = with_span().meter_provider(&NoopMeterProvider::new());
    let alone = of_request(&layer);
    let measured = of_request(&meters.on(with_span()).active_requests(true));
    assert_eq!(measured - alone, 0);
}
