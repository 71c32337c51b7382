//! Two stacked layers. Each records its own span of each request, and the outer one its metrics; the inner one records
//! metrics with `nested_metrics`. The inner span is a child of the outer one and receives the handler's calls; if the inner
//! layer filters the request out, the outer span receives them.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tower_layer::Layer as _;

use super::config;
use super::handler::scripted_service;
use super::interleaved::{Spans, interleavings};
use super::metrics_and_logs::sorted;
use super::play::Play;
use super::script::Script;
use super::signals::{MetricsRecorder, active, measurement};
use super::single_request::{check, layer};
use crate::support::recorder::Recorder;

proptest! {
    #![proptest_config(config(1_500))]

    #[test]
    fn stacked_layers_each_record_their_own_span_and_count_a_request_once(
        requests in interleavings(),
        is_outer_llm in any::<bool>(),
        is_inner_filtered in prop::bool::weighted(0.2),
        is_inner_measured in any::<bool>(),
    ) {
        let at = Recorder::new();
        let [inner_metrics, outer_metrics] = [(); 2].map(|()| MetricsRecorder::default());
        let measured = |is_llm, metrics| {
            layer(&at, is_llm).meter_provider(metrics).active_requests(true)
        };
        let inner = measured(requests.is_llm, &inner_metrics)
            .filter(move |_| !is_inner_filtered)
            .nested_metrics(is_inner_measured);
        let outer = measured(is_outer_llm, &outer_metrics);
        // The layers that record a span of each request, the inner one first.
        let recorders = if is_inner_filtered {
            vec![&outer_metrics]
        } else {
            vec![&inner_metrics, &outer_metrics]
        };
        // The outer one always is.
        let is_measured = |which| is_inner_measured || which + 1 == recorders.len();
        let oracles = |script: &Script| {
            let outer = Script { is_llm: is_outer_llm, ..script.clone() };
            let mut oracles = vec![script.oracle(), outer.oracle()];
            oracles.drain(..2 - recorders.len());
            oracles
        };
        let plays = requests.play(outer.layer(inner.layer(scripted_service())), oracles, |plays| {
            let ended = plays.iter().map(Play::ended).sum();
            assert_eq!((at.starts(), at.ends()), (recorders.len() * plays.len(), ended));
            for (which, metrics) in recorders.iter().enumerate() {
                let oracles = plays.iter().map(|play| &play.oracles[which]);
                let expected = if is_measured(which) { active(oracles) } else { BTreeMap::new() };
                assert_eq!(metrics.active(), expected, "active requests");
            }
        });

        let spans = Spans::recorded(&at);
        let mut expected = vec![Vec::new(); recorders.len()];
        for (nr, play) in &plays {
            let inside = play.handler.current().expect("a call").span;
            let mut id = inside.span_id();
            for (oracle, expected) in play.oracles.iter().zip(&mut expected) {
                let span = spans.find(id);
                check(span, oracle);
                assert_eq!(span.0.span_context.trace_id(), inside.trace_id());
                expected.push(measurement(oracle, span.duration().as_secs_f64()));
                // The next layer's span is its parent.
                id = span.0.parent_span_id;
            }
            assert_eq!(id, requests.parent(*nr).1, "the parent of {nr}");
        }
        for (which, (metrics, expected)) in recorders.iter().zip(expected).enumerate() {
            let expected = if is_measured(which) { expected } else { Vec::new() };
            assert_eq!(sorted(metrics.measurements()), sorted(expected), "durations");
        }
        if is_inner_filtered {
            assert_eq!(inner_metrics.measurements(), [], "a filtered request is not measured");
        }
    }
}
