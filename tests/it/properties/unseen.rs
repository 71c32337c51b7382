//! Requests that no span is recorded of, for whatever reason: nothing is started or left open, the
//! response is the bare service's, the caller's context flows on as it must, and whoever measures
//! without a span measures all the same.

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

use super::actor::{Current, actor};
use super::config;
use super::core::layer;
use super::ledger::{Ledger, Logs, active, entry, log_events};
use super::play::Play;
use super::script::{Act, Script};
use super::scripts::scripts;
use crate::support::foreign::Foreign;
use crate::support::recorder::Recorder;
use crate::support::{CALLER, TRACE};

/// Why there is no span to be seen.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Why {
    /// The tracer's sampler says no.
    Sampler,
    /// The layer's own rate is 0.
    Rate,
    /// The caller is not sampled, and the sampler honours that.
    Caller,
    Filtered,
    Suppressed,
    NoProvider,
    /// The tracer is of another make, and its spans have ids and do not record.
    NotRecording,
}

const ALL: [Why; 7] = [
    Why::Sampler,
    Why::Rate,
    Why::Caller,
    Why::Filtered,
    Why::Suppressed,
    Why::NoProvider,
    Why::NotRecording,
];

proptest! {
    #![proptest_config(config(5_000))]

    #[test]
    fn without_a_span_all_is_as_the_bare_service_and_nothing_is_left_open(
        script in scripts(),
        why in select(&ALL[..]),
        is_called in any::<bool>(),
        is_measured in any::<bool>(),
    ) {
        play(script, why, is_called || why == Why::Caller, is_measured);
    }
}

fn play(script: Script, why: Why, is_called: bool, is_measured: bool) {
    let script = Arc::new(script);
    let at = Recorder::with(|builder| match why {
        Why::Sampler => builder.with_sampler(Sampler::AlwaysOff),
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
    let (ledger, logs) = (Ledger::default(), Logs::new());
    let mut layer = unseen(layer(&at, script.is_llm), why, &foreign);
    if is_measured {
        layer = layer
            .meter_provider(&ledger)
            .active_requests(true)
            .logger_provider(&logs.provider)
            .lifecycle_events(LifecycleEvents::Both);
    }
    // What is filtered out or suppressed is not for metrics either.
    let is_told = is_measured && ![Why::Filtered, Why::Suppressed].contains(&why);
    let oracle = match why {
        Why::Rate | Why::NoProvider => script.oracle().without_span(),
        // A body that is not observed is not read for a terminator.
        Why::NotRecording if !is_told => {
            let is_llm = false;
            let script = Script::clone(&script);
            Script { is_llm, ..script }.oracle()
        }
        _ => script.oracle(),
    };
    let mut request = script.request();
    if is_called {
        let flags = if why == Why::Caller { "00" } else { "01" };
        let caller = format!("00-{TRACE}-{CALLER}-{flags}");
        let caller = caller.parse().expect("a value");
        request.headers_mut().insert("traceparent", caller);
    }

    let around = match why {
        Why::Suppressed => Context::new().with_telemetry_suppressed(),
        _ => Context::new(),
    };
    let _around = around.attach();
    let outside = Current::here();
    let mut play = Play::open(&mut layer.layer(actor()), &script, vec![oracle], request);
    let inside = play.handler.current().expect("a call").span;
    check_inside(&inside, why, is_called);
    for act in script.acts.iter().chain([&Act::Drop]) {
        assert!(!play.handler.handle().is_recording());
        play.act(act);
        assert_eq!((at.starts(), at.ends()), (0, 0), "spans after {act:?}");
        let builds = usize::from(why == Why::NotRecording);
        let counts = (builds, builds * play.ended(), builds * play.ended());
        assert_eq!(foreign.counts(), counts, "of another make, after {act:?}");
        let told = play.oracles.iter().filter(|_| is_told);
        assert_eq!(ledger.active(), active(told), "after {act:?}");
        let measured = if is_told { play.ended() } else { 0 };
        assert_eq!(ledger.entries().len(), measured, "after {act:?}");
        assert_eq!(Current::here(), outside, "current outside after {act:?}");
    }
    play.look_back();
    assert_eq!(at.exported(), []);

    let mut logged = BTreeMap::new();
    for oracle in play.oracles.iter().filter(|_| is_told) {
        let entries = ledger.entries();
        // Its time is known to nobody else.
        let took = entries[0].value;
        assert!((0.0..60.0).contains(&took), "{took} s");
        assert_eq!(entries, [entry(oracle, took)]);
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

fn unseen(layer: ApiSpanLayer, why: Why, foreign: &Foreign) -> ApiSpanLayer {
    match why {
        Why::Sampler | Why::Caller | Why::Suppressed => layer,
        Why::Rate => layer.sample_rate(0.0),
        Why::Filtered => layer.filter(|_| false),
        Why::NoProvider => layer.tracer_provider(&NoopTracerProvider::new()),
        Why::NotRecording => layer.tracer_provider(foreign),
    }
}

/// Which span is current inside.
fn check_inside(inside: &SpanContext, why: Why, is_called: bool) {
    let is_in_trace = inside.trace_id().to_string() == TRACE;
    // One of another make has ids of its own.
    let is_own = why == Why::NotRecording;
    assert_eq!(is_in_trace, is_called && !is_own, "the trace of {inside:?}");
    let is_callers = inside.span_id().to_string() == CALLER;
    match why {
        // A span of their own that does not record.
        Why::Sampler | Why::Caller | Why::NotRecording => {
            assert!(inside.is_valid() && !inside.is_sampled() && !is_callers);
        }
        // The caller's without its flag, or one that is made up.
        Why::Rate => {
            assert!(inside.is_valid() && !inside.is_sampled());
            assert_eq!(is_callers, is_called);
        }
        // Nothing is changed.
        Why::Filtered | Why::Suppressed | Why::NoProvider => {
            assert_eq!(inside.is_valid(), is_called);
            assert_eq!(inside.is_sampled(), is_called);
            assert_eq!(is_callers, is_called);
        }
    }
}
