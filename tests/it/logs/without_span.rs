//! Log events of requests without a span or with a non-recording one, and requests that emit no events.

use http::Request;
use opentelemetry::Context;
use opentelemetry::logs::NoopLoggerProvider;
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry::trace::noop::NoopTracerProvider;
use opentelemetry_sdk::trace::Sampler;
use tower::Service;
use tower_api_span::{ApiSpanLayer, LifecycleEvents};

use super::{Logs, format_trace};
use crate::completion::Completions;
use crate::support::body::ScriptedBody;
use crate::support::body::Step::{Data, Error};
use crate::support::recorder::{Recorder, w3c};
use crate::support::{CALLER, TRACE, answering, called, get, handle_of, read, ready, response};

/// Serves a request whose body fails, and returns the ids of the handle's context.
fn fail(layer: &ApiSpanLayer, request: Request<()>) -> String {
    let mut ids = String::new();
    let mut service = answering(layer, |request| {
        let context = handle_of(&request).context();
        ids = format_trace(context.span().span_context());
        response(200, ScriptedBody::new([Data(3), Error]))
    });
    let mut body = ready(service.call(request))
        .expect("a response")
        .into_body();
    assert!(read(&mut body).is_err());
    drop(service);
    ids
}

#[test]
fn an_unsampled_request_emits_events_with_its_ids() {
    let unsampled_caller = Recorder::new();
    let unsampling_provider = Recorder::with(|builder| builder.with_sampler(Sampler::AlwaysOff));
    for (recorder, request) in [
        (unsampled_caller, called("00")),
        (unsampling_provider, get()),
    ] {
        let logs = Logs::new();
        let ids = fail(&logs.layer(&recorder), request);
        assert!(ids.ends_with("-00"), "{ids}");
        let all = logs.all();
        assert_eq!(logs.names(), ["http.server.request.exception"]);
        assert_eq!(all[0].trace, Some(ids));
        assert_eq!(all[0].text("exception.message"), Some("boom"));
        assert_eq!(recorder.starts(), 0);
    }
}

#[test]
fn a_request_without_a_span_emits_events_in_the_propagated_trace() {
    let recorder = Recorder::new();
    let sampled_out = recorder.layer().sample_rate(0.0);
    let no_tracer = ApiSpanLayer::new()
        .tracer_provider(&NoopTracerProvider::new())
        .propagator(w3c());
    let callers = format!("{TRACE}-{CALLER}");
    for (rule, layer, request, expected) in [
        ("no tracer, no caller", &no_tracer, get(), None),
        (
            "no tracer",
            &no_tracer,
            called("01"),
            Some(format!("{callers}-01")),
        ),
        (
            "sampled out",
            &sampled_out,
            called("01"),
            Some(format!("{callers}-00")),
        ),
    ] {
        let logs = Logs::new();
        let layer = layer
            .clone()
            .logger_provider(&logs.provider)
            .lifecycle_events(LifecycleEvents::AsLogs);
        fail(&layer, request);
        let names = [
            "api.ARRIVED",
            "api.ABORTED",
            "http.server.request.exception",
        ];
        assert_eq!(logs.names(), names, "{rule}");
        for log in logs.all() {
            assert_eq!(log.trace, expected, "{rule}");
        }
    }
    assert_eq!(recorder.starts(), 0);
}

#[test]
fn a_request_without_a_span_inside_another_emits_events_in_the_outer_trace() {
    let (outer, logs) = (Recorder::new(), Logs::new());
    let inner = ApiSpanLayer::new()
        .tracer_provider(&NoopTracerProvider::new())
        .logger_provider(&logs.provider);
    let mut failing = answering(&inner, |_| response(200, ScriptedBody::new([Error])));
    let mut service = tower_layer::Layer::layer(
        &outer.layer(),
        tower::service_fn(move |request: Request<()>| failing.call(request)),
    );
    let mut body = ready(service.call(called("01")))
        .expect("a response")
        .into_body();
    assert!(read(&mut body).is_err());
    let ids = format_trace(&outer.only().0.span_context);
    assert!(ids.starts_with(TRACE));
    assert_eq!(logs.all()[0].trace, Some(ids));
}

#[test]
fn a_filtered_or_suppressed_request_emits_no_events() {
    for events in [LifecycleEvents::OnSpan, LifecycleEvents::Both] {
        let (recorder, logs) = (Recorder::new(), Logs::new());
        let layer = logs.layer(&recorder).lifecycle_events(events);
        fail(&layer.clone().filter(|_| false), called("01"));
        {
            let _suppressed = Context::current().with_telemetry_suppressed().attach();
            fail(&layer, called("01"));
        }
        assert_eq!(logs.names(), [""; 0], "{events:?}");
        assert_eq!(recorder.starts(), 0);
        // The same request, neither filtered nor suppressed.
        fail(&layer, called("01"));
        assert_eq!((logs.all().is_empty(), recorder.starts()), (false, 1));
    }
}

/// Something else reads the end of the request.
#[test]
fn a_filtered_or_suppressed_request_with_a_callback_emits_no_events() {
    for events in [LifecycleEvents::OnSpan, LifecycleEvents::Both] {
        let (recorder, logs) = (Recorder::new(), Logs::new());
        let completions = Completions::default();
        let layer = completions.of(logs.layer(&recorder).lifecycle_events(events));
        fail(&layer.clone().filter(|_| false), called("01"));
        {
            let _suppressed = Context::current().with_telemetry_suppressed().attach();
            fail(&layer, called("01"));
        }
        assert_eq!(logs.names(), [""; 0], "{events:?}");
        assert_eq!((recorder.starts(), completions.count()), (0, 2));
    }
}

#[test]
fn a_logger_provider_does_not_change_the_span() {
    let (bare, logged, logs) = (Recorder::new(), Recorder::new(), Logs::new());
    fail(&bare.layer(), called("01"));
    fail(&logs.layer(&logged), called("01"));
    let events = |recorder: &Recorder| -> Vec<_> {
        let span = recorder.only().0;
        let events = span.events.iter();
        events
            .map(|event| (event.name.clone(), event.attributes.clone()))
            .collect()
    };
    assert_eq!(events(&bare), events(&logged));
    assert_eq!(logs.names().len(), 1);
}

#[test]
fn without_a_logger_lifecycle_events_as_logs_stay_on_the_span() {
    let (expected, names) = (
        Recorder::new(),
        [LifecycleEvents::AsLogs, LifecycleEvents::Both],
    );
    fail(&expected.layer().journey_events(true), called("01"));
    for events in names {
        for gives_noop in [false, true] {
            let recorder = Recorder::new();
            let mut layer = recorder
                .layer()
                .lifecycle_events(events)
                .journey_events(true);
            if gives_noop {
                layer = layer.logger_provider(&NoopLoggerProvider::new());
            }
            fail(&layer, called("01"));
            let events = |recorder: &Recorder| -> Vec<_> {
                let span = recorder.only().0;
                span.events.iter().map(|event| event.name.clone()).collect()
            };
            assert_eq!(events(&recorder), events(&expected), "no-op {gives_noop}");
        }
    }
}
