//! Serves requests with one version of `opentelemetry`, and reads their spans, metrics and log events from its SDK.

#[cfg(feature = "event-enabled")]
mod refusing;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use opentelemetry::global;
use opentelemetry::trace::{SpanKind, Status, TracerProvider as _};
use opentelemetry_sdk::logs::{InMemoryLogExporter, SdkLogRecord, SdkLoggerProvider};
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData};
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, SdkMeterProvider};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tower_api_span::{AccessLog, ApiSpanLayer, RequestTracer, SpanHandle};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

const CALLER: &str = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n";

/// The SDK's providers, and what they export.
struct Telemetry {
    tracers: SdkTracerProvider,
    spans: InMemorySpanExporter,
    meters: SdkMeterProvider,
    metrics: InMemoryMetricExporter,
    loggers: SdkLoggerProvider,
    logs: InMemoryLogExporter,
}

impl Telemetry {
    fn new() -> Self {
        let spans = InMemorySpanExporter::default();
        let metrics = InMemoryMetricExporter::default();
        let logs = InMemoryLogExporter::default();
        Self {
            tracers: SdkTracerProvider::builder()
                .with_simple_exporter(spans.clone())
                .build(),
            spans,
            meters: SdkMeterProvider::builder()
                .with_periodic_exporter(metrics.clone())
                .build(),
            metrics,
            loggers: SdkLoggerProvider::builder()
                .with_simple_exporter(logs.clone())
                .build(),
            logs,
        }
    }

    /// Returns the spans that have ended since the last call: the span of the request is the last.
    fn take_spans(&self) -> Vec<SpanData> {
        let spans = self.spans.get_finished_spans().expect("spans");
        self.spans.reset();
        spans
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let telemetry = Telemetry::new();
    let tracer = RequestTracer::new(telemetry.tracers.tracer("versions"));
    let exported = tracing_opentelemetry::layer().with_tracer(tracer);
    tracing_subscriber::registry().with(exported).init();
    let layer = ApiSpanLayer::new()
        .logger_provider(&telemetry.loggers)
        .access_log(AccessLog::new())
        .tracing_span(true);
    let described = layer.clone();
    let none = "global, none (the API's no-op)";
    assert_eq!(found(&described), [none, none, none]);
    let port = serve(layer).await;

    send(port, "/users/7", CALLER, 200).await;
    let spans = telemetry.take_spans();
    assert!(
        spans.iter().all(|span| span.span_kind != SpanKind::Server),
        "{spans:#?}"
    );

    global::set_tracer_provider(telemetry.tracers.clone());
    global::set_meter_provider(telemetry.meters.clone());
    global::set_text_map_propagator(TraceContextPropagator::new());
    send(port, "/users/7", CALLER, 200).await;
    check_user(&telemetry.take_spans());
    let propagator = "global (traceparent, tracestate)";
    assert_eq!(
        found(&described),
        ["global, set", propagator, "global, set"]
    );
    assert!(telemetry.logs.get_emitted_logs().expect("logs").is_empty());

    send(port, "/fails", "", 500).await;
    let failed = check_failure(&telemetry.take_spans());
    let logs = telemetry.logs.get_emitted_logs().expect("logs");
    let [log] = &logs[..] else {
        panic!("one log event: {logs:#?}");
    };
    check_log(&log.record, &failed);
    check_durations(&telemetry);
    #[cfg(feature = "event-enabled")]
    refusing::check().await;
}

/// Starts a server with the layer. Returns its port.
async fn serve(layer: ApiSpanLayer) -> u16 {
    let app = Router::new()
        .route("/users/{id}", get(user))
        .route("/fails", get(fail))
        .layer(layer);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move { axum::serve(listener, app).await });
    port
}

/// Returns what the layer finds: its tracer provider, propagator and meter provider.
fn found(layer: &ApiSpanLayer) -> Vec<String> {
    let description = layer.describe();
    let lines = description.lines().skip(1).take(3);
    lines
        .filter_map(|line| Some(line.split_once(": ")?.1.to_owned()))
        .collect()
}

async fn user() -> &'static str {
    tracing::info_span!("load").in_scope(|| tracing::info!("loaded"));
    tracing::info!("in the handler");
    "a user"
}

async fn fail(span: SpanHandle) -> StatusCode {
    span.mark_aborted("quota", "no more today");
    StatusCode::INTERNAL_SERVER_ERROR
}

async fn send(port: u16, path: &str, headers: &str, status: u16) {
    let mut stream = TcpStream::connect(("127.0.0.1", port))
        .await
        .expect("a connection");
    let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{headers}\r\n");
    stream
        .write_all(request.as_bytes())
        .await
        .expect("a request");
    let mut response = String::new();
    stream
        .read_to_string(&mut response)
        .await
        .expect("a response");
    assert!(
        response.starts_with(&format!("HTTP/1.1 {status} ")),
        "{response}"
    );
}

fn server_span(spans: &[SpanData]) -> &SpanData {
    let mut servers = spans
        .iter()
        .filter(|span| span.span_kind == SpanKind::Server);
    let server = servers.next().expect("a SERVER span");
    assert!(servers.next().is_none(), "{spans:#?}");
    server
}

fn attribute(span: &SpanData, key: &str) -> Option<String> {
    let mut attributes = span.attributes.iter();
    let found = attributes.find(|attribute| attribute.key.as_str() == key)?;
    Some(found.value.to_string())
}

/// Checks the span of a complete response: a child of the caller, and the parent of the span of `tracing`.
fn check_user(spans: &[SpanData]) {
    let server = server_span(spans);
    assert_eq!(server.name, "GET /users/{id}");
    let trace_id = server.span_context.trace_id();
    assert_eq!(trace_id.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(server.parent_span_id.to_string(), "00f067aa0ba902b7");
    assert_eq!(server.status, Status::Unset);
    for (key, value) in [
        ("http.route", "/users/{id}"),
        ("http.response.status_code", "200"),
        ("api.outcome", "DEPARTED"),
    ] {
        assert_eq!(attribute(server, key).as_deref(), Some(value), "{key}");
    }
    let events: Vec<_> = server.events.iter().map(|event| &*event.name).collect();
    assert_eq!(events, ["api.ARRIVED", "in the handler", "api.DEPARTED"]);
    let [load, _] = spans else {
        panic!("one span of `tracing`, and the SERVER span: {spans:#?}");
    };
    assert_eq!(load.name, "load");
    assert_eq!(load.parent_span_id, server.span_context.span_id());
}

/// Checks the span of a failure. Returns it.
fn check_failure(spans: &[SpanData]) -> SpanData {
    let server = server_span(spans);
    assert_eq!(server.name, "GET /fails");
    assert_eq!(server.status, Status::error("no more today"));
    let reason = attribute(server, "api.abort.reason");
    assert_eq!(reason.as_deref(), Some("quota"));
    server.clone()
}

/// Checks the log event of the failure: it has the ids of the span.
fn check_log(record: &SdkLogRecord, failed: &SpanData) {
    assert_eq!(record.event_name(), Some("http.server.request.exception"));
    let context = record.trace_context().expect("ids");
    assert_eq!(context.trace_id, failed.span_context.trace_id());
    assert_eq!(context.span_id, failed.span_context.span_id());
}

/// Checks that the durations of both requests were measured.
fn check_durations(telemetry: &Telemetry) {
    telemetry
        .meters
        .force_flush()
        .expect("metrics are exported");
    let exported = telemetry.metrics.get_finished_metrics().expect("metrics");
    let last = exported.last().expect("an export");
    let mut metrics = last.scope_metrics().flat_map(|scope| scope.metrics());
    let duration = metrics.find(|metric| metric.name() == "http.server.request.duration");
    let Some(AggregatedMetrics::F64(MetricData::Histogram(data))) =
        duration.map(|metric| metric.data())
    else {
        panic!("a histogram: {exported:#?}");
    };
    let mut routes: Vec<_> = data
        .data_points()
        .map(|point| {
            let mut attributes = point.attributes();
            let route = attributes.find(|attribute| attribute.key.as_str() == "http.route");
            (route.map(|route| route.value.to_string()), point.count())
        })
        .collect();
    routes.sort();
    assert_eq!(
        routes,
        [
            (Some("/fails".to_owned()), 1),
            (Some("/users/{id}".to_owned()), 1)
        ]
    );
}
