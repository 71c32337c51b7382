//! The global meter provider, which may be set after the layer was built. It is process-wide, so this is
//! a binary of its own, with one test.

use std::convert::Infallible;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use http::{Request, Response};
use opentelemetry::global;
use opentelemetry_sdk::metrics::data::{
    AggregatedMetrics, HistogramDataPoint, MetricData, ResourceMetrics, ScopeMetrics,
};
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, SdkMeterProvider};
use tower::{Service, service_fn};
use tower_api_span::{ApiSpanLayer, SpanHandle};
use tower_layer::Layer as _;

/// Serves a request. Returns whether it is measured: then there is a handle.
fn serve(layer: &ApiSpanLayer) -> bool {
    let mut has_handle = None;
    let mut service = layer.layer(service_fn(|request: Request<()>| {
        has_handle = Some(request.extensions().get::<SpanHandle>().is_some());
        std::future::ready(Ok::<_, Infallible>(Response::new(String::new())))
    }));
    let request = Request::get("/").body(()).expect("a request");
    let response = pin!(service.call(request));
    let response = response.poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(response, Poll::Ready(Ok(_))));
    drop(service);
    has_handle.expect("the request is served")
}

/// Returns how many durations were measured.
fn count_durations(provider: &SdkMeterProvider, exporter: &InMemoryMetricExporter) -> u64 {
    exporter.reset();
    provider.force_flush().expect("metrics are exported");
    let all = exporter.get_finished_metrics().expect("metrics");
    let scopes = all.iter().flat_map(ResourceMetrics::scope_metrics);
    let counts = scopes.flat_map(ScopeMetrics::metrics).map(|metric| {
        let AggregatedMetrics::F64(MetricData::Histogram(data)) = metric.data() else {
            panic!("{} is {:?}", metric.name(), metric.data());
        };
        assert_eq!(metric.name(), "http.server.request.duration");
        let points = data.data_points();
        points.map(HistogramDataPoint::count).sum::<u64>()
    });
    counts.sum()
}

#[test]
fn global_meter_provider_set_late_is_found() {
    // Requests that a layer serves before the provider is set, and the request that finds it.
    let layers: Vec<_> = [(0, 1), (1, 2), (2, 4), (5, 8), (600, 1_024), (1_024, 2_048)]
        .map(|(before, found)| (before, found, ApiSpanLayer::new()))
        .into();
    for (before, _, layer) in &layers {
        for request in 1..=*before {
            assert!(!serve(layer), "request {request} of {before}");
        }
    }

    let exporter = InMemoryMetricExporter::default();
    let provider = SdkMeterProvider::builder()
        .with_periodic_exporter(exporter.clone())
        .build();
    global::set_meter_provider(provider.clone());
    let mut expected = 0;
    for (before, found, layer) in &layers {
        for request in before + 1..*found {
            assert!(!serve(layer), "request {request} after {before}");
        }
        assert_eq!(
            count_durations(&provider, &exporter),
            expected,
            "after {before}"
        );
        // A clone uses the provider found.
        for layer in [layer, &layer.clone(), layer, layer] {
            assert!(serve(layer), "after {before}");
        }
        expected += 4;
        assert_eq!(
            count_durations(&provider, &exporter),
            expected,
            "after {before}"
        );
    }
}
