//! Where and when the callback is called.

use std::sync::{Arc, Mutex};

use http::{Request, Response, StatusCode};
use opentelemetry::trace::noop::NoopTracerProvider;
use opentelemetry::trace::{TraceContextExt as _, TraceId};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::logs::{InMemoryLogExporter, SdkLoggerProvider};
use tower::Service as _;
use tower_api_span::{ApiSpanLayer, SpanHandle};
use tower_layer::Layer as _;

use super::{Completions, shown};
use crate::support::body::ScriptedBody;
use crate::support::body::Step::{Data, Error};
use crate::support::client::Exchange;
use crate::support::meters::Meters;
use crate::support::recorder::{Recorder, w3c};
use crate::support::{
    answering, defused, explode, get, handle_of, poll_frame, read, ready, response,
    without_deadlock,
};

/// A kind of layer, and whether it makes spans.
type Kind = (&'static str, bool, fn(&Recorder) -> ApiSpanLayer);

const KINDS: [Kind; 5] = [
    ("traced", true, Recorder::layer),
    ("no tracer", false, |_| {
        ApiSpanLayer::new().tracer_provider(&NoopTracerProvider::new())
    }),
    ("filtered", false, |at| at.layer().filter(|_| false)),
    ("sampled out", false, |at| at.layer().sample_rate(0.0)),
    ("sampled out by the provider", true, |_| {
        let sampler = opentelemetry_sdk::trace::Sampler::AlwaysOff;
        let provider = opentelemetry_sdk::trace::SdkTracerProvider::builder()
            .with_sampler(sampler)
            .build();
        ApiSpanLayer::new()
            .tracer_provider(&provider)
            .propagator(w3c())
    }),
];

#[test]
fn every_end_is_passed_once_with_its_outcome_with_and_without_a_span() {
    for (kind, _, layer) in KINDS {
        for exchange in Exchange::all() {
            let (at, completions) = (Recorder::new(), Completions::default());
            let layer = completions.of(layer(&at));
            let bare = exchange.seen(&mut exchange.service(|_| {}), get());
            let traced = exchange.seen(&mut layer.layer(exchange.service(|_| {})), get());
            assert_eq!(traced, bare, "{kind}, {}", exchange.name);
            let seen = shown(&completions.only());
            assert_eq!(seen, exchange.outcome, "{kind}, {}", exchange.name);
        }
    }
}

#[test]
fn a_request_under_suppressed_telemetry_is_passed() {
    let (at, completions) = (Recorder::new(), Completions::default());
    let mut service = answering(&completions.of(at.layer()), |_| {
        response(200, ScriptedBody::full(3))
    });
    let _suppressed = Context::enter_telemetry_suppressed_scope();
    let response = ready(service.call(get())).expect("a response");
    read(&mut response.into_body()).expect("bytes");
    assert_eq!(shown(&completions.only()), "DEPARTED");
    assert_eq!(at.starts(), 0);
}

#[test]
fn a_request_that_is_upgraded_is_passed_with_its_head() {
    let (at, completions) = (Recorder::new(), Completions::default());
    let mut service = answering(&completions.of(at.layer()), |_| {
        response(101, ScriptedBody::full(0))
    });
    let response = ready(service.call(get())).expect("a response");
    assert_eq!(
        completions.only().status(),
        Some(StatusCode::SWITCHING_PROTOCOLS)
    );
    drop(response);
    assert_eq!(completions.count(), 1);
}

#[test]
fn the_callback_runs_before_the_last_frame_is_returned_with_the_span_open_and_current() {
    let at = Recorder::new();
    let completions = Completions::default();
    let ends = {
        let at = at.clone();
        move || (at.starts(), at.ends())
    };
    let layer = at.layer().on_completion({
        let completions = completions.clone();
        move |completion| {
            assert_eq!(ends(), (1, 0), "the span is open");
            let context = Context::current();
            let current = context.span().span_context().clone();
            assert_eq!(current.span_id(), completion.span_id());
            assert_eq!(current.trace_id(), completion.trace_id());
            completions
                .0
                .lock()
                .expect("no panic")
                .push(completion.clone());
        }
    });
    let mut service = answering(&layer, |_| {
        let mut response = response(200, ScriptedBody::new([Data(3), Data(2)]));
        let length = http::HeaderValue::from_static("5");
        response.headers_mut().insert("content-length", length);
        response
    });
    let mut body = ready(service.call(get())).expect("a response").into_body();
    assert!(poll_frame(&mut body).is_ready());
    assert_eq!(completions.count(), 0, "the body goes on");
    read(&mut body).expect("bytes");
    drop(body);
    assert_ne!(completions.only().trace_id(), TraceId::INVALID);
    assert_eq!(at.ends(), 1);
}

#[test]
fn the_callback_runs_after_the_metrics_and_the_log_events() {
    let (at, meters, logs) = (
        Recorder::new(),
        Meters::new(),
        InMemoryLogExporter::default(),
    );
    let loggers = SdkLoggerProvider::builder()
        .with_simple_exporter(logs.clone())
        .build();
    let seen = Arc::<Mutex<Vec<(u64, usize)>>>::default();
    let layer = meters.on(at.layer()).logger_provider(&loggers);
    let layer = layer.on_completion({
        let (seen, meters, logs) = (Arc::clone(&seen), meters.clone(), logs.clone());
        move |_| {
            let measured = meters.only("http.server.request.duration").count();
            let logged = logs.get_emitted_logs().expect("logs").len();
            seen.lock().expect("no panic").push((measured, logged));
        }
    });
    let mut service = answering(&layer, |_| {
        response(200, ScriptedBody::new([Data(1), Error]))
    });
    let response = ready(service.call(get())).expect("a response");
    read(&mut response.into_body()).expect_err("an error");
    assert_eq!(*seen.lock().expect("no panic"), [(1, 1)]);
}

#[test]
fn what_the_callback_records_is_kept_and_changes_no_outcome() {
    let span = without_deadlock(|| {
        let at = Recorder::new();
        let handles = Arc::<Mutex<Vec<SpanHandle>>>::default();
        let layer = at.layer().on_completion({
            let handles = Arc::clone(&handles);
            move |completion| {
                let cost = i64::try_from(completion.duration().as_nanos()).expect("a short test");
                let context = Context::current();
                context
                    .span()
                    .set_attribute(KeyValue::new("test.cost", cost));
                for handle in &*handles.lock().expect("no panic") {
                    handle.set_attribute(KeyValue::new("test.billed", true));
                    handle.mark_aborted("too_late", "too late");
                    assert!(handle.is_recording());
                }
            }
        });
        let mut service = answering(&layer, move |request: Request<()>| {
            handles.lock().expect("no panic").push(handle_of(&request));
            response(200, ScriptedBody::full(3))
        });
        let response: Response<_> = ready(service.call(get())).expect("a response");
        read(&mut response.into_body()).expect("bytes");
        at.only()
    });
    assert_eq!(span.outcome(), "DEPARTED");
    assert_eq!(span.attribute("test.billed").as_deref(), Some("true"));
    assert!(span.attribute("test.cost").is_some());
}

#[test]
fn a_callback_that_panics_fails_no_request_and_no_span() {
    for exchange in Exchange::all() {
        let at = Recorder::new();
        let layer = at.layer().on_completion(|_| explode());
        let bare = exchange.seen(&mut exchange.service(|_| {}), get());
        let mut service = layer.layer(exchange.service(|_| {}));
        let traced = defused(|| exchange.seen(&mut service, get()));
        assert_eq!(traced, bare, "{}", exchange.name);
        assert_eq!(at.only().outcome(), exchange.outcome, "{}", exchange.name);
    }
}

#[test]
fn each_of_two_layers_calls_its_own_callback() {
    let at = Recorder::new();
    let (outer, inner) = (Completions::default(), Completions::default());
    let (outer_layer, inner_layer) = (outer.of(at.layer()), inner.of(at.layer()));
    let service = answering(&inner_layer, |_| response(200, ScriptedBody::full(3)));
    let response = ready(outer_layer.layer(service).call(get())).expect("a response");
    read(&mut response.into_body()).expect("bytes");
    assert_eq!((outer.count(), inner.count()), (1, 1));
    assert_ne!(outer.only().span_id(), inner.only().span_id());
}

#[test]
fn a_handle_without_a_span_gives_the_verdict() {
    for (kind, _, layer) in KINDS {
        let (at, completions) = (Recorder::new(), Completions::default());
        let mut service = answering(&completions.of(layer(&at)), |request: Request<()>| {
            let handle = handle_of(&request);
            handle.mark_aborted("quota", "no more");
            handle.set_attribute(KeyValue::new("test.tenant", "acme"));
            response(200, ScriptedBody::full(3))
        });
        let response = ready(service.call(get())).expect("a response");
        read(&mut response.into_body()).expect("bytes");
        let completion = completions.only();
        assert_eq!(shown(&completion), "ABORTED(quota)", "{kind}");
        let tenant = completion.attribute("test.tenant");
        assert_eq!(
            tenant.map(ToString::to_string).as_deref(),
            Some("acme"),
            "{kind}"
        );
    }
}
