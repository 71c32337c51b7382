//! The request's span of `tracing` beside tracing-opentelemetry and OpenTelemetry's appender for `tracing`.

use http::{Request, Response};
use opentelemetry::Context;
use opentelemetry::trace::noop::NoopTracerProvider;
use opentelemetry::trace::{SpanId, TraceContextExt as _, TracerProvider as _};
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_sdk::logs::{InMemoryLogExporterBuilder, SdkLoggerProvider};
use opentelemetry_sdk::trace::{InMemorySpanExporter, Sampler, SdkTracerProvider};
use tower::{Service, service_fn};
use tower_api_span::{AccessLog, ApiSpanLayer, RequestTracer, SpanHandle};
use tower_layer::Layer as _;
use tracing::{Instrument as _, Span};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry;

use super::serve;
use crate::support::body::ScriptedBody;
use crate::support::body::Step::{Data, Pending};
use crate::support::recorder::{Recorder, is_server, w3c};
use crate::support::subscriber::with_subscriber;
use crate::support::{CALLER, answering, called, get, read, ready, response};

/// Runs `f` with tracing-opentelemetry and its tracer wrapped.
fn bridged<T>(at: &Recorder, activates_context: bool, f: impl FnOnce() -> T) -> T {
    let tracer = RequestTracer::new(at.provider.tracer("tracing"));
    let layer = tracing_opentelemetry::layer()
        .with_tracer(tracer)
        .with_context_activation(activates_context);
    with_subscriber(registry().with(layer), f)
}

/// Makes a span and an event outside of it in the handler, in the body and in its destructor.
fn serve_making_spans(layer: &ApiSpanLayer, request: Request<()>) {
    let mut service = answering(layer, |_| {
        tracing::info!("event in the handler");
        tracing::info_span!("in the handler").in_scope(|| tracing::info!("deep"));
        let body = ScriptedBody::new([Data(1), Pending]);
        let body = body.on_poll(|| {
            tracing::info!("event in the body");
            tracing::info_span!("in the body").in_scope(|| ());
        });
        response(
            200,
            body.on_drop(|| tracing::info_span!("in the destructor").in_scope(|| ())),
        )
    });
    let mut body = ready(service.call(request))
        .expect("a response")
        .into_body();
    read(&mut body).expect("bytes");
    drop(body);
}

/// Returns the names of all spans, sorted, and that of the parent of each.
fn tree(at: &Recorder) -> Vec<String> {
    let spans = at.exported();
    let name = |id: SpanId| {
        let found = spans.iter().find(|span| span.span_context.span_id() == id);
        found.map_or("none", |span| {
            if is_server(span) {
                "SERVER"
            } else {
                &span.name
            }
        })
    };
    let mut all: Vec<_> = spans
        .iter()
        .map(|span| {
            let own = name(span.span_context.span_id());
            format!("{own} < {}", name(span.parent_span_id))
        })
        .collect();
    all.sort();
    all.dedup();
    all
}

/// Returns the names of the events of the layer's span that the layer has not written.
fn events(at: &Recorder) -> Vec<String> {
    let server = at.exported().into_iter().find(is_server).expect("a span");
    let names = server.events.iter().map(|event| event.name.to_string());
    names.filter(|name| !name.starts_with("api.")).collect()
}

#[test]
fn the_span_is_not_exported_and_what_is_inside_is_the_server_spans() {
    for activates in [true, false] {
        let at = Recorder::new();
        let layer = at
            .layer()
            .tracing_span(true)
            .access_log(AccessLog::new().request_start(true));
        bridged(&at, activates, || serve_making_spans(&layer, get()));
        assert_eq!(
            tree(&at),
            [
                "SERVER < none",
                "in the body < SERVER",
                "in the destructor < SERVER",
                "in the handler < SERVER",
            ],
            "activation {activates}"
        );
        let expected = [
            "event in the handler",
            "event in the body",
            "event in the body",
            "event in the body",
        ];
        assert_eq!(events(&at), expected, "activation {activates}");
    }
}

#[test]
fn every_span_inside_and_the_handle_have_the_trace_state_of_the_caller() {
    for activates in [true, false] {
        let at = Recorder::new();
        let layer = at.layer().tracing_span(true);
        let mut request = called("01");
        let list = http::HeaderValue::from_static("a=1,b=2");
        request.headers_mut().insert("tracestate", list);
        let seen = std::cell::RefCell::new(Vec::new());
        bridged(&at, activates, || {
            serve_making_spans(&layer, request.clone());
            let mut service = answering(&layer, |request| {
                let handle = SpanHandle::from_extensions(request.extensions());
                let mut seen = seen.borrow_mut();
                seen.push(handle.span_context());
                seen.push(Context::current().span().span_context().clone());
                response(200, ScriptedBody::full(3))
            });
            drop(ready(service.call(request)));
        });
        let spans = at.exported();
        assert_eq!(spans.len(), 7, "activation {activates}");
        seen.into_inner()
            .iter()
            .chain(spans.iter().map(|span| &span.span_context))
            .for_each(|span| assert_eq!(span.trace_state().header(), "a=1,b=2"));
    }
}

#[test]
fn a_span_around_the_layer_stays_and_is_the_parent() {
    for activates in [true, false] {
        let at = Recorder::new();
        let layer = at.layer().tracing_span(true);
        bridged(&at, activates, || {
            tracing::info_span!("connection").in_scope(|| serve_making_spans(&layer, get()));
        });
        let tree = tree(&at);
        assert!(!tree.iter().any(|one| one.contains("request")), "{tree:?}");
        assert!(
            tree.contains(&"in the handler < SERVER".to_owned()),
            "{activates}: {tree:?}"
        );
        // Without context activation OpenTelemetry does not know the span of `tracing`.
        let parent = if activates {
            "SERVER < connection"
        } else {
            "SERVER < none"
        };
        assert!(tree.contains(&parent.to_owned()), "{activates}: {tree:?}");
    }
}

#[test]
fn an_error_that_is_logged_is_an_event_and_not_the_outcome() {
    for activates in [true, false] {
        let at = Recorder::new();
        let layer = at.layer().tracing_span(true);
        bridged(&at, activates, || {
            let mut service = answering(&layer, |_| {
                tracing::error!("retried");
                tracing::error!(error = "refused", "retried again");
                response(200, ScriptedBody::full(3))
            });
            drop(ready(service.call(get())).map(|response| read(&mut response.into_body())));
        });
        let span = at.only();
        assert_eq!(span.outcome(), "DEPARTED", "activation {activates}");
        assert!(!span.is_error());
        assert_eq!(events(&at).len(), 2, "{:?}", events(&at));
    }
}

#[test]
fn what_is_recorded_in_the_span_is_an_attribute() {
    for activates in [true, false] {
        let at = Recorder::new();
        let layer = at
            .layer()
            .tracing_span_fn(|_| tracing::info_span!("mine", test.tenant = tracing::field::Empty));
        bridged(&at, activates, || {
            let mut service = answering(&layer, |_| {
                Span::current().record("test.tenant", "acme");
                response(200, ScriptedBody::full(3))
            });
            drop(ready(service.call(get())).map(|response| read(&mut response.into_body())));
        });
        let tenant = at.only().attribute("test.tenant");
        assert_eq!(tenant.as_deref(), Some("acme"), "activation {activates}");
    }
}

#[test]
fn the_span_of_a_request_without_a_server_span() {
    for activates in [true, false] {
        // Untraced: there is no span of `tracing`, and what is inside begins traces of its own.
        let at = Recorder::new();
        let layer = at.layer().filter(|_| false).tracing_span(true);
        bridged(&at, activates, || serve_making_spans(&layer, get()));
        let expected = [
            "in the body < none",
            "in the destructor < none",
            "in the handler < none",
        ];
        assert_eq!(tree(&at), expected, "activation {activates}");

        // Sampled out: nothing inside is exported.
        let at = Recorder::new();
        let layer = at.layer().sample_rate(0.0).tracing_span(true);
        bridged(&at, activates, || serve_making_spans(&layer, called("01")));
        assert_eq!(at.exported().len(), 0, "activation {activates}");

        // No tracer: the span is the application's.
        let at = Recorder::new();
        let layer = ApiSpanLayer::new().tracer_provider(&NoopTracerProvider::new());
        let layer = layer.propagator(w3c()).tracing_span(true);
        bridged(&at, activates, || serve_making_spans(&layer, called("01")));
        let tree = tree(&at);
        assert!(
            tree.contains(&"in the handler < request".to_owned()),
            "{tree:?}"
        );
        let request = at.named("request");
        assert_eq!(
            request.parent_span_id.to_string(),
            CALLER,
            "activation {activates}"
        );
    }
}

/// Its parent is not sampled, but a sampler can keep all spans.
#[test]
fn a_request_that_is_sampled_out_has_no_span_of_a_tracer_that_keeps_all() {
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder()
        .with_simple_exporter(exporter.clone())
        .with_sampler(Sampler::AlwaysOn)
        .build();
    let tracer = RequestTracer::new(provider.tracer("tracing"));
    let bridge = tracing_opentelemetry::layer().with_tracer(tracer);
    let at = Recorder::new();
    let layer = at.layer().sample_rate(0.0).tracing_span(true);
    with_subscriber(registry().with(bridge), || {
        serve_making_spans(&layer, called("01"));
    });
    let spans = exporter.get_finished_spans().expect("spans");
    let mut names: Vec<_> = spans.iter().map(|span| &*span.name).collect();
    names.sort_unstable();
    // The body is polled several times.
    names.dedup();
    assert_eq!(
        names,
        ["in the body", "in the destructor", "in the handler"]
    );
}

#[test]
fn a_task_that_is_instrumented_makes_children_of_the_server_span() {
    for activates in [true, false] {
        let at = Recorder::new();
        let layer = at.layer().tracing_span(true);
        bridged(&at, activates, || {
            let runtime = tokio::runtime::Builder::new_current_thread().build();
            runtime.expect("a runtime").block_on(async {
                let mut service = layer.layer(service_fn(async |_: Request<()>| {
                    let work = async { tracing::info_span!("in the task").in_scope(|| ()) };
                    let task = tokio::spawn(work.instrument(Span::current()));
                    task.await.expect("no panic");
                    Ok::<_, std::convert::Infallible>(Response::new(String::new()))
                }));
                service.call(get()).await.expect("a response");
            });
        });
        let expected = ["SERVER < none", "in the task < SERVER"];
        assert_eq!(tree(&at), expected, "activation {activates}");
    }
}

#[test]
fn other_spans_are_those_of_the_tracer_inside() {
    let at = Recorder::new();
    bridged(&at, true, || {
        serve(&at.layer().tracing_span(true));
        tracing::info_span!("later").in_scope(|| tracing::error!("fails"));
    });
    let later = at.named("later");
    assert_eq!(later.events.len(), 1);
    assert_eq!(later.parent_span_id, SpanId::INVALID);
    assert!(matches!(
        later.status,
        opentelemetry::trace::Status::Error { .. }
    ));
}

/// Without the wrapper the span is exported, and what is inside is in the trace all the same.
#[test]
fn without_the_wrapper_there_is_one_more_span() {
    let at = Recorder::new();
    let tracer = at.provider.tracer("tracing");
    let layer = at.layer().tracing_span(true);
    let subscriber = registry().with(tracing_opentelemetry::layer().with_tracer(tracer));
    with_subscriber(subscriber, || {
        serve_making_spans(&layer, get());
    });
    let tree = tree(&at);
    assert!(tree.contains(&"request < SERVER".to_owned()), "{tree:?}");
    assert!(
        tree.contains(&"in the handler < request".to_owned()),
        "{tree:?}"
    );
}

/// OpenTelemetry's appender reads the current context, which is the request's in all of these places.
#[test]
fn log_records_of_the_appender_have_the_ids() {
    for has_span in [false, true] {
        let at = Recorder::new();
        let exporter = InMemoryLogExporterBuilder::new().build();
        let loggers = SdkLoggerProvider::builder()
            .with_simple_exporter(exporter.clone())
            .build();
        let subscriber = registry().with(OpenTelemetryTracingBridge::new(&loggers));
        let layer = at
            .layer()
            .tracing_span(has_span)
            .access_log(AccessLog::new().request_start(true));
        with_subscriber(subscriber, || {
            let mut service = answering(&layer, |_| {
                tracing::info!("handler");
                let body = ScriptedBody::new([Data(1), Pending]);
                let body = body.on_poll(|| tracing::info!("body"));
                response(200, body.on_drop(|| tracing::info!("destructor")))
            });
            let mut body = ready(service.call(get())).expect("a response").into_body();
            read(&mut body).expect("bytes");
            drop(body);
        });
        let context = at.only().0.span_context;
        let own = |log: &&opentelemetry_sdk::logs::in_memory_exporter::LogDataWithResource| {
            let target = log.record.target().map(ToString::to_string);
            target.is_none_or(|target| !target.starts_with("opentelemetry"))
        };
        let logs = exporter.get_emitted_logs().expect("logs");
        let logs: Vec<_> = logs.iter().filter(own).collect();
        assert_eq!(
            logs.len(),
            7,
            "arrival, handler, three polls, end, destructor"
        );
        for log in logs {
            let found = log.record.trace_context().expect("a context");
            assert_eq!(found.trace_id, context.trace_id(), "{has_span}");
            assert_eq!(found.span_id, context.span_id(), "{has_span}");
        }
    }
}

/// tracing-opentelemetry writes how long a span was entered when it is closed, here before the SERVER span ends.
#[test]
fn a_response_that_is_dropped_has_no_times_of_the_span_of_tracing() {
    for activates in [true, false] {
        let at = Recorder::new();
        let layer = at.layer().tracing_span(true);
        bridged(&at, activates, || {
            let mut service = answering(&layer, |_| {
                response(200, ScriptedBody::new([Data(1), Pending]))
            });
            drop(ready(service.call(get())));
        });
        let span = at.only();
        assert_eq!(span.outcome(), "ABORTED(generator_exit)");
        assert_eq!(
            span.attribute("busy_ns").or(span.attribute("idle_ns")),
            None
        );
    }
}
