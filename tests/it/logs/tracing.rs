//! With the bridges of `tracing` in place: nothing is told twice.

use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_sdk::logs::InMemoryLogExporterBuilder;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use tower_api_span::LifecycleEvents;
use tracing::subscriber::with_default;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry;

use super::{Logs, body_of};
use crate::support::body::ScriptedBody;
use crate::support::body::Step::{Data, Error};
use crate::support::recorder::Recorder;
use crate::support::{get, read};

#[test]
fn nothing_is_told_twice_beside_the_bridges_of_tracing() {
    let at = Recorder::new();
    // One provider for both, as an application has.
    let exporter = InMemoryLogExporterBuilder::new().build();
    let provider = SdkLoggerProvider::builder()
        .with_simple_exporter(exporter.clone())
        .build();
    let logs = Logs { provider, exporter };
    let tracer = opentelemetry::trace::TracerProvider::tracer(&at.provider, "tracing");
    let subscriber = registry()
        .with(tracing_opentelemetry::layer().with_tracer(tracer))
        .with(OpenTelemetryTracingBridge::new(&logs.provider));
    with_default(subscriber, || {
        let layer = logs.layer(&at).lifecycle_events(LifecycleEvents::Both);
        let body = ScriptedBody::new([Data(3), Error]).on_poll(|| tracing::error!("the engine's"));
        assert!(read(&mut body_of(&layer, get(), 200, body)).is_err());
    });
    let emitted = logs.exporter.get_emitted_logs().expect("logs");
    let mut names: Vec<_> = emitted
        .iter()
        .map(|log| match log.instrumentation.name() {
            "tower-api-span" => log.record.event_name().expect("a name"),
            _ => "tracing",
        })
        .collect();
    // Twice polled; the layer's own are told once each, and none of them through `tracing`.
    let expected = [
        "tracing",
        "tracing",
        "api.ARRIVED",
        "api.ABORTED",
        "http.server.request.exception",
    ];
    assert_eq!(names, expected);
    names.clear();
    let span = at.only().0;
    names.extend(span.events.iter().map(|event| match &*event.name {
        "api.ARRIVED" => "api.ARRIVED",
        "api.ABORTED" => "api.ABORTED",
        other => panic!("{other} on the span"),
    }));
    assert_eq!(names, ["api.ARRIVED", "api.ABORTED"]);
}
