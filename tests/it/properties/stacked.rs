//! Two stacked layers. Each records its own span of each request, writes its line of the access log, and calls its own
//! `on_completion`. The outer one records the metrics. With `nested_metrics` the inner one records them, too. The inner
//! one records those of language models if the outer one does not. The inner span is a child of the outer one and
//! receives the handler's calls. If the inner layer filters the request out, the outer span receives them.

use std::collections::BTreeMap;

use opentelemetry::trace::SpanId;
use proptest::prelude::*;
use tower_api_span::{AccessLog, ApiSpanLayer, Completion};
use tower_layer::Layer as _;

use super::agreement::check_line;
use super::completions::check_completion;
use super::config;
use super::handler::scripted_service;
use super::interleaved::{Interleaving, Spans, interleavings};
use super::log_lines::{Line, line, logged};
use super::measured::{MetricSettings, Times, assert_same, metric_settings, of_gen_ai, of_server};
use super::oracle::Oracle;
use super::play::Play;
use super::script::Script;
use super::signals::{Measurement, MetricsRecorder, active};
use super::single_request::{check, layer};
use crate::completion::Completions;
use crate::support::recorder::{Recorder, Seen};

/// One of the two layers, with all that it records.
#[expect(clippy::struct_excessive_bools, reason = "independent settings")]
struct Stacked {
    settings: MetricSettings,
    is_llm: bool,
    is_logged: bool,
    /// It records the metrics of HTTP and gRPC.
    is_measured: bool,
    /// It records those of language models.
    is_gen_ai: bool,
    metrics: MetricsRecorder,
    completions: Completions,
}

impl Stacked {
    fn new(mut settings: MetricSettings, is_llm: bool, is_logged: bool) -> Self {
        // The active requests are checked after each step.
        settings.active_requests = true;
        Self {
            settings,
            is_llm,
            is_logged,
            is_measured: true,
            is_gen_ai: settings.gen_ai,
            metrics: MetricsRecorder::default(),
            completions: Completions::default(),
        }
    }

    fn layer(&self, at: &Recorder) -> ApiSpanLayer {
        let layer = self.settings.apply(layer(at, self.is_llm));
        let layer = self.completions.of(layer.meter_provider(&self.metrics));
        if self.is_logged {
            layer.access_log(AccessLog::new())
        } else {
            layer
        }
    }

    /// Returns the completion with this span id. Panics unless there is exactly one.
    fn completion(&self, id: SpanId) -> Completion {
        let mut all = self.completions.all();
        all.retain(|completion| completion.span_id() == id);
        assert_eq!(all.len(), 1, "completions of {id}");
        all.remove(0)
    }

    /// Checks what this layer has recorded of a request, and returns what it must have measured.
    fn check(&self, span: &Seen, oracle: &Oracle, lines: &[Line]) -> Vec<Measurement> {
        check(span, oracle);
        let ended = oracle.ended().expect("an end");
        let ids = &span.0.span_context;
        let completion = self.completion(ids.span_id());
        let times = Times::of_completion(&completion);
        times.check(span);
        check_completion(&completion, oracle, ids, self.settings.body_sizes);
        let id = ids.span_id().to_string();
        let lines = lines
            .iter()
            .filter(|line| line.fields.get("span_id") == Some(&id));
        let lines: Vec<_> = lines.cloned().collect();
        assert_eq!(lines.len(), usize::from(self.is_logged), "lines of {id}");
        for written in lines {
            let expected = line(oracle, ids, self.settings.body_sizes);
            check_line(written, &expected, &times);
        }
        let mut expected = Vec::new();
        if self.is_measured {
            expected.extend(of_server(oracle, &self.settings, &times));
        }
        if self.is_gen_ai {
            expected.extend(of_gen_ai(ended, &self.settings, &times));
        }
        expected
    }
}

/// The layers of a case.
#[derive(Clone, Copy, Debug)]
struct Layers {
    inner: MetricSettings,
    outer: MetricSettings,
    is_outer_llm: bool,
    is_inner_filtered: bool,
    /// `nested_metrics`.
    is_inner_measured: bool,
    are_logged: [bool; 2],
}

fn layers() -> impl Strategy<Value = Layers> {
    let flags = (any::<bool>(), prop::bool::weighted(0.2), any::<bool>());
    (
        metric_settings(),
        metric_settings(),
        flags,
        any::<[bool; 2]>(),
    )
        .prop_map(
            |(inner, outer, (is_outer_llm, is_inner_filtered, is_inner_measured), are_logged)| {
                Layers {
                    inner,
                    outer,
                    is_outer_llm,
                    is_inner_filtered,
                    is_inner_measured,
                    are_logged,
                }
            },
        )
}

proptest! {
    #![proptest_config(config(1_500))]

    #[test]
    fn stacked_layers_each_record_their_own_span_and_count_a_request_once(
        requests in interleavings(),
        layers in layers(),
    ) {
        play(&requests, &layers);
    }
}

fn play(requests: &Interleaving, layers: &Layers) {
    let at = Recorder::new();
    let [log_inner, log_outer] = layers.are_logged;
    let mut inner = Stacked::new(layers.inner, requests.is_llm, log_inner);
    let outer = Stacked::new(layers.outer, layers.is_outer_llm, log_outer);
    inner.is_measured = layers.is_inner_measured;
    inner.is_gen_ai &= layers.is_inner_measured || !outer.is_gen_ai;
    // A filtered request has a completion and a line, too, and the handle for them. Here it has neither.
    let inner_layer = if layers.is_inner_filtered {
        layer(&at, requests.is_llm)
            .meter_provider(&inner.metrics)
            .active_requests(true)
            .filter(|_| false)
    } else {
        inner.layer(&at)
    };
    let inner_layer = inner_layer.nested_metrics(layers.is_inner_measured);
    // The layers that record a span of each request, the inner one first.
    let recorders = if layers.is_inner_filtered {
        vec![&outer]
    } else {
        vec![&inner, &outer]
    };
    let oracles = |script: &Script| {
        let outer = Script {
            is_llm: layers.is_outer_llm,
            ..script.clone()
        };
        if layers.is_inner_filtered {
            vec![outer.oracle()]
        } else {
            vec![script.oracle(), outer.oracle().around_another()]
        }
    };
    let service = outer
        .layer(&at)
        .layer(inner_layer.layer(scripted_service()));
    let (plays, lines) = logged(|| {
        requests.play(service, oracles, |plays| {
            let ended = plays.iter().map(Play::ended).sum();
            assert_eq!(
                (at.starts(), at.ends()),
                (recorders.len() * plays.len(), ended)
            );
            for (which, recorder) in recorders.iter().enumerate() {
                let oracles = plays.iter().map(|play| &play.oracles[which]);
                let called = oracles.clone().filter(|one| one.ended().is_some()).count();
                assert_eq!(recorder.completions.count(), called);
                let expected = if recorder.is_measured {
                    active(oracles)
                } else {
                    BTreeMap::new()
                };
                assert_eq!(recorder.metrics.active(), expected, "active requests");
            }
        })
    });

    let spans = Spans::recorded(&at);
    let mut expected = vec![Vec::new(); recorders.len()];
    let mut is_open = false;
    for (nr, play) in &plays {
        let inside = play.handler.current().expect("a call").span;
        let mut id = inside.span_id();
        for ((recorder, oracle), expected) in recorders.iter().zip(&play.oracles).zip(&mut expected)
        {
            let span = spans.find(id);
            assert_eq!(span.0.span_context.trace_id(), inside.trace_id());
            expected.extend(recorder.check(span, oracle, &lines));
            is_open |= oracle.ended().is_some_and(|ended| ended.is_summary_open);
            // The next layer's span is its parent.
            id = span.0.parent_span_id;
        }
        assert_eq!(id, requests.parent(*nr).1, "the parent of {nr}");
    }
    let logs = recorders
        .iter()
        .filter(|recorder| recorder.is_logged)
        .count();
    assert_eq!(lines.len(), logs * plays.len(), "all lines");
    for (recorder, mut expected) in recorders.iter().zip(expected) {
        let mut measured = recorder.metrics.all();
        if is_open {
            // The oracle leaves open what is read.
            measured.retain(|one| !one.metric.starts_with("gen_ai."));
            expected.retain(|one: &Measurement| !one.metric.starts_with("gen_ai."));
        }
        assert_same(measured, expected);
    }
    if layers.is_inner_filtered {
        assert_eq!(
            inner.metrics.all(),
            [],
            "a filtered request is not measured"
        );
    }
}
