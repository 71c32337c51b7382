//! With `tracing`: what is made through its macros in a request hangs under the request's span.
//!
//! The subscribers are this thread's, so that no other test sees them.

use http::{Request, Response};
use opentelemetry::trace::SpanId;
use opentelemetry_sdk::logs::{InMemoryLogExporter, InMemoryLogExporterBuilder, SdkLoggerProvider};
use opentelemetry_sdk::trace::SpanData;
use tower::Service;
use tracing::subscriber::with_default;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry;

use crate::support::body::ScriptedBody;
use crate::support::body::Step::{Data, Pending};
use crate::support::recorder::{Recorder, is_server};
use crate::support::{answering, poll_frame, read, ready, response};

/// Runs `f` with spans of `tracing` going to the recorder's provider.
fn with_tracing<T>(at: &Recorder, activates_context: bool, f: impl FnOnce() -> T) -> T {
    let tracer = opentelemetry::trace::TracerProvider::tracer(&at.provider, "tracing");
    let layer = tracing_opentelemetry::layer()
        .with_tracer(tracer)
        .with_context_activation(activates_context);
    with_default(registry().with(layer), f)
}

/// Makes a span of `tracing` and leaves it at once.
fn span(name: &'static str) {
    match name {
        "in the handler" => tracing::info_span!("in the handler").in_scope(|| ()),
        "in the body" => tracing::info_span!("in the body").in_scope(|| ()),
        "in the destructor" => tracing::info_span!("in the destructor").in_scope(|| ()),
        other => panic!("{other} is no name of a span"),
    }
}

fn handler(_: Request<()>) -> Response<ScriptedBody> {
    span("in the handler");
    let body = ScriptedBody::new([Data(1), Pending])
        .on_poll(|| span("in the body"))
        .on_drop(|| span("in the destructor"));
    response(200, body)
}

fn request() -> Request<()> {
    Request::get("/").body(()).expect("a request")
}

fn parents(at: &Recorder, name: &str) -> Vec<SpanId> {
    let named = at.spans().into_iter().filter(|span| span.name == name);
    named.map(|span| span.parent_span_id).collect()
}

fn server(at: &Recorder) -> SpanData {
    let mut servers = at.spans().into_iter().filter(is_server);
    servers.next().expect("the layer's span")
}

#[test]
fn spans_of_tracing_are_children_wherever_they_are_made() {
    for activates_context in [true, false] {
        let at = Recorder::new();
        with_tracing(&at, activates_context, || {
            let mut service = answering(&at.layer(), handler);
            let mut body = ready(service.call(request()))
                .expect("a response")
                .into_body();
            read(&mut body).expect("bytes");
            // The span has ended; the body and its destructor live on.
            assert_eq!(parents(&at, "in the destructor"), []);
            drop(body);
        });
        let server = server(&at).span_context.span_id();
        for (name, times) in [
            ("in the handler", 1),
            ("in the body", 3),
            ("in the destructor", 1),
        ] {
            assert_eq!(
                parents(&at, name),
                vec![server; times],
                "{name}, context activation {activates_context}"
            );
        }
    }
}

#[test]
fn a_stream_that_is_dropped_midway_makes_its_last_span_while_the_request_is_open() {
    let at = Recorder::new();
    with_tracing(&at, true, || {
        let mut service = answering(&at.layer(), handler);
        let mut body = ready(service.call(request()))
            .expect("a response")
            .into_body();
        assert!(poll_frame(&mut body).is_ready());
        drop(body);
    });
    let server = server(&at);
    let last = at.named("in the destructor");
    assert_eq!(last.parent_span_id, server.span_context.span_id());
    assert!(
        last.end_time <= server.end_time,
        "the engine's abort is part of the request"
    );
}

#[test]
fn an_outer_span_of_tracing_is_the_parent() {
    let at = Recorder::new();
    with_tracing(&at, true, || {
        tracing::info_span!("outer").in_scope(|| {
            let mut service = answering(&at.layer(), handler);
            let mut body = ready(service.call(request()))
                .expect("a response")
                .into_body();
            read(&mut body).expect("bytes");
        });
    });
    let (outer, server) = (at.named("outer"), server(&at));
    assert_eq!(server.parent_span_id, outer.span_context.span_id());
    assert_eq!(
        parents(&at, "in the handler"),
        [server.span_context.span_id()]
    );
}

#[test]
fn without_context_activation_an_outer_span_of_tracing_hides_the_request_from_tracing() {
    // A limit of tracing-opentelemetry, not of the layer: without activation it looks at its own
    // current span first. The crate docs advise against such a stack.
    let at = Recorder::new();
    with_tracing(&at, false, || {
        tracing::info_span!("outer").in_scope(|| {
            let mut service = answering(&at.layer(), handler);
            drop(ready(service.call(request())));
        });
    });
    let outer = at.named("outer").span_context.span_id();
    assert_eq!(parents(&at, "in the handler"), [outer]);
    assert_eq!(server(&at).parent_span_id, SpanId::INVALID);
}

#[test]
fn log_records_carry_the_trace_of_the_request_they_are_made_in() {
    let at = Recorder::new();
    let logs: InMemoryLogExporter = InMemoryLogExporterBuilder::default().build();
    let logger = SdkLoggerProvider::builder()
        .with_simple_exporter(logs.clone())
        .build();
    let bridge = opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge::new(&logger);
    with_default(registry().with(bridge), || {
        tracing::info!("before");
        let mut service = answering(&at.layer(), |_| {
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
    let server = server(&at).span_context;
    let emitted = logs.get_emitted_logs().expect("logs");
    let ids: Vec<_> = emitted
        .iter()
        .map(|log| {
            let context = log.record.trace_context();
            context.map(|context| (context.trace_id, context.span_id))
        })
        .collect();
    let inside = Some((server.trace_id(), server.span_id()));
    assert_eq!(ids, [None, inside, inside, inside, inside, None]);
}
