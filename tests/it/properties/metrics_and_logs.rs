//! Metrics and log events of interleaved requests. The active requests are the open ones, each duration
//! is recorded once and is that of the span, and the log events match the outcome.

use opentelemetry::trace::SpanContext;
use proptest::prelude::*;
use tower_api_span::LifecycleEvents;
use tower_layer::Layer as _;

use super::config;
use super::handler::scripted_service;
use super::interleaved::{Spans, interleavings};
use super::script::Script;
use super::signals::{LogsRecorder, Measurement, MetricsRecorder, active, log_events, measurement};
use super::single_request::layer;
use crate::support::recorder::Recorder;

proptest! {
    #![proptest_config(config(1_500))]

    #[test]
    fn metrics_and_log_events_match_the_spans(
        requests in interleavings(),
        has_lifecycle in any::<bool>(),
    ) {
        let at = Recorder::new();
        let (metrics, logs) = (MetricsRecorder::default(), LogsRecorder::new());
        let lifecycle = if has_lifecycle {
            LifecycleEvents::Both
        } else {
            LifecycleEvents::OnSpan
        };
        let layer = layer(&at, requests.is_llm)
            .meter_provider(&metrics)
            .active_requests(true)
            .logger_provider(&logs.provider)
            .lifecycle_events(lifecycle);
        let oracles = |script: &Script| vec![script.oracle()];
        let plays = requests.play(layer.layer(scripted_service()), oracles, |plays| {
            let oracles = plays.iter().map(|play| &play.oracles[0]);
            assert_eq!(metrics.active(), active(oracles.clone()), "active requests");
            let ended = oracles.filter(|oracle| oracle.ended().is_some()).count();
            assert_eq!(metrics.measurements().len(), ended, "durations");
        });

        let (spans, logged) = (Spans::recorded(&at), logs.by_span());
        let mut expected = Vec::new();
        let mut count = 0;
        for (_, play) in &plays {
            let inside: SpanContext = play.handler.current().expect("a call").span;
            let span = spans.find(inside.span_id());
            let [oracle] = &play.oracles[..] else {
                panic!("one oracle");
            };
            expected.push(measurement(oracle, span.duration().as_secs_f64()));
            let events = log_events(oracle.ended().expect("an end"), has_lifecycle);
            count += events.len();
            let logged = logged.get(&inside.span_id().to_string());
            assert_eq!(logged.cloned().unwrap_or_default(), events, "log events");
        }
        assert_eq!(logged.values().flatten().count(), count, "all log events");
        assert_eq!(sorted(metrics.measurements()), sorted(expected), "durations");
    }
}

/// Sorts measurements: requests end in another order than they start.
pub fn sorted(mut all: Vec<Measurement>) -> Vec<Measurement> {
    all.sort_by(|one, other| {
        let by_value = one.value.total_cmp(&other.value);
        by_value.then_with(|| one.attributes.cmp(&other.attributes))
    });
    all
}
