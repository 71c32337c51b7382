//! Requests without a recording span: the caller or a sampler decided against it, telemetry is
//! suppressed, the provider is shut down, or a foreign tracer returns an unusual span.

use http::{HeaderMap, Request};
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceId};
use opentelemetry_sdk::trace::Sampler;
use tower::Service;
use tower_api_span::{ApiSpanLayer, ResponseBody};
use tower_layer::Layer as _;

use crate::support::body::ScriptedBody;
use crate::support::body::Step::Data;
use crate::support::client::Exchange;
use crate::support::foreign::Foreign;
use crate::support::recorder::Recorder;
use crate::support::{
    CALLER, TRACE, answering, called, get, handle_of, poll_frame, read, ready, response,
};

/// Serves `request`, calls `handler` inside, and returns the response body.
fn open(
    layer: &ApiSpanLayer,
    request: Request<()>,
    mut handler: impl FnMut(&Request<()>),
) -> ResponseBody<ScriptedBody> {
    let mut service = answering(layer, move |request| {
        handler(&request);
        response(200, ScriptedBody::new([Data(3)]))
    });
    ready(service.call(request))
        .expect("a response")
        .into_body()
}

#[test]
fn unsampled_caller_makes_the_span_and_its_children_unsampled() {
    let recorder = Recorder::new();
    let mut ids = Vec::new();
    let mut body = open(&recorder.layer(), called("00"), |request| {
        let context = handle_of(request).context();
        let current = Context::current();
        assert_eq!(context.span().span_context(), current.span().span_context());
        ids = vec![
            context.span().span_context().clone(),
            recorder.child("child"),
        ];
        let mut headers = HeaderMap::new();
        handle_of(request).inject(&mut headers);
        let injected = headers["traceparent"].to_str().expect("text");
        assert!(injected.starts_with(&format!("00-{TRACE}-")), "{injected}");
        assert!(
            injected.ends_with("-00") && !injected.contains(CALLER),
            "{injected}"
        );
    });
    read(&mut body).expect("bytes");
    assert_eq!(ids.len(), 2);
    for ids in &ids {
        assert_eq!(ids.trace_id().to_string(), TRACE);
        assert!(ids.is_valid() && !ids.is_sampled());
    }
    assert_eq!((recorder.starts(), recorder.spans().len()), (0, 0));
}

#[test]
fn sampler_that_drops_the_span_makes_its_children_unsampled() {
    let recorder = Recorder::with(|builder| {
        builder.with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOff)))
    });
    let mut ids = Vec::new();
    let mut body = open(&recorder.layer(), get(), |request| {
        let handle = handle_of(request);
        assert!(!handle.is_recording());
        ids = vec![
            handle.context().span().span_context().clone(),
            recorder.child("child"),
        ];
    });
    read(&mut body).expect("bytes");
    assert!(ids[0].is_valid() && !ids[0].is_sampled() && !ids[1].is_sampled());
    assert_eq!(ids[0].trace_id(), ids[1].trace_id());
    assert_eq!((recorder.starts(), recorder.spans().len()), (0, 0));
}

#[test]
fn unsampled_request_gets_the_response_of_the_bare_service() {
    for exchange in Exchange::all() {
        for (case, recorder, request) in [
            ("unsampled", Recorder::new(), called("00")),
            (
                "never sampled",
                Recorder::with(|builder| builder.with_sampler(Sampler::AlwaysOff)),
                get(),
            ),
        ] {
            let bare = exchange.seen(&mut exchange.service(|_| {}), get());
            let traced = exchange.seen(
                &mut recorder.layer().layer(exchange.service(|_| {})),
                request,
            );
            assert_eq!(traced, bare, "{case}, {}", exchange.name);
            assert_eq!(recorder.starts(), 0, "{case}, {}", exchange.name);
        }
    }
}

#[test]
fn suppressed_telemetry_starts_no_span() {
    for request in [get(), called("01")] {
        let recorder = Recorder::new();
        let has_caller = request.headers().contains_key("traceparent");
        let suppressed = Context::current().with_telemetry_suppressed().attach();
        let mut body = open(&recorder.layer(), request, |request| {
            assert!(request.extensions().is_empty());
            assert!(Context::is_current_telemetry_suppressed());
            assert_eq!(Context::current().has_active_span(), has_caller);
            recorder.child("child");
        });
        read(&mut body).expect("bytes");
        drop(body);
        assert!(Context::is_current_telemetry_suppressed());
        drop(suppressed);
        assert_eq!(recorder.starts(), 0);
    }
}

#[test]
fn suppressed_telemetry_does_not_call_a_foreign_tracer() {
    for request in [get(), called("01")] {
        let tracer = Foreign::new();
        let _suppressed = Context::current().with_telemetry_suppressed().attach();
        let mut body = open(&tracer.layer(), request, |request| {
            assert!(!handle_of(request).is_recording());
        });
        read(&mut body).expect("bytes");
        assert_eq!(tracer.counts(), (0, 0, 0));
    }
}

#[test]
fn provider_shutdown_does_not_affect_responses() {
    for exchange in Exchange::all() {
        let bare = exchange.seen(&mut exchange.service(|_| {}), get());

        let recorder = Recorder::new();
        let mut service = recorder.layer().layer(exchange.service(|request| {
            assert!(handle_of(request).is_recording());
            recorder.provider.shutdown().expect("a shutdown");
        }));
        assert_eq!(
            exchange.seen(&mut service, get()),
            bare,
            "during, {}",
            exchange.name
        );
        assert_eq!(
            (recorder.starts(), recorder.ends()),
            (1, 0),
            "the SDK ignores spans after the shutdown"
        );

        let mut service = recorder.layer().layer(exchange.service(|request| {
            assert!(request.extensions().is_empty());
            // The caller's context is still propagated.
            assert_eq!(
                Context::current()
                    .span()
                    .span_context()
                    .span_id()
                    .to_string(),
                CALLER
            );
        }));
        assert_eq!(
            exchange.seen(&mut service, called("01")),
            bare,
            "after, {}",
            exchange.name
        );
        assert_eq!(recorder.starts(), 1);
    }
}

#[test]
fn foreign_span_that_does_not_record_is_ended_once() {
    for exchange in Exchange::all() {
        let tracer = Foreign::new().recording(false);
        let mut service = tracer.layer().layer(exchange.service(|request| {
            assert!(!handle_of(request).is_recording());
            let context = Context::current();
            assert_eq!(context.span().span_context().span_id(), SpanId::from(0xf0));
            // Neither event reaches the span.
            handle_of(request).add_event("mine", Vec::new());
            context.span().add_event("its", Vec::new());
        }));
        exchange.seen(&mut service, get());
        assert_eq!(tracer.counts(), (1, 1, 1), "{}", exchange.name);
        assert_eq!(tracer.log().events, ["api.ARRIVED"], "{}", exchange.name);
    }
}

#[test]
fn foreign_span_without_ids_is_never_current() {
    for recording in [false, true] {
        for request in [get(), called("01")] {
            let caller = request
                .headers()
                .contains_key("traceparent")
                .then_some(CALLER);
            let tracer = Foreign::new()
                .with_span_context(SpanContext::NONE)
                .recording(recording);
            let mut body = open(&tracer.layer(), request, |request| {
                for context in [Context::current(), handle_of(request).context()] {
                    assert_eq!(context.has_active_span(), caller.is_some());
                    let parent = context.span().span_context().span_id();
                    assert_eq!(caller.unwrap_or("0000000000000000"), parent.to_string());
                }
                assert_eq!(handle_of(request).is_recording(), recording);
            });
            let _ = poll_frame(&mut body);
            drop(body);
            assert_eq!(tracer.counts(), (1, 1, 1), "recording: {recording}");
        }
    }
}

#[test]
fn foreign_tracer_that_returns_its_parent_keeps_the_caller_current() {
    for recording in [false, true] {
        let caller = SpanContext::new(
            TraceId::from_hex(TRACE).expect("a trace id"),
            SpanId::from_hex(CALLER).expect("a span id"),
            opentelemetry::trace::TraceFlags::SAMPLED,
            true,
            opentelemetry::trace::TraceState::NONE,
        );
        let tracer = Foreign::new()
            .with_span_context(caller.clone())
            .recording(recording);
        let body = open(&tracer.layer(), called("01"), |request| {
            assert_eq!(*Context::current().span().span_context(), caller);
            assert_eq!(*handle_of(request).context().span().span_context(), caller);
            // The handler must not be able to change the parent span.
            assert!(!Context::current().span().is_recording());
        });
        drop(body);
        assert_eq!(tracer.counts(), (1, 1, 1), "recording: {recording}");
    }
}
