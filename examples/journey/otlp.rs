//! Exports the journey's spans to a collector, each below a span of its client.

use std::io;

use opentelemetry::InstrumentationScope;
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceState};
use opentelemetry_otlp::{SpanExporter as OtlpSpans, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanExporter, SpanLinks};

use crate::client::Observed;
use crate::journey::{Run, ScenarioRuns};
use crate::scenarios::Scenario;
use crate::spans::Spans;

/// Exports the spans of all requests over gRPC, with one trace for each request.
///
/// # Errors
///
/// One line with the fault and its remedy.
pub(crate) async fn export(url: &str, results: &[ScenarioRuns], spans: &Spans) -> io::Result<()> {
    let clients = results.iter().flat_map(|ScenarioRuns { scenario, runs }| {
        let runs = runs.iter();
        runs.filter_map(move |run| Some(client_span(scenario, run, run.observed.as_ref().ok()?)))
    });
    send(url, "client", clients.collect()).await?;
    send(url, "journey", spans.exported().to_vec()).await
}

async fn send(url: &str, service: &'static str, spans: Vec<SpanData>) -> io::Result<()> {
    let exporter = OtlpSpans::builder().with_tonic().with_endpoint(url).build();
    let mut exporter = exporter.map_err(|error| {
        io::Error::other(format!(
            "{url:?} is not the URL of a collector: {error}; give one such as http://127.0.0.1:4317"
        ))
    })?;
    exporter.set_resource(&Resource::builder().with_service_name(service).build());
    exporter.export(spans).await.map_err(|error| {
        io::Error::other(format!(
            "{url} does not accept the spans: {error}; start a collector there, or leave --otlp out"
        ))
    })
}

/// Returns a span of the client, the parent of the layer's span.
fn client_span(scenario: &Scenario, run: &Run, observed: &Observed) -> SpanData {
    let context = SpanContext::new(
        run.caller.trace_id,
        run.caller.span_id,
        TraceFlags::SAMPLED,
        false,
        TraceState::default(),
    );
    SpanData {
        span_context: context,
        parent_span_id: SpanId::INVALID,
        parent_span_is_remote: false,
        span_kind: SpanKind::Client,
        name: format!("{}, {}", scenario.name, run.protocol.name()).into(),
        start_time: observed.sent,
        end_time: observed.ended,
        attributes: Vec::new(),
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: Status::Unset,
        instrumentation_scope: InstrumentationScope::builder("journey").build(),
    }
}
