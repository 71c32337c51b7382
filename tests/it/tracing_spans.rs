//! `tracing` spans and events created inside a request are children of the request's span.
//!
//! The subscribers are thread-local, so that they do not affect other tests.

use http::{Request, Response};
use opentelemetry::trace::SpanId;
use opentelemetry_sdk::logs::{InMemoryLogExporter, InMemoryLogExporterBuilder, SdkLoggerProvider};
use opentelemetry_sdk::trace::SpanData;
use tower::Service;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry;

use crate::support::body::ScriptedBody;
use crate::support::body::Step::{Data, Pending};
use crate::support::recorder::{Recorder, is_server};
use crate::support::subscriber::with_subscriber;
use crate::support::{answering, poll_frame, read, ready, response};

/// Runs `f` with `tracing` spans exported to the recorder's provider.
fn with_tracing<T>(recorder: &Recorder, activates_context: bool, f: impl FnOnce() -> T) -> T {
    let tracer = opentelemetry::trace::TracerProvider::tracer(&recorder.provider, "tracing");
    let layer = tracing_opentelemetry::layer()
        .with_tracer(tracer)
        .with_context_activation(activates_context);
    with_subscriber(registry().with(layer), f)
}

/// Enters and exits a `tracing` span.
fn enter_span(name: &'static str) {
    match name {
        "in the handler" => tracing::info_span!("in the handler").in_scope(|| ()),
        "in the body" => tracing::info_span!("in the body").in_scope(|| ()),
        "in the destructor" => tracing::info_span!("in the destructor").in_scope(|| ()),
        other => panic!("unknown span name: {other}"),
    }
}

fn handler(_: Request<()>) -> Response<ScriptedBody> {
    enter_span("in the handler");
    let body = ScriptedBody::new([Data(1), Pending])
        .on_poll(|| enter_span("in the body"))
        .on_drop(|| enter_span("in the destructor"));
    response(200, body)
}

fn request() -> Request<()> {
    Request::get("/").body(()).expect("a request")
}

fn parents(recorder: &Recorder, name: &str) -> Vec<SpanId> {
    let named = recorder
        .spans()
        .into_iter()
        .filter(|span| span.name == name);
    named.map(|span| span.parent_span_id).collect()
}

fn server(recorder: &Recorder) -> SpanData {
    let mut servers = recorder.spans().into_iter().filter(is_server);
    servers.next().expect("the layer's span")
}

#[test]
fn tracing_spans_created_anywhere_inside_are_children_of_the_request_span() {
    for activates_context in [true, false] {
        let recorder = Recorder::new();
        with_tracing(&recorder, activates_context, || {
            let mut service = answering(&recorder.layer(), handler);
            let mut body = ready(service.call(request()))
                .expect("a response")
                .into_body();
            read(&mut body).expect("bytes");
            // The span has ended, but the body has not been dropped.
            assert_eq!(parents(&recorder, "in the destructor"), []);
            drop(body);
        });
        let server = server(&recorder).span_context.span_id();
        for (name, times) in [
            ("in the handler", 1),
            ("in the body", 3),
            ("in the destructor", 1),
        ] {
            assert_eq!(
                parents(&recorder, name),
                vec![server; times],
                "{name}, context activation {activates_context}"
            );
        }
    }
}

#[test]
fn body_dropped_midway_runs_its_destructor_before_the_request_span_ends() {
    let recorder = Recorder::new();
    with_tracing(&recorder, true, || {
        let mut service = answering(&recorder.layer(), handler);
        let mut body = ready(service.call(request()))
            .expect("a response")
            .into_body();
        assert!(poll_frame(&mut body).is_ready());
        drop(body);
    });
    let server = server(&recorder);
    let last = recorder.named("in the destructor");
    assert_eq!(last.parent_span_id, server.span_context.span_id());
    assert!(
        last.end_time <= server.end_time,
        "the child span of the destructor ends before the request span"
    );
}

#[test]
fn outer_tracing_span_is_the_parent_of_the_request_span() {
    let recorder = Recorder::new();
    with_tracing(&recorder, true, || {
        tracing::info_span!("outer").in_scope(|| {
            let mut service = answering(&recorder.layer(), handler);
            let mut body = ready(service.call(request()))
                .expect("a response")
                .into_body();
            read(&mut body).expect("bytes");
        });
    });
    let (outer, server) = (recorder.named("outer"), server(&recorder));
    assert_eq!(server.parent_span_id, outer.span_context.span_id());
    assert_eq!(
        parents(&recorder, "in the handler"),
        [server.span_context.span_id()]
    );
}

#[test]
fn outer_tracing_span_without_context_activation_hides_the_request_span() {
    // A limit of tracing-opentelemetry: without context activation, its own current span takes
    // precedence. The crate docs advise against this setup.
    let recorder = Recorder::new();
    with_tracing(&recorder, false, || {
        tracing::info_span!("outer").in_scope(|| {
            let mut service = answering(&recorder.layer(), handler);
            drop(ready(service.call(request())));
        });
    });
    let outer = recorder.named("outer").span_context.span_id();
    assert_eq!(parents(&recorder, "in the handler"), [outer]);
    assert_eq!(server(&recorder).parent_span_id, SpanId::INVALID);
}

#[test]
fn log_records_emitted_inside_carry_the_ids_of_the_request_span() {
    let recorder = Recorder::new();
    let logs: InMemoryLogExporter = InMemoryLogExporterBuilder::default().build();
    let logger = SdkLoggerProvider::builder()
        .with_simple_exporter(logs.clone())
        .build();
    let bridge = opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge::new(&logger);
    with_subscriber(registry().with(bridge), || {
        tracing::info!("before");
        let mut service = answering(&recorder.layer(), |_| {
            tracing::info!("in the handler");
            let body = ScriptedBody::new([Data(1)])
                .on_poll(|| tracing::info!("in the body"))
                .on_drop(|| tracing::info!("in the destructor"));
            response(200, body)
        });
        let mut body = ready(service.call(request()))
            .expect("a response")
            .into_body();
        read(&mut body).expect("bytes");
        drop(body);
        tracing::info!("after");
    });
    let server = server(&recorder).span_context;
    let emitted = logs.get_emitted_logs().expect("logs");
    let ids: Vec<_> = emitted
        .iter()
        // With feature `internal-logs` the API reports that its no-op has made a meter.
        .filter(|log| {
            log.record
                .target()
                .is_none_or(|target| target != "opentelemetry")
        })
        .map(|log| {
            let context = log.record.trace_context();
            context.map(|context| (context.trace_id, context.span_id))
        })
        .collect();
    let inside = Some((server.trace_id(), server.span_id()));
    assert_eq!(ids, [None, inside, inside, inside, inside, None]);
}
