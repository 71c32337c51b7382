//! Edge cases of metrics, logs and handles: unusual requests, nested layers and failing instruments.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use http::{HeaderValue, Request};
use opentelemetry::metrics::{
    InstrumentBuilder, InstrumentProvider, Meter, MeterProvider, SyncInstrument, UpDownCounter,
};
use opentelemetry::trace::noop::NoopTracerProvider;
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::logs::{
    InMemoryLogExporterBuilder, LogProcessor, SdkLogRecord, SdkLoggerProvider,
};
use tower::{Service as _, service_fn};
use tower_api_span::{ApiSpanLayer, SpanHandle};
use tower_layer::Layer as _;

use crate::support::body::ScriptedBody;
use crate::support::body::Step::{Data, Silent, Trailers};
use crate::support::meters::{Meters, Series};
use crate::support::recorder::Recorder;
use crate::support::{
    answering, defused, explode, get, handle_of, poll_frame, read, ready, response,
};

const DURATION: &str = "http.server.request.duration";
const CALL_DURATION: &str = "rpc.server.call.duration";

/// Serves one call with this method number and response body.
fn call_method(
    layer: &ApiSpanLayer,
    id: usize,
    content_type: &'static str,
    body: impl Fn() -> ScriptedBody,
) {
    let mut service = answering(layer, |_| {
        let mut response = response(200, body());
        let value = HeaderValue::from_static(content_type);
        response.headers_mut().insert("content-type", value);
        response
    });
    let request =
        Request::post(format!("/pkg.Service/Method{id}")).header("content-type", content_type);
    let response = ready(service.call(request.body(()).unwrap())).expect("a response");
    let mut body = response.into_body();
    let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        while let std::task::Poll::Ready(Some(Ok(_))) = poll_frame(&mut body) {}
    }));
}

/// Returns the recorded `rpc.method` values of five different methods.
fn recorded_methods(content_type: &'static str, body: impl Fn() -> ScriptedBody) -> Vec<String> {
    let meters = Meters::new();
    let layer = meters.layer();
    for id in 0..5 {
        call_method(&layer, id, content_type, &body);
    }
    meters
        .of(CALL_DURATION)
        .iter()
        .filter_map(|one| one.attribute("rpc.method"))
        .collect()
}

/// An interceptor, a deadline or a limit replies before the method is known to exist.
#[test]
fn different_methods_with_these_grpc_errors_create_one_series() {
    let mut many = Vec::new();
    for status in [
        "1", "2", "3", "4", "5", "6", "9", "10", "11", "13", "15", "99",
    ] {
        let status: &'static str = status;
        let pair: &'static [(&str, &str)] = Box::leak(Box::new([("grpc-status", status)]));
        let methods = recorded_methods("application/grpc", move || {
            ScriptedBody::new([Trailers(pair)])
        });
        if methods.len() > 1 {
            many.push((status, methods.len()));
        }
    }
    assert!(many.is_empty(), "{many:?}");
}

/// gRPC-Web sends its trailers in the body. Their bytes are not a message.
#[test]
fn different_methods_with_a_grpc_web_error_create_one_series() {
    let meters = Meters::new();
    let layer = meters.layer();
    for id in 0..5 {
        let mut service = layer.layer(service_fn(async |_: Request<()>| {
            let trailers = b"grpc-status:7\r\n";
            let mut bytes = vec![0x80, 0, 0, 0, u8::try_from(trailers.len()).expect("short")];
            bytes.extend_from_slice(trailers);
            let body = http_body_util::Full::new(bytes::Bytes::from(bytes));
            let response =
                http::Response::builder().header("content-type", "application/grpc-web+proto");
            Ok::<_, std::convert::Infallible>(response.body(body).unwrap())
        }));
        let request = Request::post(format!("/pkg.Service/Method{id}"))
            .header("content-type", "application/grpc-web+proto");
        let response = ready(service.call(request.body(()).unwrap())).unwrap();
        let mut body = response.into_body();
        while let std::task::Poll::Ready(Some(Ok(_))) = poll_frame(&mut body) {}
    }
    let all = meters.of(CALL_DURATION);
    assert_eq!(
        all[0].attribute("rpc.status_code").as_deref(),
        Some("PERMISSION_DENIED")
    );
    assert_eq!(all.len(), 1);
}

/// One request declares 2^64 - 3 bytes and sends no body.
#[test]
fn an_implausible_content_length_is_not_recorded_as_a_size() {
    let meters = Meters::new();
    let layer = meters.layer().body_sizes(true);
    let mut service = answering(&layer, |_| response(413, ScriptedBody::new([])));
    for length in ["18446744073709551613", "10", "10"] {
        let request = Request::post("/")
            .header("content-length", length)
            .body(())
            .unwrap();
        let _ = read(&mut ready(service.call(request)).unwrap().into_body());
    }
    let series = meters.only("http.server.request.body.size");
    assert_eq!((series.count(), series.sum()), (2, 20.0));
}

/// `response_attributes` returns the operation name, with and without a span.
#[test]
fn response_attributes_reach_the_metrics_without_a_span() {
    let count = |recorded: bool| {
        let (meters, recorder) = (Meters::new(), Recorder::new());
        let layer = if recorded {
            recorder.layer()
        } else {
            recorder.layer().sample_rate(0.0)
        };
        let layer = meters
            .on(layer)
            .gen_ai_metrics(true)
            .response_attributes(|_| [KeyValue::new("gen_ai.operation.name", "chat")]);
        let mut service = answering(&layer, |_| response(200, ScriptedBody::new([Data(1)])));
        let _ = read(&mut ready(service.call(get())).unwrap().into_body());
        meters.of("gen_ai.server.request.duration").len()
    };
    assert_eq!(count(true), count(false), "sampled, sampled out");
}

/// Returns the outcome on the span of an outer layer, whose handler marks the request as aborted inside `inner`.
fn outer_outcome(inner: &ApiSpanLayer) -> String {
    let recorder = Recorder::new();
    let handler = service_fn(async |request: Request<()>| {
        SpanHandle::from_extensions(request.extensions()).mark_aborted("out_of_memory", "");
        Ok::<_, std::convert::Infallible>(response(200, ScriptedBody::new([])))
    });
    let mut service = recorder.layer().layer(inner.layer(handler));
    let _ = read(&mut ready(service.call(get())).unwrap().into_body());
    recorder.only().outcome()
}

/// The inner layer has no tracer, or samples out. Its handle is that of the outer layer, also with metrics.
#[test]
fn the_outer_span_has_the_handlers_verdict_with_and_without_inner_metrics() {
    let (inner_recorder, meters) = (Recorder::new(), Meters::new());
    for inner in [
        ApiSpanLayer::new().tracer_provider(&NoopTracerProvider::new()),
        inner_recorder.layer().sample_rate(0.0),
    ] {
        assert_eq!(outer_outcome(&inner), "ABORTED(out_of_memory)");
        assert_eq!(outer_outcome(&meters.on(inner)), "ABORTED(out_of_memory)");
    }
    let recorded = meters.of(DURATION).iter().map(Series::count).sum::<u64>();
    assert_eq!(recorded, 2);
}

#[derive(Debug)]
struct HandoffOnEmit(Arc<Mutex<Option<SpanHandle>>>);

impl LogProcessor for HandoffOnEmit {
    fn emit(&self, _: &mut SdkLogRecord, _: &InstrumentationScope) {
        if let Some(handle) = &*self.0.lock().unwrap() {
            handle.handoff_to_core();
        }
    }
    fn force_flush(&self) -> opentelemetry_sdk::error::OTelSdkResult {
        Ok(())
    }
    fn shutdown_with_timeout(
        &self,
        _: std::time::Duration,
    ) -> opentelemetry_sdk::error::OTelSdkResult {
        Ok(())
    }
}

/// The log processor records the handoff again, after the outcome is decided and before the span ends.
#[test]
fn the_handoff_event_is_recorded_once() {
    let recorder = Recorder::new();
    let kept = Arc::new(Mutex::new(None));
    let logs = SdkLoggerProvider::builder()
        .with_log_processor(HandoffOnEmit(Arc::clone(&kept)))
        .build();
    let layer = recorder.layer().logger_provider(&logs);
    let mut service = answering(&layer, |request| {
        let handle = handle_of(&request);
        handle.handoff_to_core();
        handle.mark_aborted("x", "");
        *kept.lock().unwrap() = Some(handle);
        response(200, ScriptedBody::new([]))
    });
    let _ = read(&mut ready(service.call(get())).unwrap().into_body());
    let span = recorder.exported().remove(0);
    let events = span
        .events
        .iter()
        .filter(|event| event.name == "api.HANDOFF_TO_CORE");
    assert_eq!(events.count(), 1);
}

static FAILS: AtomicBool = AtomicBool::new(true);
static ACTIVE: AtomicI64 = AtomicI64::new(0);

/// A provider with state. One without state is treated as a no-op.
struct Provider;

struct FailsOnce;

impl MeterProvider for Provider {
    fn meter_with_scope(&self, _: InstrumentationScope) -> Meter {
        Meter::new(Arc::new(FailsOnce))
    }
}

impl InstrumentProvider for FailsOnce {
    fn i64_up_down_counter(
        &self,
        _: InstrumentBuilder<'_, UpDownCounter<i64>>,
    ) -> UpDownCounter<i64> {
        UpDownCounter::new(Arc::new(FailsOnce))
    }
}
impl SyncInstrument<i64> for FailsOnce {
    fn measure(&self, by: i64, _: &[KeyValue]) {
        if FAILS.swap(false, Ordering::SeqCst) {
            explode();
        }
        ACTIVE.fetch_add(by, Ordering::SeqCst);
    }
}

/// The counter panics when the request arrives and works when it ends.
#[test]
fn a_request_that_failed_to_increment_active_requests_does_not_decrement_it() {
    let layer = ApiSpanLayer::new()
        .tracer_provider(&NoopTracerProvider::new())
        .meter_provider(&Provider)
        .active_requests(true);
    let mut service = answering(&layer, |_| response(200, ScriptedBody::new([])));
    let _ = defused(|| read(&mut ready(service.call(get())).unwrap().into_body()));
    assert_eq!(ACTIVE.load(Ordering::SeqCst), 0);
}

/// A request without a span ends while another request's context is current.
#[test]
fn a_log_event_without_a_span_is_not_in_another_requests_trace() {
    use opentelemetry::trace::{TraceContextExt as _, Tracer as _, TracerProvider as _};
    let exporter = InMemoryLogExporterBuilder::new().build();
    let logs = SdkLoggerProvider::builder()
        .with_simple_exporter(exporter.clone())
        .build();
    let layer = ApiSpanLayer::new()
        .tracer_provider(&NoopTracerProvider::new())
        .logger_provider(&logs);
    let mut service = answering(&layer, |_| {
        response(200, ScriptedBody::new([Data(1), Silent]))
    });
    let mut body = ready(service.call(get())).unwrap().into_body();
    let _ = poll_frame(&mut body);
    let provider = opentelemetry_sdk::trace::SdkTracerProvider::builder().build();
    let other = provider.tracer("other").start("other request");
    let _other = opentelemetry::Context::new().with_span(other).attach();
    drop(body);
    let all = exporter.get_emitted_logs().unwrap();
    assert!(
        all[0].record.trace_context().is_none(),
        "{:?}",
        all[0].record.trace_context()
    );
}

/// A tracer that is shut down returns no recording span.
#[test]
fn callbacks_run_once_if_the_tracer_is_shut_down() {
    static CALLS: AtomicI64 = AtomicI64::new(0);
    let meters = Meters::new();
    let provider = opentelemetry_sdk::trace::SdkTracerProvider::builder().build();
    provider.shutdown().unwrap();
    let layer = meters.layer().tracer_provider(&provider).route_fn(|_| {
        CALLS.fetch_add(1, Ordering::SeqCst);
        Some("/route")
    });
    let mut service = answering(&layer, |_| response(200, ScriptedBody::new([])));
    let _ = read(&mut ready(service.call(get())).unwrap().into_body());
    assert_eq!(CALLS.load(Ordering::SeqCst), 1);
}

/// One client sends all combinations of method, scheme and version to 19 routes. Another one uses the 20th.
#[test]
fn combinations_of_methods_schemes_and_versions_leave_series_for_other_routes() {
    use axum::{Router, routing::get as on_get};
    let meters = Meters::new();
    let mut app: Router = Router::new();
    for route in 0..20 {
        app = app.route(
            &format!("/r{route}"),
            on_get(async || "ok").post(async || axum::http::StatusCode::CREATED),
        );
    }
    let mut app = app.layer(meters.layer());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let mut send = |method: &str, scheme: &str, route: usize, version: http::Version| {
        let request = Request::builder()
            .method(method)
            .version(version)
            .uri(format!("{scheme}://h/r{route}"));
        let request = request.body(axum::body::Body::empty()).unwrap();
        runtime.block_on(async {
            use http_body_util::BodyExt as _;
            let response: http::Response<axum::body::Body> = app.call(request).await.unwrap();
            let _ = response.into_body().collect().await;
        });
    };
    let methods = [
        "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY",
        "X",
    ];
    for route in 0..19 {
        for method in methods {
            for scheme in ["http", "https", "ws", "wss", "x"] {
                for version in [
                    http::Version::HTTP_10,
                    http::Version::HTTP_11,
                    http::Version::HTTP_2,
                ] {
                    send(method, scheme, route, version);
                }
            }
        }
    }
    send("GET", "http", 19, http::Version::HTTP_11);
    // `Meters::of` panics if the SDK has recorded an overflow series.
    let all = meters.of("http.server.request.duration");
    let values =
        |key: &str| -> BTreeSet<_> { all.iter().filter_map(|one| one.attribute(key)).collect() };
    assert!(
        values("http.route").contains("/r19"),
        "{} series",
        all.len()
    );
    let expected = ["http", "https"].map(str::to_owned);
    assert_eq!(values("url.scheme"), BTreeSet::from(expected));
}
