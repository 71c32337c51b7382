//! Collectors that take nothing: the request never waits for them. While an exporter hangs, hundreds of
//! requests are served and their spans ended; what does not fit into the queue is lost, and only that.

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
use super::{alone, serve, service};
use crate::support::body::ScriptedBody;
use crate::support::body::Step::Data;
use crate::support::recorder::w3c;
use crate::support::without_deadlock;

const REQUESTS: usize = 500;
const QUEUE: usize = 16;

/// An exporter that does nothing until its gate is opened.
#[derive(Debug)]
struct Hanging {
    gate: Mutex<Receiver<()>>,
    begun: Sender<usize>,
}

/// The other side of it.
struct Gate {
    open: Option<Sender<()>>,
    begun: Receiver<usize>,
}

impl Hanging {
    fn new() -> (Self, Gate) {
        let ((open, gate), (begins, begun)) = (channel(), channel());
        let gate = Mutex::new(gate);
        let hanging = Self {
            gate,
            begun: begins,
        };
        let open = Some(open);
        (hanging, Gate { open, begun })
    }

    fn hang(&self, items: usize) {
        // Nobody may listen any more.
        let _ = self.begun.send(items);
        // Open is a gate whose other side is gone.
        let _ = self.gate.lock().expect("not poisoned").recv();
    }
}

impl Gate {
    /// How many items have been taken by the exporter, once it has begun.
    fn has_begun(&self) -> usize {
        let begun = self.begun.recv_timeout(Duration::from_secs(60));
        begun.expect("the exporter is called")
    }

    /// Opens it, and returns how many more items have come until `end` was done.
    fn open(mut self, end: impl FnOnce()) -> usize {
        self.open.take();
        end();
        self.begun.try_iter().sum()
    }
}

impl SpanExporter for Hanging {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.hang(batch.len());
        Ok(())
    }
}

/// An exporter that tells of each of its exports whether it went well.
#[derive(Debug)]
struct Telling<E> {
    exporter: E,
    went_well: Sender<bool>,
}

impl<E: SpanExporter> SpanExporter for Telling<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let result = self.exporter.export(batch).await;
        // Nobody may listen any more.
        let _ = self.went_well.send(result.is_ok());
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

/// Serves so many requests on one connection, and returns how long that took. Panics if they wait for
/// anybody.
fn requests(layer: Option<&ApiSpanLayer>, requests: usize) -> Duration {
    let layer = layer.cloned();
    without_deadlock(move || serve_all(layer.as_ref(), requests))
}

fn serve_all(layer: Option<&ApiSpanLayer>, requests: usize) -> Duration {
    let service = service(layer, |_| {
        let body = ScriptedBody::new([Data(5), Data(5)]);
        std::future::ready(Response::new(Body::new(body)))
    });
    let start = Instant::now();
    alone().block_on(async {
        let (mut client, server) = duplex(1 << 20);
        serve(Version::HTTP_11, server, service);
        let sent = [GET.repeat(requests - 1), LAST_GET.to_vec()].concat();
        client.write_all(&sent).await.expect("the server reads");
        let mut answers = Vec::new();
        let read = client.read_to_end(&mut answers).await;
        read.expect("a pipe");
        let whole = answers
            .windows(5)
            .filter(|five| five == b"0\r\n\r\n")
            .count();
        assert_eq!(whole, requests);
    });
    start.elapsed()
}

fn batch(exporter: impl SpanExporter + 'static) -> BatchSpanProcessor {
    let config = BatchConfigBuilder::default()
        .with_max_queue_size(QUEUE)
        .with_max_export_batch_size(QUEUE / 2)
        .with_scheduled_delay(Duration::from_millis(1))
        .build();
    BatchSpanProcessor::builder(exporter)
        .with_batch_config(config)
        .build()
}

/// A provider with this processor, and what counts its spans before that.
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
fn requests_are_served_while_a_hanging_collector_has_filled_the_queue() {
    let (exporter, gate) = Hanging::new();
    let (tally, provider) = counted(batch(exporter));
    let layer = layer(&provider);
    requests(Some(&layer), 1);
    // From here on, nobody takes anything out of the queue.
    let taken = gate.has_begun();
    requests(Some(&layer), REQUESTS);
    tally.check("a full queue", 1 + REQUESTS, "DEPARTED");
    let more = gate.open(|| provider.shutdown().expect("it goes on"));
    assert!(
        (QUEUE..2 * QUEUE).contains(&(taken + more)),
        "{taken}, then {more}: the queue's are exported, the others dropped"
    );
}

#[test]
fn requests_are_served_while_the_collectors_of_metrics_and_logs_hang() {
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
    requests(Some(&layer), 1);
    metrics.has_begun();
    // Fills the SDK's default queue and more.
    requests(Some(&layer), 3_000);
    logs.has_begun();
    assert_eq!((tally.starts(), tally.ends()), (3_001, 3_001));
    let more = metrics.open(|| drop(meters.shutdown()));
    assert!(more > 0, "they are exported once more at the end");
    let more = logs.open(|| drop(loggers.shutdown()));
    assert!(
        more > 0,
        "what the queue held is exported once the gate is open"
    );
}

/// Where nothing listens, and where somebody does and never answers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_served_while_the_endpoint_of_otlp_is_closed_or_silent() {
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
        let (went_well, exports) = channel();
        let (tally, provider) = counted(batch(Telling {
            exporter,
            went_well,
        }));
        let layer = layer(&provider);
        let served = tokio::task::spawn_blocking(move || requests(Some(&layer), REQUESTS));
        served.await.expect("no panic");
        tally.check("no collector", REQUESTS, "DEPARTED");
        if let Some(silent) = silent {
            let came = tokio::time::timeout(Duration::from_secs(60), silent.accept()).await;
            came.expect("the exporter comes").expect("a connection");
        }
        // It blocks; and whether something was still to be exported is chance.
        let shutdown = tokio::task::spawn_blocking(move || drop(provider.shutdown()));
        shutdown.await.expect("no panic");
        let exports: Vec<_> = exports.try_iter().collect();
        assert!(!exports.is_empty(), "somebody tried");
        assert!(!exports.contains(&true), "nobody took");
    }
}

/// The figure behind the rule, to be looked at: a request with a hanging collector takes no longer than
/// one with a collector that takes all at once. What binds is that all are served while the gate is shut.
#[test]
fn requests_are_served_whatever_hangs_and_their_times_are_told() {
    let (exporter, gate) = Hanging::new();
    let (_, hanging) = counted(batch(exporter));
    let hanging_layer = layer(&hanging);
    let taking = Tally::default().layer();
    requests(Some(&hanging_layer), 1);
    gate.has_begun();
    let best = |layer: Option<&ApiSpanLayer>| {
        let times = (0..5).map(|_| requests(layer, REQUESTS));
        times.min().expect("five times")
    };
    let (bare, taken, hung) = (best(None), best(Some(&taking)), best(Some(&hanging_layer)));
    println!("{REQUESTS} requests: bare {bare:?}, layered {taken:?}, collector hangs {hung:?}");
    // One that waited would wait for the gate, which is shut until here.
    gate.open(|| hanging.shutdown().expect("it goes on"));
}
