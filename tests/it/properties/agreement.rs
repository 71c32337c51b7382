//! One request, and all that is recorded of it under any settings: span, metrics, log events, the line of the access
//! log, and the call of `on_completion`. Each is there once, and all agree.

use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::sync::Arc;

use opentelemetry::trace::SpanContext;
use opentelemetry::trace::noop::NoopTracerProvider;
use opentelemetry_sdk::trace::Sampler;
use proptest::prelude::*;
use proptest::sample::select;
use tower_api_span::{AccessLog, ApiSpanLayer};
use tower_layer::Layer as _;
use tracing::Level;

use super::completions::check_completion;
use super::config;
use super::handler::scripted_service;
use super::log_lines::{Line, count, line, logged};
use super::measured::{MetricSettings, Times, assert_same, measurements, metric_settings};
use super::oracle::{Ended, Oracle};
use super::play::Play;
use super::script::{Act, Script};
use super::signals::{LogsRecorder, MetricsRecorder, active, log_events};
use super::single_request::{check, check_sizes, layer};
use super::strategies::scripts;
use crate::completion::Completions;
use crate::support::recorder::{Recorder, Seen};
use crate::support::{CALLER, TRACE};

/// Whether there is a span.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Traces {
    Recorded,
    /// The tracer's sampler drops it.
    Unsampled,
    /// The layer's own rate is 0.
    SampledOut,
    NoTracer,
    /// Without metrics and log events, too.
    Filtered,
}

/// The settings of the access log.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Log {
    Unset,
    Default,
    /// Each line has level DEBUG.
    Debug,
    LevelPanics,
    Filtered,
}

#[derive(Clone, Copy, Debug)]
struct Settings {
    traces: Traces,
    log: Log,
    metrics: MetricSettings,
    has_caller: bool,
}

fn settings() -> impl Strategy<Value = Settings> {
    let traces = select(vec![
        Traces::Recorded,
        Traces::Recorded,
        Traces::Unsampled,
        Traces::SampledOut,
        Traces::NoTracer,
        Traces::Filtered,
    ]);
    let log = select(vec![
        Log::Default,
        Log::Default,
        Log::Debug,
        Log::LevelPanics,
        Log::Filtered,
        Log::Unset,
    ]);
    (traces, log, metric_settings(), any::<bool>()).prop_map(
        |(traces, log, metrics, has_caller)| Settings {
            traces,
            log,
            metrics,
            has_caller,
        },
    )
}

proptest! {
    #![proptest_config(config(3_000))]

    #[test]
    fn all_signals_of_a_request_agree_under_any_settings(
        script in scripts(),
        settings in settings(),
    ) {
        play(script, &settings);
    }
}

/// What records a request.
struct Recorders {
    at: Recorder,
    metrics: MetricsRecorder,
    logs: LogsRecorder,
    completions: Completions,
}

impl Recorders {
    fn new(settings: &Settings) -> Self {
        Self {
            at: Recorder::with(|builder| match settings.traces {
                Traces::Unsampled => builder.with_sampler(Sampler::AlwaysOff),
                _ => builder,
            }),
            metrics: MetricsRecorder::default(),
            logs: LogsRecorder::new(),
            completions: Completions::default(),
        }
    }

    fn layer(&self, settings: &Settings, is_llm: bool) -> ApiSpanLayer {
        let layer = settings.metrics.apply(layer(&self.at, is_llm));
        let layer = layer
            .meter_provider(&self.metrics)
            .logger_provider(&self.logs.provider);
        let layer = match settings.traces {
            Traces::Recorded | Traces::Unsampled => layer,
            Traces::SampledOut => layer.sample_rate(0.0),
            Traces::NoTracer => layer.tracer_provider(&NoopTracerProvider::new()),
            Traces::Filtered => layer.filter(|_| false),
        };
        let log = AccessLog::new();
        self.completions.of(match settings.log {
            Log::Unset => layer,
            Log::Default => layer.access_log(log),
            Log::Debug => layer.access_log(log.level_fn(|_| Level::DEBUG)),
            Log::LevelPanics => {
                layer.access_log(log.level_fn(|_| resume_unwind(Box::new("level"))))
            }
            Log::Filtered => layer.access_log(log.filter(|_| false)),
        })
    }
}

impl Settings {
    /// Whether the handler's context has a span of the layer.
    fn has_span(&self) -> bool {
        [Traces::Recorded, Traces::Unsampled].contains(&self.traces)
    }

    fn is_logged(&self) -> bool {
        ![Log::Unset, Log::Filtered].contains(&self.log)
    }
}

fn play(script: Script, settings: &Settings) {
    let script = Arc::new(script);
    let recorders = Recorders::new(settings);
    let layer = recorders.layer(settings, script.is_llm);
    let mut oracle = script.oracle();
    if !settings.has_span() {
        oracle = oracle.without_span();
    }
    let mut request = script.request();
    if settings.has_caller {
        let caller = format!("00-{TRACE}-{CALLER}-01");
        let caller = caller.parse().expect("a value");
        request.headers_mut().insert("traceparent", caller);
    }
    let (play, lines) = logged(|| {
        let mut service = layer.layer(scripted_service());
        let mut play = Play::open(&mut service, &script, vec![oracle], request);
        for act in script.acts.iter().chain([&Act::Drop]) {
            play.act(act);
            let written = if settings.is_logged() {
                play.ended()
            } else {
                0
            };
            assert_eq!(count(), written, "lines after {act:?}");
            assert_eq!(recorders.completions.count(), play.ended());
            let is_counted = settings.metrics.active_requests;
            let counted = settings.traces != Traces::Filtered && is_counted;
            let open = play.oracles.iter().filter(|_| counted);
            assert_eq!(recorders.metrics.active(), active(open), "after {act:?}");
        }
        play.check_after_drop();
        play
    });
    let inside = play.handler.current().expect("a call").span;
    recorders.check(settings, &play.oracles[0], &inside, &lines);
}

impl Recorders {
    fn check(&self, settings: &Settings, oracle: &Oracle, ids: &SpanContext, lines: &[Line]) {
        let ended = oracle.ended().expect("an end");
        if ended.is_unknown {
            return;
        }
        let has_sizes = settings.metrics.body_sizes;
        let completion = self.completions.only();
        check_completion(&completion, oracle, ids, has_sizes);
        let times = Times::of_completion(&completion);
        if settings.traces == Traces::Recorded {
            let span = self.at.only();
            check(&span, oracle);
            times.check(&span);
            check_settings(&span, ended, settings);
        } else {
            assert_eq!(self.at.exported(), []);
        }
        self.check_signals(settings, oracle, ids, &times);
        if let [written] = lines {
            let mut expected = line(oracle, ids, has_sizes);
            if settings.log == Log::Debug {
                expected.level = Level::DEBUG.to_string();
            }
            check_line(written.clone(), &expected, &times);
        }
    }

    /// Checks metrics and log events.
    fn check_signals(
        &self,
        settings: &Settings,
        oracle: &Oracle,
        ids: &SpanContext,
        times: &Times,
    ) {
        let ended = oracle.ended().expect("an end");
        if settings.traces == Traces::Filtered {
            assert_eq!(self.metrics.all(), []);
            assert!(self.logs.by_span().is_empty());
            return;
        }
        if let Some(expected) = measurements(oracle, &settings.metrics, times) {
            assert_same(self.metrics.all(), expected);
        }
        let id = Some(ids).filter(|ids| ids.is_valid());
        let id = id.map(|ids| ids.span_id().to_string());
        let events = log_events(ended, false);
        let expected = BTreeMap::from([(id.unwrap_or_default(), events)]);
        let logged = self.logs.by_span();
        if expected.values().all(Vec::is_empty) {
            assert!(logged.is_empty(), "{logged:?}");
        } else {
            assert_eq!(logged, expected, "log events");
        }
    }
}

fn check_settings(span: &Seen, ended: &Ended, settings: &Settings) {
    check_sizes(span, ended, settings.metrics.body_sizes);
    let is_marked = settings.metrics.is_marked(ended);
    assert_eq!(span.attribute("api.stream").is_some(), is_marked);
}

/// Checks a line. Its times are those of the completion, to the microsecond.
pub fn check_line(mut written: Line, expected: &Line, times: &Times) {
    let duration = written.take_seconds("duration_ms");
    let to_head = written.take_seconds("time_to_head_ms");
    assert_eq!(&written, expected, "the line");
    for (written, time) in [(duration, Some(times.duration)), (to_head, times.to_head)] {
        let (written, time) = (written.unwrap_or(-1.0), time.unwrap_or(-1.0));
        assert!((written - time).abs() < 0.000_001, "{written} s, {time} s");
    }
}
