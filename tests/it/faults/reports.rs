//! The first panic of each callback, and what is missing, is reported through OpenTelemetry's internal logging.

use std::fmt::{self, Debug};
use std::sync::{Arc, Mutex};

use http::{HeaderValue, Request, Response};
use opentelemetry::KeyValue;
use opentelemetry::trace::noop::NoopTracerProvider;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use tower::{Service, service_fn};
use tower_api_span::{ApiSpanLayer, LifecycleEvents};
use tower_layer::Layer as _;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::{Layer, registry};

use crate::support::body::ScriptedBody;
use crate::support::meters::Meters;
use crate::support::recorder::Recorder;
use crate::support::subscriber::with_subscriber;
use crate::support::{answering, called, defused, get, handle_of, read, ready, response};

/// An event: its name, target and fields.
type Report = Vec<String>;

/// Records the events of this crate, and panics at each if that is asked for.
#[derive(Clone, Default)]
struct Reports {
    seen: Arc<Mutex<Vec<Report>>>,
    panics: bool,
}

impl<S: Subscriber> Layer<S> for Reports {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        if metadata.target() != "tower-api-span" {
            return;
        }
        let mut fields = Fields(vec![format!("{} {}", metadata.level(), metadata.name())]);
        event.record(&mut fields);
        self.seen.lock().expect("no panic").push(fields.0);
        assert!(!self.panics, "the subscriber panics");
    }
}

/// The fields that name what is reported.
struct Fields(Report);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if ["callback", "panic", "key", "metric"].contains(&field.name()) {
            self.0.push(format!("{}={value:?}", field.name()));
        }
    }
}

/// Returns what is reported while `f` runs.
fn reported(f: impl FnOnce()) -> Vec<Report> {
    let reports = Reports::default();
    let seen = Arc::clone(&reports.seen);
    with_subscriber(registry().with(reports), || defused(f));
    std::mem::take(&mut *seen.lock().expect("no panic"))
}

fn serve(layer: &ApiSpanLayer, requests: usize) {
    let mut service = answering(layer, |_| response(200, ScriptedBody::full(3)));
    for _ in 0..requests {
        let response = ready(service.call(get())).expect("a response");
        read(&mut response.into_body()).expect("bytes");
    }
}

fn warning(callback: &str, text: &str) -> Report {
    vec![
        "WARN ApiSpanLayer.CallbackPanicked".to_owned(),
        format!("callback={callback:?}"),
        format!("panic={text:?}"),
    ]
}

/// The text of a panic here.
fn explode<T>() -> T {
    panic!("the callback panics at {}", 7)
}

const TEXT: &str = "the callback panics at 7";

#[test]
fn a_callback_that_panics_a_thousand_times_is_reported_once() {
    let recorder = Recorder::new();
    let layer = recorder.layer().filter(|_| explode());
    assert_eq!(
        reported(|| {
            serve(&layer, 500);
            // Clones of a layer share what was reported.
            serve(&layer.clone().body_sizes(true), 500);
        }),
        [warning("ApiSpanLayer::filter", TEXT)]
    );
    assert_eq!(recorder.spans().len(), 1_000);
    let other = recorder.layer().filter(|_| explode());
    assert_eq!(reported(|| serve(&other, 2)).len(), 1, "another layer");
}

#[test]
fn each_setting_is_reported_by_its_name() {
    for (setter, layer) in [
        (
            "public_endpoint_fn",
            ApiSpanLayer::new().public_endpoint_fn(|_| explode()),
        ),
        (
            "span_name_fn",
            ApiSpanLayer::new().span_name_fn(|_| explode::<Option<&str>>()),
        ),
        (
            "route_fn",
            ApiSpanLayer::new().route_fn(|_| explode::<Option<&str>>()),
        ),
        (
            "peer_address_fn",
            ApiSpanLayer::new().peer_address_fn(|_| explode()),
        ),
        (
            "local_address_fn",
            ApiSpanLayer::new().local_address_fn(|_| explode()),
        ),
        (
            "request_attributes",
            ApiSpanLayer::new().request_attributes(|_| explode::<Vec<KeyValue>>()),
        ),
        (
            "response_attributes",
            ApiSpanLayer::new().response_attributes(|_| explode::<Vec<KeyValue>>()),
        ),
        ("classify", ApiSpanLayer::new().classify(|_| explode())),
        (
            "on_completion",
            ApiSpanLayer::new().on_completion(|_| explode()),
        ),
        (
            "metric_attributes",
            Meters::new()
                .layer()
                .metric_attributes(|_| explode::<Vec<_>>()),
        ),
    ] {
        let recorder = Recorder::new();
        let layer = layer.tracer_provider(&recorder.provider);
        assert_eq!(
            reported(|| serve(&layer, 3)),
            [warning(&format!("ApiSpanLayer::{setter}"), TEXT)],
        );
    }
}

/// Panics when it is formatted.
struct PanickingDisplay;

impl fmt::Display for PanickingDisplay {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        explode()
    }
}

/// Other tests in this process may have made the same method panic first.
#[test]
fn a_handlers_values_are_reported_once_at_most() {
    let recorder = Recorder::new();
    let mut service = answering(&recorder.layer(), |request| {
        let handle = handle_of(&request);
        handle.set_attributes(std::iter::from_fn(explode::<Option<KeyValue>>));
        handle.gen_ai().finish_reasons([PanickingDisplay]);
        handle.gen_ai().request_model(PanickingDisplay);
        handle.mark_aborted("quota", PanickingDisplay);
        response(200, ScriptedBody::full(3))
    });
    let reports = reported(|| {
        for _ in 0..1_000 {
            ready(service.call(get())).expect("a response");
        }
    });
    assert!(reports.len() <= 4, "{reports:?}");
}

#[test]
fn an_error_that_cannot_be_formatted_is_reported_once() {
    let recorder = Recorder::new();
    let mut service = recorder.layer().layer(service_fn(async |_: Request<()>| {
        Err::<Response<String>, _>(PanickingDisplay)
    }));
    let reports = reported(|| {
        for _ in 0..3 {
            assert!(ready(service.call(get())).is_err());
        }
    });
    assert_eq!(reports, [warning("the error's `Display`", TEXT)]);

    let layer = recorder
        .layer()
        .error_type_fn(|_| explode::<Option<&str>>());
    let mut service = layer.layer(service_fn(async |_: Request<()>| {
        Err::<Response<String>, _>(tower::BoxError::from("boom"))
    }));
    let reports = reported(|| {
        for _ in 0..3 {
            assert!(ready(service.call(get())).is_err());
        }
    });
    assert_eq!(reports, [warning("ApiSpanLayer::error_type_fn", TEXT)]);
}

#[test]
fn a_payload_that_is_not_text_is_reported_without_it() {
    let recorder = Recorder::new();
    let layer = recorder.layer().filter(|_| std::panic::panic_any(7));
    assert_eq!(
        reported(|| serve(&layer, 1)),
        [warning("ApiSpanLayer::filter", "a value that is not text")]
    );
}

#[test]
fn a_long_text_is_truncated() {
    let recorder = Recorder::new();
    let long = "ä".repeat(2_000);
    let layer = recorder.layer().filter(move |_| panic!("{long}"));
    assert_eq!(
        reported(|| serve(&layer, 1)),
        [warning("ApiSpanLayer::filter", &"ä".repeat(1_024))]
    );
}

#[test]
fn a_subscriber_that_panics_does_not_fail_the_request() {
    let recorder = Recorder::new();
    let layer = recorder.layer().filter(|_| explode());
    let reports = Reports {
        panics: true,
        ..Reports::default()
    };
    with_subscriber(registry().with(reports), || defused(|| serve(&layer, 1)));
    assert_eq!(recorder.only().outcome(), "DEPARTED");
}

#[test]
fn lifecycle_events_as_logs_without_a_logger_are_reported_once() {
    let recorder = Recorder::new();
    let layer = recorder.layer().lifecycle_events(LifecycleEvents::AsLogs);
    let missing = ["WARN ApiSpanLayer.LoggerMissing".to_owned()];
    let reports = reported(|| {
        serve(&layer, 3);
        serve(&layer.clone().body_sizes(true), 3);
    });
    assert_eq!(reports, [missing]);
    let loggers = SdkLoggerProvider::builder().build();
    let logs = layer.logger_provider(&loggers);
    let on_span = recorder.layer().lifecycle_events(LifecycleEvents::Both);
    let reports = reported(|| {
        serve(&logs, 1);
        serve(&on_span, 1);
    });
    assert_eq!(reports, Vec::<Report>::new());
}

#[test]
fn a_missing_tracer_provider_is_reported_once() {
    let missing = ["WARN ApiSpanLayer.TracerProviderMissing".to_owned()];
    let layer = ApiSpanLayer::new();
    let reports = reported(|| {
        serve(&layer, 3);
        serve(&layer.clone().body_sizes(true), 3);
    });
    assert_eq!(reports, [missing]);
    let off = ApiSpanLayer::new().tracer_provider(&NoopTracerProvider::new());
    let reports = reported(|| {
        serve(&off, 3);
        serve(&Recorder::new().layer(), 3);
        serve(&ApiSpanLayer::new().filter(|_| false), 3);
    });
    assert_eq!(reports, Vec::<Report>::new());
}

#[test]
fn a_missing_propagator_is_reported_once_to_a_caller() {
    let recorder = Recorder::new();
    let layer = ApiSpanLayer::new().tracer_provider(&recorder.provider);
    let serve_caller = |layer: &ApiSpanLayer| {
        let mut service = answering(layer, |_| response(200, ScriptedBody::full(3)));
        ready(service.call(called("01"))).expect("a response");
    };
    let missing = ["WARN ApiSpanLayer.PropagatorMissing".to_owned()];
    let reports = reported(|| {
        serve(&layer, 3);
        for _ in 0..3 {
            serve_caller(&layer);
            serve_caller(&layer.clone().body_sizes(true));
        }
    });
    assert_eq!(reports, [missing]);
    let callers_are_unknown = ApiSpanLayer::new().tracer_provider(&recorder.provider);
    let reports = reported(|| {
        serve(&callers_are_unknown, 3);
        serve_caller(&recorder.layer());
        serve_caller(&callers_are_unknown.clone().public_endpoint(true));
        // The span is in the caller's trace by the layer outside.
        let stacked = recorder.layer().layer(answering(&callers_are_unknown, |_| {
            response(200, ScriptedBody::full(3))
        }));
        ready({ stacked }.call(called("01"))).expect("a response");
        let mut malformed = called("01");
        let value = HeaderValue::from_static("garbage");
        malformed.headers_mut().insert("traceparent", value);
        let mut service = answering(&callers_are_unknown, |_| {
            response(200, ScriptedBody::full(3))
        });
        ready(service.call(malformed)).expect("a response");
    });
    assert_eq!(reports, Vec::<Report>::new());
}

#[test]
fn no_panic_reports_nothing() {
    let recorder = Recorder::new();
    let layer = recorder.layer().filter(|_| true);
    assert_eq!(reported(|| serve(&layer, 3)), Vec::<Report>::new());
}

#[test]
fn settings_without_effect_are_reported_once() {
    let (recorder, meters) = (Recorder::new(), Meters::new());
    let layer = meters.on(recorder.layer());
    let layer = layer.metric_attribute_keys(["test.plan"]);
    let layer = layer.metric_attributes(|_| {
        let keys = ["test.plan", "test.tenant", "test.user"];
        keys.map(|key| KeyValue::new(key, "x"))
    });
    let refused = vec![
        "WARN ApiSpanLayer.MetricAttributeRefused".to_owned(),
        "key=\"test.tenant\"".to_owned(),
    ];
    let reports = reported(|| {
        serve(&layer, 3);
        serve(&layer.clone().body_sizes(true), 3);
    });
    assert_eq!(reports, [refused]);
    let unknown = vec![
        "WARN ApiSpanLayer.UnknownMetric".to_owned(),
        "metric=\"http.server.duration\"".to_owned(),
    ];
    let reports = reported(|| {
        let _ = ApiSpanLayer::new().bucket_boundaries("http.server.duration", [1.0]);
    });
    assert_eq!(reports, [unknown]);
}
