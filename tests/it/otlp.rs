//! Spans, metrics and log events as a collector receives them, exported with OTLP over a real connection.

use std::time::Duration;

use http::{Request, Response, StatusCode};
use opentelemetry::KeyValue;
use opentelemetry::trace::{Tracer as _, TracerProvider as _};
use opentelemetry_otlp::WithExportConfig as _;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{
    LogsService, LogsServiceServer,
};
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::KeyValue as Attribute;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::{ScopeLogs, SeverityNumber};
use opentelemetry_proto::tonic::metrics::v1::metric::Data as MetricData;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value::AsInt;
use opentelemetry_proto::tonic::metrics::v1::{AggregationTemporality, ScopeMetrics};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode as SpanStatus;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tonic::transport::server::TcpIncoming;
use tower::Service;
use tower_api_span::{ApiSpanLayer, LifecycleEvents, SpanHandle};

use crate::support::body::ScriptedBody;
use crate::support::body::Step::{Data, Error};
use crate::support::recorder::w3c;
use crate::support::{answering, read};

const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT_ID: &str = "00f067aa0ba902b7";

/// A trace service that forwards what it receives.
struct TraceReceiver(mpsc::UnboundedSender<ResourceSpans>);

#[tonic::async_trait]
impl TraceService for TraceReceiver {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        for spans in request.into_inner().resource_spans {
            self.0.send(spans).expect("the test waits");
        }
        Ok(tonic::Response::new(ExportTraceServiceResponse::default()))
    }
}

/// Serves two requests, exports their spans, and returns the spans received.
async fn export_spans() -> Vec<ScopeSpans> {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let (sender, mut receiver) = mpsc::unbounded_channel();
    tokio::spawn(
        tonic::transport::Server::builder()
            .add_service(TraceServiceServer::new(TraceReceiver(sender)))
            .serve_with_incoming(TcpIncoming::from(listener)),
    );
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_tonic()
        .with_endpoint(format!("http://{address}"))
        .build()
        .expect("an exporter");
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .build();
    let layer = ApiSpanLayer::new()
        .tracer_provider(&provider)
        .propagator(w3c());

    let tracer = provider.tracer("engine");
    let mut service = answering(&layer, move |request| {
        SpanHandle::from_extensions(request.extensions()).add_event("cache.miss", Vec::new());
        let tracer = tracer.clone();
        let steps = if request.uri().path() == "/fails" {
            vec![Data(3), Error]
        } else {
            vec![Data(3)]
        };
        Response::new(ScriptedBody::new(steps).on_poll(move || drop(tracer.start("llm_core"))))
    });
    for path in ["/whole?q=1", "/fails"] {
        let request = Request::get(path)
            .header("host", "example.com:8080")
            .header("traceparent", format!("00-{TRACE_ID}-{PARENT_ID}-01"))
            .body(())
            .expect("a request");
        let response = service.call(request).await.expect("a response");
        assert_eq!(response.status(), StatusCode::OK);
        // The body of one response fails.
        let _ = read(&mut response.into_body());
    }
    // `shutdown` blocks until the receiver, on this runtime, has responded.
    tokio::task::spawn_blocking(move || provider.shutdown())
        .await
        .expect("no panic")
        .expect("all spans are exported");
    let mut scopes = Vec::new();
    while let Ok(spans) = receiver.try_recv() {
        scopes.extend(spans.scope_spans);
    }
    scopes
}

fn attributes(span: &Span) -> Vec<(&str, &Value)> {
    let values = span.attributes.iter().map(|attribute| {
        let value = attribute
            .value
            .as_ref()
            .and_then(|value| value.value.as_ref());
        (attribute.key.as_str(), value.expect("a value"))
    });
    values.collect()
}

fn attribute<'a>(span: &'a Span, key: &str) -> Option<&'a Value> {
    let found = attributes(span)
        .into_iter()
        .find(|(found, _)| *found == key);
    found.map(|(_, value)| value)
}

fn text(text: &str) -> Value {
    Value::StringValue(text.to_owned())
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_receives_kind_parent_status_events_and_typed_attributes() {
    let scopes = export_spans().await;
    let layer_scopes: Vec<_> = scopes
        .iter()
        .filter(|spans| {
            let scope = spans.scope.as_ref().expect("a scope");
            scope.name == "tower-api-span" && !scope.version.is_empty()
        })
        .collect();
    assert!(!layer_scopes.is_empty());
    for spans in &layer_scopes {
        assert_eq!(spans.schema_url, "https://opentelemetry.io/schemas/1.45.0");
    }
    let servers: Vec<&Span> = layer_scopes.iter().flat_map(|spans| &spans.spans).collect();
    let [whole, fails] = servers[..] else {
        panic!("expected two spans, got {servers:#?}");
    };

    for span in [whole, fails] {
        assert_eq!(span.kind(), SpanKind::Server);
        assert_eq!(hex(&span.trace_id), TRACE_ID);
        assert_eq!(hex(&span.parent_span_id), PARENT_ID);
        // Sampled, with a remote parent.
        assert_eq!(span.flags & 0x301, 0x301);
        let times: Vec<u64> = span
            .events
            .iter()
            .map(|event| event.time_unix_nano)
            .collect();
        assert!(times.is_sorted());
        assert_eq!(times.first(), Some(&span.start_time_unix_nano));
        assert_eq!(times.last(), Some(&span.end_time_unix_nano));
        let status = attribute(span, "http.response.status_code");
        assert_eq!(status, Some(&Value::IntValue(200)));
        let port = attribute(span, "server.port");
        assert_eq!(port, Some(&Value::IntValue(8080)));
        for key in ["api.time_to_head", "api.time_to_first_byte"] {
            assert!(
                matches!(attribute(span, key), Some(Value::DoubleValue(_))),
                "{key}"
            );
        }
        assert_eq!(attribute(span, "http.request.method"), Some(&text("GET")));
    }
    assert_eq!(attribute(whole, "url.query"), Some(&text("q=1")));
    assert_eq!(attribute(whole, "api.outcome"), Some(&text("DEPARTED")));
    assert_eq!(attribute(fails, "error.type"), Some(&text("exception")));

    let names =
        |span: &Span| -> Vec<_> { span.events.iter().map(|event| event.name.clone()).collect() };
    assert_eq!(names(whole), ["api.ARRIVED", "cache.miss", "api.DEPARTED"]);
    assert_eq!(names(fails), ["api.ARRIVED", "cache.miss", "api.ABORTED"]);
    let status = |span: &Span| {
        let status = span.status.clone().unwrap_or_default();
        (status.code(), status.message)
    };
    assert_eq!(status(whole), (SpanStatus::Unset, String::new()));
    assert_eq!(status(fails), (SpanStatus::Error, "boom".to_owned()));
    let aborted = fails.events.last().expect("an event");
    let reason = KeyValue::new("reason", "exception");
    assert_eq!(aborted.attributes[0].key, reason.key.as_str());

    let children = scopes
        .iter()
        .flat_map(|spans| &spans.spans)
        .filter(|span| span.name == "llm_core");
    let parents: Vec<_> = children.map(|child| child.parent_span_id.clone()).collect();
    let children_of = |span: &Span| {
        parents
            .iter()
            .filter(|parent| **parent == span.span_id)
            .count()
    };
    assert_eq!(
        (children_of(whole), children_of(fails), parents.len()),
        (2, 2, 4)
    );
}

/// The telemetry of one request at a collector.
struct Telemetry {
    spans: Vec<ScopeSpans>,
    metrics: Vec<ScopeMetrics>,
    logs: Vec<ScopeLogs>,
}

/// A metrics service that forwards what it receives.
struct MetricsReceiver(mpsc::UnboundedSender<ScopeMetrics>);

#[tonic::async_trait]
impl MetricsService for MetricsReceiver {
    async fn export(
        &self,
        request: tonic::Request<ExportMetricsServiceRequest>,
    ) -> Result<tonic::Response<ExportMetricsServiceResponse>, tonic::Status> {
        let resources = request.into_inner().resource_metrics.into_iter();
        for metrics in resources.flat_map(|resource| resource.scope_metrics) {
            self.0.send(metrics).expect("the test waits");
        }
        Ok(tonic::Response::new(ExportMetricsServiceResponse::default()))
    }
}

/// A logs service that forwards what it receives.
struct LogsReceiver(mpsc::UnboundedSender<ScopeLogs>);

#[tonic::async_trait]
impl LogsService for LogsReceiver {
    async fn export(
        &self,
        request: tonic::Request<ExportLogsServiceRequest>,
    ) -> Result<tonic::Response<ExportLogsServiceResponse>, tonic::Status> {
        let resources = request.into_inner().resource_logs.into_iter();
        for logs in resources.flat_map(|resource| resource.scope_logs) {
            self.0.send(logs).expect("the test waits");
        }
        Ok(tonic::Response::new(ExportLogsServiceResponse::default()))
    }
}

/// Serves a request whose body fails, exports all signals to one receiver, and returns what it received.
async fn export_all_signals() -> Telemetry {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
    let (to_spans, mut spans) = mpsc::unbounded_channel();
    let (to_metrics, mut metrics) = mpsc::unbounded_channel();
    let (to_logs, mut logs) = mpsc::unbounded_channel();
    tokio::spawn(
        tonic::transport::Server::builder()
            .add_service(TraceServiceServer::new(TraceReceiver(to_spans)))
            .add_service(MetricsServiceServer::new(MetricsReceiver(to_metrics)))
            .add_service(LogsServiceServer::new(LogsReceiver(to_logs)))
            .serve_with_incoming(TcpIncoming::from(listener)),
    );
    let exporter = opentelemetry_otlp::SpanExporter::builder().with_tonic();
    let exporter = exporter.with_endpoint(&endpoint).build();
    let tracers = SdkTracerProvider::builder()
        .with_batch_exporter(exporter.expect("an exporter"))
        .build();
    let exporter = opentelemetry_otlp::MetricExporter::builder().with_tonic();
    let exporter = exporter.with_endpoint(&endpoint).build();
    let reader = PeriodicReader::builder(exporter.expect("an exporter")).build();
    let meters = SdkMeterProvider::builder().with_reader(reader).build();
    let exporter = opentelemetry_otlp::LogExporter::builder().with_tonic();
    let exporter = exporter.with_endpoint(&endpoint).build();
    let loggers = SdkLoggerProvider::builder()
        .with_batch_exporter(exporter.expect("an exporter"))
        .build();

    let layer = ApiSpanLayer::new()
        .tracer_provider(&tracers)
        .meter_provider(&meters)
        .logger_provider(&loggers)
        .propagator(w3c())
        .body_sizes(true)
        .active_requests(true)
        .lifecycle_events(LifecycleEvents::Both);
    let mut service = answering(&layer, |_| {
        Response::new(ScriptedBody::new([Data(3), Error]))
    });
    let request = Request::get("/fails")
        .header("traceparent", format!("00-{TRACE_ID}-{PARENT_ID}-01"))
        .body(())
        .expect("a request");
    let response = service.call(request).await.expect("a response");
    assert!(read(&mut response.into_body()).is_err());
    tokio::task::spawn_blocking(move || {
        tracers.shutdown()?;
        meters.shutdown()?;
        loggers.shutdown()
    })
    .await
    .expect("no panic")
    .expect("all signals are exported");

    let mut telemetry = Telemetry {
        spans: Vec::new(),
        metrics: Vec::new(),
        logs: Vec::new(),
    };
    while let Ok(resource) = spans.try_recv() {
        telemetry.spans.extend(resource.scope_spans);
    }
    while let Ok(scope) = metrics.try_recv() {
        telemetry.metrics.push(scope);
    }
    while let Ok(scope) = logs.try_recv() {
        telemetry.logs.push(scope);
    }
    telemetry
}

/// Returns the attributes as text, in order.
fn texts(attributes: &[Attribute]) -> Vec<(&str, String)> {
    let texts = attributes.iter().map(|attribute| {
        let value = attribute.value.as_ref().and_then(|it| it.value.as_ref());
        let text = match value.expect("a value") {
            Value::StringValue(text) => text.clone(),
            Value::IntValue(number) => number.to_string(),
            other => panic!("{} is {other:?}", attribute.key),
        };
        (attribute.key.as_str(), text)
    });
    texts.collect()
}

/// Returns name, unit and attributes of each metric. Checks that each has one point, with this duration if it is
/// a time.
fn points(metrics: &ScopeMetrics, duration: Duration) -> Vec<(&str, &str, Vec<(&str, String)>)> {
    let mut points = Vec::new();
    for metric in &metrics.metrics {
        let attributes = match metric.data.as_ref().expect("data") {
            MetricData::Histogram(histogram) => {
                let [point] = &histogram.data_points[..] else {
                    panic!("expected one point of {}", metric.name);
                };
                assert_eq!(point.count, 1, "{}", metric.name);
                if metric.unit == "By" {
                    assert_eq!(point.sum, Some(3.0));
                } else {
                    let sum = point.sum.expect("a sum");
                    assert!(
                        (sum - duration.as_secs_f64()).abs() < 1e-6,
                        "{sum} {duration:?}"
                    );
                }
                assert_eq!(
                    histogram.aggregation_temporality(),
                    AggregationTemporality::Cumulative
                );
                texts(&point.attributes)
            }
            MetricData::Sum(sum) => {
                assert!(!sum.is_monotonic);
                let [point] = &sum.data_points[..] else {
                    panic!("expected one point of {}", metric.name);
                };

                assert_eq!(point.value, Some(AsInt(0)));
                texts(&point.attributes)
            }
            other => panic!("{} is {other:?}", metric.name),
        };
        points.push((metric.name.as_str(), metric.unit.as_str(), attributes));
    }
    points.sort();
    points
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_receives_a_span_data_points_and_log_records_of_one_request() {
    let Telemetry {
        spans,
        metrics,
        logs,
    } = export_all_signals().await;
    let ([spans], [metrics], [logs]) = (&spans[..], &metrics[..], &logs[..]) else {
        panic!("expected one scope for each signal: {spans:#?} {metrics:#?} {logs:#?}");
    };
    for (scope, schema_url) in [
        (&spans.scope, &spans.schema_url),
        (&metrics.scope, &metrics.schema_url),
        (&logs.scope, &logs.schema_url),
    ] {
        let scope = scope.as_ref().expect("a scope");
        assert_eq!(scope.name, "tower-api-span");
        assert_eq!(scope.version, env!("CARGO_PKG_VERSION"));
        assert_eq!(schema_url, "https://opentelemetry.io/schemas/1.45.0");
    }
    let [span] = &spans.spans[..] else {
        panic!("expected one span, got {:#?}", spans.spans);
    };

    let records: Vec<_> = logs
        .log_records
        .iter()
        .map(|record| {
            assert_eq!(record.trace_id, span.trace_id);
            assert_eq!(record.span_id, span.span_id);
            assert_eq!(record.flags, 1);
            assert_eq!(record.body, None);
            (
                record.event_name.as_str(),
                record.severity_number(),
                record.severity_text.as_str(),
                record.time_unix_nano,
                texts(&record.attributes),
            )
        })
        .collect();
    let (started, ended) = (span.start_time_unix_nano, span.end_time_unix_nano);
    let info = SeverityNumber::Info;
    let owned = |pairs: &[(&'static str, &str)]| -> Vec<_> {
        let pairs = pairs.iter().map(|(key, value)| (*key, (*value).to_owned()));
        pairs.collect()
    };
    let aborted = owned(&[("reason", "exception"), ("error", "boom")]);
    let exception = owned(&[
        ("exception.type", "it::support::body::Boom"),
        ("exception.message", "boom"),
    ]);
    let name = "http.server.request.exception";
    assert_eq!(
        records,
        [
            ("api.ARRIVED", info, "INFO", started, Vec::new()),
            ("api.ABORTED", info, "INFO", ended, aborted),
            (name, SeverityNumber::Error, "ERROR", ended, exception),
        ]
    );

    let points = points(metrics, Duration::from_nanos(ended - started));
    let names: Vec<_> = points
        .iter()
        .map(|(name, unit, _)| (*name, *unit))
        .collect();
    assert_eq!(
        names,
        [
            ("http.server.active_requests", "{request}"),
            ("http.server.request.duration", "s"),
            ("http.server.response.body.size", "By"),
        ]
    );
    // Every metric attribute is on the span too.
    let span_keys: Vec<_> = attributes(span).into_iter().map(|(key, _)| key).collect();
    for (name, _, attributes) in &points {
        assert!(!attributes.is_empty(), "{name}");
        for (key, _) in attributes {
            assert!(
                span_keys.contains(key),
                "{key} of {name} is not on the span"
            );
        }
    }
    assert!(
        points[1]
            .2
            .contains(&("error.type", "exception".to_owned()))
    );
}
