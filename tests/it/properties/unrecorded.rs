//! Requests without a recorded span, for each possible cause. No span is started or left open, the
//! response is that of the bare service, the caller's context is propagated, and metrics and log events
//! are still recorded.

use std::collections::BTreeMap;
use std::sync::Arc;

use opentelemetry::Context;
use opentelemetry::trace::noop::NoopTracerProvider;
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
use opentelemetry_sdk::trace::Sampler;
use proptest::prelude::*;
use proptest::sample::select;
use tower_api_span::{ApiSpanLayer, LifecycleEvents};
use tower_layer::Layer as _;

use super::config;
use super::handler::{Current, scripted_service};
use super::play::Play;
use super::script::{Act, Script};
use super::signals::{LogsRecorder, MetricsRecorder, active, log_events, measurement};
use super::single_request::layer;
use super::strategies::scripts;
use crate::support::foreign::Foreign;
use crate::support::recorder::Recorder;
use crate::support::{CALLER, TRACE};

/// Why no span is recorded.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Cause {
    /// The tracer's sampler drops it.
    Sampler,
    /// The layer's own rate is 0.
    Rate,
    /// The caller is not sampled, and the sampler follows that.
    Caller,
    Filtered,
    Suppressed,
    NoProvider,
    /// The spans of another tracer implementation have ids but do not record.
    NotRecording,
}

const ALL: [Cause; 7] = [
    Cause::Sampler,
    Cause::Rate,
    Cause::Caller,
    Cause::Filtered,
    Cause::Suppressed,
    Cause::NoProvider,
    Cause::NotRecording,
];

proptest! {
    #![proptest_config(config(5_000))]

    #[test]
    fn request_without_recorded_span_responds_as_the_bare_service_and_is_still_measured(
        script in scripts(),
        cause in select(&ALL[..]),
        has_caller in any::<bool>(),
        is_measured in any::<bool>(),
    ) {
        play(script, cause, has_caller || cause == Cause::Caller, is_measured);
    }
}

fn play(script: Script, cause: Cause, has_caller: bool, is_measured: bool) {
    let script = Arc::new(script);
    let at = Recorder::with(|builder| match cause {
        Cause::Sampler => builder.with_sampler(Sampler::AlwaysOff),
        _ => builder,
    });
    let foreign = Foreign::new()
        .with_span_context(SpanContext::new(
            TraceId::from(0xf0),
            SpanId::from(0xf0),
            TraceFlags::NOT_SAMPLED,
            false,
            TraceState::NONE,
        ))
        .recording(false);
    let (metrics, logs) = (MetricsRecorder::default(), LogsRecorder::new());
    let mut layer = without_recording(layer(&at, script.is_llm), cause, &foreign);
    if is_measured {
        layer = layer
            .meter_provider(&metrics)
            .active_requests(true)
            .logger_provider(&logs.provider)
            .lifecycle_events(LifecycleEvents::Both);
    }
    // Filtered and suppressed requests have no metrics either.
    let has_signals = is_measured && ![Cause::Filtered, Cause::Suppressed].contains(&cause);
    let oracle = match cause {
        Cause::Rate | Cause::NoProvider => script.oracle().without_span(),
        // A body that is not observed is not read for a terminator.
        Cause::NotRecording if !has_signals => {
            let is_llm = false;
            let script = Script::clone(&script);
            Script { is_llm, ..script }.oracle()
        }
        _ => script.oracle(),
    };
    let mut request = script.request();
    if has_caller {
        let flags = if cause == Cause::Caller { "00" } else { "01" };
        let caller = format!("00-{TRACE}-{CALLER}-{flags}");
        let caller = caller.parse().expect("a value");
        request.headers_mut().insert("traceparent", caller);
    }

    let around = match cause {
        Cause::Suppressed => Context::new().with_telemetry_suppressed(),
        _ => Context::new(),
    };
    let _around = around.attach();
    let outside = Current::here();
    let mut play = Play::open(
        &mut layer.layer(scripted_service()),
        &script,
        vec![oracle],
        request,
    );
    let inside = play.handler.current().expect("a call").span;
    check_inside(&inside, cause, has_caller);
    for act in script.acts.iter().chain([&Act::Drop]) {
        assert!(!play.handler.handle().is_recording());
        play.act(act);
        assert_eq!((at.starts(), at.ends()), (0, 0), "spans after {act:?}");
        let builds = usize::from(cause == Cause::NotRecording);
        let counts = (builds, builds * play.ended(), builds * play.ended());
        assert_eq!(
            foreign.counts(),
            counts,
            "spans of the other tracer after {act:?}"
        );
        let measured = play.oracles.iter().filter(|_| has_signals);
        assert_eq!(metrics.active(), active(measured), "after {act:?}");
        let measured = if has_signals { play.ended() } else { 0 };
        assert_eq!(metrics.measurements().len(), measured, "after {act:?}");
        assert_eq!(
            Current::here(),
            outside,
            "the context outside after {act:?}"
        );
    }
    play.check_after_drop();
    assert_eq!(at.exported(), []);

    let mut logged = BTreeMap::new();
    for oracle in play.oracles.iter().filter(|_| has_signals) {
        let measurements = metrics.measurements();
        // Without a span there is no other record of the duration.
        let took = measurements[0].value;
        assert!((0.0..60.0).contains(&took), "{took} s");
        assert_eq!(measurements, [measurement(oracle, took)]);
        let span = if inside.is_valid() {
            inside.span_id().to_string()
        } else {
            String::new()
        };
        let events = log_events(oracle.ended().expect("an end"), true);
        logged.insert(span, events);
    }
    assert_eq!(logs.by_span(), logged, "log events");
}

fn without_recording(layer: ApiSpanLayer, cause: Cause, foreign: &Foreign) -> ApiSpanLayer {
    match cause {
        Cause::Sampler | Cause::Caller | Cause::Suppressed => layer,
        Cause::Rate => layer.sample_rate(0.0),
        Cause::Filtered => layer.filter(|_| false),
        Cause::NoProvider => layer.tracer_provider(&NoopTracerProvider::new()),
        Cause::NotRecording => layer.tracer_provider(foreign),
    }
}

/// Checks the span that is current in the inner service.
fn check_inside(inside: &SpanContext, cause: Cause, has_caller: bool) {
    let is_in_trace = inside.trace_id().to_string() == TRACE;
    // The other tracer's spans have ids of their own.
    let is_own = cause == Cause::NotRecording;
    assert_eq!(
        is_in_trace,
        has_caller && !is_own,
        "the trace of {inside:?}"
    );
    let is_callers = inside.span_id().to_string() == CALLER;
    match cause {
        // A span that does not record.
        Cause::Sampler | Cause::Caller | Cause::NotRecording => {
            assert!(inside.is_valid() && !inside.is_sampled() && !is_callers);
        }
        // The caller's span without the sampled flag, or random ids.
        Cause::Rate => {
            assert!(inside.is_valid() && !inside.is_sampled());
            assert_eq!(is_callers, has_caller);
        }
        // The context is unchanged.
        Cause::Filtered | Cause::Suppressed | Cause::NoProvider => {
            assert_eq!(inside.is_valid(), has_caller);
            assert_eq!(inside.is_sampled(), has_caller);
            assert_eq!(is_callers, has_caller);
        }
    }
}
