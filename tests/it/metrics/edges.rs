//! What must hold where requests, layers and instruments are odd.

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
use crate::support::meters::Meters;
use crate::support::recorder::Recorder;
use crate::support::{
    answering, defused, explode, get, handle_of, poll_frame, read, ready, response,
};

const CALL: &str = "rpc.server.call.duration";

fn call_of(
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

fn methods(content_type: &'static str, body: impl Fn() -> ScriptedBody) -> Vec<String> {
    let meters = Meters::new();
    let layer = meters.layer();
    for id in 0..5 {
        call_of(&layer, id, content_type, &body);
    }
    meters
        .of(CALL)
        .iter()
        .filter_map(|one| one.attribute("rpc.method"))
        .collect()
}

/// What an interceptor, a deadline or a limit answers before there is a method.
#[test]
fn statuses_of_what_stands_before_make_no_series() {
    let mut many = Vec::new();
    for status in [
        "1", "2", "3", "4", "5", "6", "9", "10", "11", "13", "15", "99",
    ] {
        let status: &'static str = status;
        let pair: &'static [(&str, &str)] = Box::leak(Box::new([("grpc-status", status)]));
        let seen = methods("application/grpc", move || {
            ScriptedBody::new([Trailers(pair)])
        });
        if seen.len() > 1 {
            many.push((status, seen.len()));
        }
    }
    assert!(many.is_empty(), "{many:?}");
}

/// gRPC-Web has its trailers in the body, whose bytes are no data.
#[test]
fn refusals_in_grpc_web_make_no_series() {
    // `Data(n)` is scripted; a body of our own says what is needed.
    let meters = Meters::new();
    let layer = meters.layer();
    for id in 0..5 {
        let mut service = layer.layer(service_fn(async |_: Request<()>| {
            let trailers = b"grpc-status:7\r\n";
            let mut bytes = vec![0x80, 0, 0, 0, u8::try_from(trailers.len()).expect("short")];
            bytes.extend_from_slice(trailers);
            let body = http_body_util::Full::new(bytes::Bytes::from(bytes));
            let answer =
                http::Response::builder().header("content-type", "application/grpc-web+proto");
            Ok::<_, std::convert::Infallible>(answer.body(body).unwrap())
        }));
        let request = Request::post(format!("/pkg.Service/Method{id}"))
            .header("content-type", "application/grpc-web+proto");
        let answer = ready(service.call(request.body(()).unwrap())).unwrap();
        let mut body = answer.into_body();
        while let std::task::Poll::Ready(Some(Ok(_))) = poll_frame(&mut body) {}
    }
    let all = meters.of(CALL);
    assert_eq!(
        all[0].attribute("rpc.status_code").as_deref(),
        Some("PERMISSION_DENIED")
    );
    assert_eq!(all.len(), 1);
}

/// One request says that it has 2^64 - 3 bytes, and sends none.
#[test]
fn a_declared_length_does_not_spoil_the_sum_of_sizes() {
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

/// `response_attributes` tell the model's operation; the trace is sampled out.
#[test]
fn what_the_operator_says_of_a_response_counts_without_a_span() {
    let count = |recorded: bool| {
        let (meters, at) = (Meters::new(), Recorder::new());
        let layer = if recorded {
            at.layer()
        } else {
            at.layer().sample_rate(0.0)
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

/// An inner layer of metrics alone, as `NoopTracerProvider` is for, inside one of spans alone.
#[test]
fn the_outer_layers_span_hears_the_handler_with_and_without_inner_metrics() {
    let outcome = |with_metrics: bool| {
        let (at, meters) = (Recorder::new(), Meters::new());
        let inner = ApiSpanLayer::new().tracer_provider(&NoopTracerProvider::new());
        let inner = if with_metrics {
            meters.on(inner)
        } else {
            inner
        };
        let mut service = at
            .layer()
            .layer(inner.layer(service_fn(async |request: Request<()>| {
                SpanHandle::from_extensions(request.extensions()).abort("out_of_memory", "");
                Ok::<_, std::convert::Infallible>(response(200, ScriptedBody::new([])))
            })));
        let _ = read(&mut ready(service.call(get())).unwrap().into_body());
        at.only().outcome()
    };
    assert_eq!(outcome(true), outcome(false));
}

#[derive(Debug)]
struct Says(Arc<Mutex<Option<SpanHandle>>>);

impl LogProcessor for Says {
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

/// Told again between the outcome and the end, as a spawned task may.
#[test]
fn the_handoff_is_told_once() {
    let at = Recorder::new();
    let kept = Arc::new(Mutex::new(None));
    let logs = SdkLoggerProvider::builder()
        .with_log_processor(Says(Arc::clone(&kept)))
        .build();
    let layer = at.layer().logger_provider(&logs);
    let mut service = answering(&layer, |request| {
        let handle = handle_of(&request);
        handle.handoff_to_core();
        handle.abort("x", "");
        *kept.lock().unwrap() = Some(handle);
        response(200, ScriptedBody::new([]))
    });
    let _ = read(&mut ready(service.call(get())).unwrap().into_body());
    let span = at.exported().remove(0);
    let events = span
        .events
        .iter()
        .filter(|event| event.name == "api.HANDOFF_TO_CORE");
    assert_eq!(events.count(), 1);
}

static FAILS: AtomicBool = AtomicBool::new(true);
static ACTIVE: AtomicI64 = AtomicI64::new(0);

/// A provider with some state, for one without is taken for a no-op.
struct Provider(u8);

struct FailsOnce;

impl MeterProvider for Provider {
    fn meter_with_scope(&self, _: InstrumentationScope) -> Meter {
        assert_eq!(self.0, 1);
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

/// The counter fails as a request arrives, and works again when it ends.
#[test]
fn what_was_not_counted_up_is_not_counted_down() {
    let layer = ApiSpanLayer::new()
        .tracer_provider(&NoopTracerProvider::new())
        .meter_provider(&Provider(1))
        .active_requests(true);
    let mut service = answering(&layer, |_| response(200, ScriptedBody::new([])));
    let _ = defused(|| read(&mut ready(service.call(get())).unwrap().into_body()));
    assert_eq!(ACTIVE.load(Ordering::SeqCst), 0);
}

/// A request without a span ends while another one's context is current, which is none of its own.
#[test]
fn a_log_without_a_span_is_in_no_strangers_trace() {
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

/// A tracer that is shut down gives no span; the operator's functions are asked once all the same.
#[test]
fn functions_are_asked_once() {
    static ASKED: AtomicI64 = AtomicI64::new(0);
    let meters = Meters::new();
    let provider = opentelemetry_sdk::trace::SdkTracerProvider::builder().build();
    provider.shutdown().unwrap();
    let layer = meters.layer().tracer_provider(&provider).route_fn(|_| {
        ASKED.fetch_add(1, Ordering::SeqCst);
        Some("/asked")
    });
    let mut service = answering(&layer, |_| response(200, ScriptedBody::new([])));
    let _ = read(&mut ready(service.call(get())).unwrap().into_body());
    assert_eq!(ASKED.load(Ordering::SeqCst), 1);
}

/// A sampled-out request inside a layer that has a span: without inner metrics its handle is the outer's.
#[test]
fn an_inner_layer_that_samples_out_leaves_the_outer_handle() {
    let outcome = |with_metrics: bool| {
        let (at, within, meters) = (Recorder::new(), Recorder::new(), Meters::new());
        let inner = within.layer().sample_rate(0.0);
        let inner = if with_metrics {
            meters.on(inner)
        } else {
            inner
        };
        let mut service = at
            .layer()
            .layer(inner.layer(service_fn(async |request: Request<()>| {
                SpanHandle::from_extensions(request.extensions()).abort("out_of_memory", "");
                Ok::<_, std::convert::Infallible>(response(200, ScriptedBody::new([])))
            })));
        let _ = read(&mut ready(service.call(get())).unwrap().into_body());
        at.only().outcome()
    };
    assert_eq!(outcome(true), outcome(false));
}

/// Twenty routes; one stranger varies all that is known: methods, schemes, versions. Then a client comes.
#[test]
fn methods_schemes_and_versions_leave_room_for_the_rest() {
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
            let answer: http::Response<axum::body::Body> = app.call(request).await.unwrap();
            let _ = answer.into_body().collect().await;
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
    // This would refuse a series of the SDK's for what has no room.
    let all = meters.of("http.server.request.duration");
    let of = |key: &str| -> BTreeSet<_> {
        let values = all.iter().filter_map(|one| one.attribute(key));
        values.collect()
    };
    assert!(of("http.route").contains("/r19"), "{} series", all.len());
    let told = ["http", "https"].map(str::to_owned);
    assert_eq!(of("url.scheme"), BTreeSet::from(told));
}
