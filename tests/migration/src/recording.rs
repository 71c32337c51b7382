//! The spans, log lines and metrics of one call.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use opentelemetry::global;
use opentelemetry::metrics::noop::NoopMeterProvider;
use opentelemetry::propagation::composite::TextMapCompositePropagator;
use opentelemetry::trace::noop::NoopTracerProvider;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use serde_json::Value;
use tracing::Dispatch;
use tracing_subscriber::registry::Registry;
use tracing_subscriber::{Layer, fmt};

use crate::client::{self, Call, Head};

/// The application's log: a `fmt` layer, whose lines are kept.
pub type Log = Box<dyn Layer<Registry> + Send + Sync>;

/// What an application is set up with.
pub struct Telemetry {
    pub provider: SdkTracerProvider,
    pub meters: SdkMeterProvider,
    pub log: Log,
}

/// An application: its subscriber of `tracing`, if it has one, and its router with a layer.
pub type Application = fn(Router, Telemetry) -> (Option<Dispatch>, Router);

/// What one call has left.
#[derive(Debug)]
pub struct Recording {
    pub head: Option<Head>,
    pub spans: Vec<SpanData>,
    pub lines: Vec<Value>,
    pub metrics: Vec<ResourceMetrics>,
}

/// Makes the call to the application. The providers are new for each call.
pub fn record(application: Application, call: &Call) -> Recording {
    // The global providers belong to one application at a time.
    static GLOBALS: Mutex<()> = Mutex::new(());
    let _globals = GLOBALS.lock().unwrap_or_else(PoisonError::into_inner);
    global::set_text_map_propagator(TextMapCompositePropagator::new(Vec::new()));
    global::set_tracer_provider(NoopTracerProvider::new());
    global::set_meter_provider(NoopMeterProvider::new());

    let spans = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder();
    let provider = provider.with_simple_exporter(spans.clone()).build();
    let metrics = InMemoryMetricExporter::default();
    let reader = PeriodicReader::builder(metrics.clone()).build();
    let meters = SdkMeterProvider::builder().with_reader(reader).build();
    let lines = Lines::default();
    let telemetry = Telemetry {
        provider: provider.clone(),
        meters: meters.clone(),
        log: lines.layer(),
    };

    let (subscriber, router) = application(crate::routes::routes(), telemetry);
    let subscriber = subscriber.unwrap_or_else(Dispatch::none);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let served = || runtime.block_on(client::call(router, call));
    let head = tracing::dispatcher::with_default(&subscriber, served);
    meters.force_flush().expect("metrics are exported");
    Recording {
        head,
        spans: spans.get_finished_spans().expect("spans"),
        lines: lines.read(),
        metrics: metrics.get_finished_metrics().expect("metrics"),
    }
}

/// The lines of a log, as JSON.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    fn layer(&self) -> Log {
        let lines = self.clone();
        let layer = fmt::layer().json().without_time();
        Box::new(layer.with_writer(move || lines.clone()))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self) -> Vec<Value> {
        let lines = serde_json::Deserializer::from_slice(&self.lock())
            .into_iter()
            .collect::<Result<_, _>>();
        lines.expect("lines of JSON")
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.lock().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
