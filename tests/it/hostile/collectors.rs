//! Hanging and unreachable collectors: no request waits for an export. Requests are served and their spans end
//! while the exporter hangs. Only data that does not fit into the export queue is lost.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use axum::body::Body;
use http::{Response, Version};
use opentelemetry_otlp::WithExportConfig as _;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogBatch, LogExporter, SdkLoggerProvider};
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider, Temporality};
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider, SpanData, SpanExporter,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
use tokio::net::TcpListener;
use tower_api_span::ApiSpanLayer;

use super::raw::{GET, LAST_GET};
use super::tally::Tally;
use super::{current_thread_runtime, serve, service};
use crate::support::body::ScriptedBody;
use crate::support::body::Step::Data;
use crate::support::recorder::w3c;
use crate::support::without_deadlock;

const REQUESTS: usize = 500;
const QUEUE: usize = 16;

/// An exporter that blocks until its gate is opened.
#[derive(Debug)]
struct Hanging {
    gate: Mutex<Receiver<()>>,
    started: Sender<usize>,
}

/// Opens a [`Hanging`] exporter and counts its exports.
struct Gate {
    open: Option<Sender<()>>,
    started: Receiver<usize>,
}

impl Hanging {
    fn new() -> (Self, Gate) {
        let ((open, gate), (sender, started)) = (channel(), channel());
        let gate = Mutex::new(gate);
        let hanging = Self {
            gate,
            started: sender,
        };
        let open = Some(open);
        (hanging, Gate { open, started })
    }

    fn hang(&self, items: usize) {
        // The gate may be dropped already.
        let _ = self.started.send(items);
        // Returns when the sender is dropped.
        let _ = self.gate.lock().expect("not poisoned").recv();
    }
}

impl Gate {
    /// Waits for the first export and returns its number of items.
    fn wait_for_export(&self) -> usize {
        let items = self.started.recv_timeout(Duration::from_secs(60));
        items.expect("the exporter is called")
    }

    /// Opens the gate, runs `end`, and returns the number of items exported since.
    fn open(mut self, end: impl FnOnce()) -> usize {
        self.open.take();
        end();
        self.started.try_iter().sum()
    }
}

impl SpanExporter for Hanging {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.hang(batch.len());
        Ok(())
    }
}

/// An exporter that reports whether each export succeeded.
#[derive(Debug)]
struct Reporting<E> {
    exporter: E,
    results: Sender<bool>,
}

impl<E: SpanExporter> SpanExporter for Reporting<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let result = self.exporter.export(batch).await;
        // The receiver may be dropped already.
        let _ = self.results.send(result.is_ok());
        result
    }
}

impl LogExporter for Hanging {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        self.hang(batch.iter().count());
        Ok(())
    }
}

impl PushMetricExporter for Hanging {
    async fn export(&self, _: &ResourceMetrics) -> OTelSdkResult {
        self.hang(1);
        Ok(())
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }

    fn temporality(&self) -> Temporality {
        Temporality::Cumulative
    }
}

/// Serves `count` requests on one connection and returns the elapsed time. Panics on a deadlock.
fn serve_requests(layer: Option<&ApiSpanLayer>, count: usize) -> Duration {
    let layer = layer.cloned();
    without_deadlock(move || serve_all(layer.as_ref(), count))
}

fn serve_all(layer: Option<&ApiSpanLayer>, count: usize) -> Duration {
    let service = service(layer, |_| {
        let body = ScriptedBody::new([Data(5), Data(5)]);
        std::future::ready(Response::new(Body::new(body)))
    });
    let start = Instant::now();
    current_thread_runtime().block_on(async {
        let (mut client, server) = duplex(1 << 20);
        serve(Version::HTTP_11, server, service);
        let sent = [GET.repeat(count - 1), LAST_GET.to_vec()].concat();
        client.write_all(&sent).await.expect("the server reads");
        let mut responses = Vec::new();
        let read = client.read_to_end(&mut responses).await;
        read.expect("a pipe");
        let complete = responses
            .windows(5)
            .filter(|five| five == b"0\r\n\r\n")
            .count();
        assert_eq!(complete, count);
    });
    start.elapsed()
}

fn batch_processor(exporter: impl SpanExporter + 'static) -> BatchSpanProcessor {
    let config = BatchConfigBuilder::default()
        .with_max_queue_size(QUEUE)
        .with_max_export_batch_size(QUEUE / 2)
        .with_scheduled_delay(Duration::from_millis(1))
        .build();
    BatchSpanProcessor::builder(exporter)
        .with_batch_config(config)
        .build()
}

/// Returns a provider with this processor, and a tally that counts spans before it.
fn counted(processor: BatchSpanProcessor) -> (Tally, SdkTracerProvider) {
    let tally = Tally::default();
    let provider = SdkTracerProvider::builder()
        .with_span_processor(tally.clone())
        .with_span_processor(processor)
        .build();
    (tally, provider)
}

fn layer(provider: &SdkTracerProvider) -> ApiSpanLayer {
    let layer = ApiSpanLayer::new().tracer_provider(provider);
    layer.propagator(w3c())
}

#[test]
fn requests_are_served_while_the_exporter_hangs_and_the_queue_is_full() {
    let (exporter, gate) = Hanging::new();
    let (tally, provider) = counted(batch_processor(exporter));
    let layer = layer(&provider);
    serve_requests(Some(&layer), 1);
    // The exporter hangs, so the queue is not drained from here on.
    let first = gate.wait_for_export();
    serve_requests(Some(&layer), REQUESTS);
    tally.check("a full queue", 1 + REQUESTS, "DEPARTED");
    let more = gate.open(|| provider.shutdown().expect("the exporter continues"));
    assert!(
        (QUEUE..2 * QUEUE).contains(&(first + more)),
        "{first}, then {more}: only the queued spans are exported"
    );
}

#[test]
fn requests_are_served_while_the_exporters_of_metrics_and_logs_hang() {
    let (exporter, metrics) = Hanging::new();
    let reader = PeriodicReader::builder(exporter).with_interval(Duration::from_millis(1));
    let meters = SdkMeterProvider::builder()
        .with_reader(reader.build())
        .build();
    let (exporter, logs) = Hanging::new();
    let loggers = SdkLoggerProvider::builder()
        .with_batch_exporter(exporter)
        .build();
    let tally = Tally::default();
    let layer = tally
        .layer()
        .meter_provider(&meters)
        .logger_provider(&loggers)
        .lifecycle_events(tower_api_span::LifecycleEvents::AsLogs);
    serve_requests(Some(&layer), 1);
    metrics.wait_for_export();
    // More than the SDK's default queue holds.
    serve_requests(Some(&layer), 3_000);
    logs.wait_for_export();
    assert_eq!((tally.starts(), tally.ends()), (3_001, 3_001));
    let more = metrics.open(|| drop(meters.shutdown()));
    assert!(more > 0, "metrics are exported at shutdown");
    let more = logs.open(|| drop(loggers.shutdown()));
    assert!(
        more > 0,
        "the queued log records are exported once the gate is open"
    );
}

/// A closed endpoint refuses connections. A silent one accepts them and never responds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_served_while_the_otlp_endpoint_is_closed_or_silent() {
    for is_silent in [true, false] {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let silent = is_silent.then_some(listener);
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_tonic()
            .with_endpoint(format!("http://{address}"))
            .with_timeout(Duration::from_millis(100))
            .build()
            .expect("an exporter");
        let (results, exports) = channel();
        let (tally, provider) = counted(batch_processor(Reporting { exporter, results }));
        let layer = layer(&provider);
        let served = tokio::task::spawn_blocking(move || serve_requests(Some(&layer), REQUESTS));
        served.await.expect("no panic");
        tally.check("no collector", REQUESTS, "DEPARTED");
        if let Some(silent) = silent {
            let connection = tokio::time::timeout(Duration::from_secs(60), silent.accept()).await;
            connection
                .expect("the exporter connects")
                .expect("a connection");
        }
        // Shutdown blocks. Its result depends on the timing of the last export.
        let shutdown = tokio::task::spawn_blocking(move || drop(provider.shutdown()));
        shutdown.await.expect("no panic");
        let exports: Vec<_> = exports.try_iter().collect();
        assert!(!exports.is_empty(), "the exporter was called");
        assert!(!exports.contains(&true), "no export succeeded");
    }
}

/// Prints the times with and without a hanging exporter. The test fails only if a request waits for the closed
/// gate.
#[test]
fn requests_are_served_while_the_exporter_hangs_and_their_times_are_printed() {
    let (exporter, gate) = Hanging::new();
    let (_, hanging) = counted(batch_processor(exporter));
    let hanging_layer = layer(&hanging);
    let counting = Tally::default().layer();
    serve_requests(Some(&hanging_layer), 1);
    gate.wait_for_export();
    let best = |layer: Option<&ApiSpanLayer>| {
        let times = (0..5).map(|_| serve_requests(layer, REQUESTS));
        times.min().expect("five times")
    };
    let (bare, idle, hung) = (
        best(None),
        best(Some(&counting)),
        best(Some(&hanging_layer)),
    );
    println!("{REQUESTS} requests: bare {bare:?}, layered {idle:?}, exporter hangs {hung:?}");
    // The gate is closed until here.
    gate.open(|| hanging.shutdown().expect("the exporter continues"));
}
