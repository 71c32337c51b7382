//! The layer beside the OpenTelemetry bridges of `tracing`: each event is emitted once.

use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_sdk::logs::InMemoryLogExporterBuilder;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use tower_api_span::LifecycleEvents;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry;

use super::{Logs, open_body};
use crate::support::body::ScriptedBody;
use crate::support::body::Step::{Data, Error};
use crate::support::recorder::Recorder;
use crate::support::subscriber::with_subscriber;
use crate::support::{get, read};

#[test]
fn events_are_emitted_once_beside_the_tracing_bridges() {
    let recorder = Recorder::new();
    // One provider for both, as in an application.
    let exporter = InMemoryLogExporterBuilder::new().build();
    let provider = SdkLoggerProvider::builder()
        .with_simple_exporter(exporter.clone())
        .build();
    let logs = Logs { provider, exporter };
    let tracer = opentelemetry::trace::TracerProvider::tracer(&recorder.provider, "tracing");
    let subscriber = registry()
        .with(tracing_opentelemetry::layer().with_tracer(tracer))
        .with(OpenTelemetryTracingBridge::new(&logs.provider));
    with_subscriber(subscriber, || {
        let layer = logs
            .layer(&recorder)
            .lifecycle_events(LifecycleEvents::Both);
        let body =
            ScriptedBody::new([Data(3), Error]).on_poll(|| tracing::error!("from the engine"));
        assert!(read(&mut open_body(&layer, get(), 200, body)).is_err());
    });
    let emitted = logs.exporter.get_emitted_logs().expect("logs");
    let mut names: Vec<_> = emitted
        .iter()
        // With feature `internal-logs` the API reports that its no-op has made a meter.
        .filter(|log| {
            log.record
                .target()
                .is_none_or(|target| target != "opentelemetry")
        })
        .map(|log| match log.instrumentation.name() {
            "tower-api-span" => log.record.event_name().expect("a name"),
            _ => "tracing",
        })
        .collect();
    // The body is polled twice. The layer's events are emitted once each, and not through `tracing`.
    let expected = [
        "tracing",
        "tracing",
        "api.ARRIVED",
        "api.ABORTED",
        "http.server.request.exception",
    ];
    assert_eq!(names, expected);
    names.clear();
    let span = recorder.only().0;
    names.extend(span.events.iter().map(|event| match &*event.name {
        "api.ARRIVED" => "api.ARRIVED",
        "api.ABORTED" => "api.ABORTED",
        other => panic!("{other} on the span"),
    }));
    assert_eq!(names, ["api.ARRIVED", "api.ABORTED"]);
}
