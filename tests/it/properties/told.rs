//! Metrics and log events of many requests at once: what is active is what is open, each request is
//! measured once and as long as its span, and told of as its outcome says.

use opentelemetry::trace::SpanContext;
use proptest::prelude::*;
use tower_api_span::LifecycleEvents;
use tower_layer::Layer as _;

use super::actor::actor;
use super::config;
use super::core::layer;
use super::crowd::{Spans, crowds};
use super::ledger::{Entry, Ledger, Logs, active, entry, log_events};
use super::script::Script;
use crate::support::recorder::Recorder;

proptest! {
    #![proptest_config(config(1_500))]

    #[test]
    fn metrics_balance_and_log_events_are_the_outcomes(
        crowd in crowds(),
        has_lifecycle in any::<bool>(),
    ) {
        let (at, ledger, logs) = (Recorder::new(), Ledger::default(), Logs::new());
        let lifecycle = if has_lifecycle {
            LifecycleEvents::Both
        } else {
            LifecycleEvents::OnSpan
        };
        let layer = layer(&at, crowd.is_llm)
            .meter_provider(&ledger)
            .active_requests(true)
            .logger_provider(&logs.provider)
            .lifecycle_events(lifecycle);
        let oracles = |script: &Script| vec![script.oracle()];
        let plays = crowd.play(layer.layer(actor()), oracles, |plays| {
            let oracles = plays.iter().map(|play| &play.oracles[0]);
            assert_eq!(ledger.active(), active(oracles.clone()), "active requests");
            let ended = oracles.filter(|oracle| oracle.ended().is_some()).count();
            assert_eq!(ledger.entries().len(), ended, "durations");
        });

        let (spans, logged) = (Spans::of(&at), logs.by_span());
        let mut expected = Vec::new();
        let mut told = 0;
        for (_, play) in &plays {
            let inside: SpanContext = play.handler.current().expect("a call").span;
            let span = spans.find(inside.span_id());
            let [oracle] = &play.oracles[..] else {
                panic!("one oracle");
            };
            expected.push(entry(oracle, span.duration().as_secs_f64()));
            let events = log_events(oracle.ended().expect("an end"), has_lifecycle);
            told += events.len();
            let logged = logged.get(&inside.span_id().to_string());
            assert_eq!(logged.cloned().unwrap_or_default(), events, "log events");
        }
        assert_eq!(logged.values().flatten().count(), told, "all log events");
        assert_eq!(sorted(ledger.entries()), sorted(expected), "durations");
    }
}

/// In an order of their own: requests end in another one than they begin.
pub fn sorted(mut entries: Vec<Entry>) -> Vec<Entry> {
    entries.sort_by(|one, other| {
        let by_value = one.value.total_cmp(&other.value);
        by_value.then_with(|| one.attributes.cmp(&other.attributes))
    });
    entries
}
