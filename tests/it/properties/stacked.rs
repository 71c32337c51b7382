//! Two layers stacked: each has its own span of each request, ended once and in its own way; the inner
//! one is the outer one's child and hears the handler. Each layer measures for itself. Where the inner
//! one filters all out, the handler speaks to the outer one.

use proptest::prelude::*;
use tower_layer::Layer as _;

use super::actor::actor;
use super::config;
use super::core::{check, layer};
use super::crowd::{Spans, crowds};
use super::ledger::{Ledger, active, entry};
use super::play::Play;
use super::script::Script;
use super::told::sorted;
use crate::support::recorder::Recorder;

proptest! {
    #![proptest_config(config(1_500))]

    #[test]
    fn of_two_layers_each_has_its_own_span_and_its_own_figures(
        crowd in crowds(),
        is_outer_llm in any::<bool>(),
        is_inner_filtered in prop::bool::weighted(0.2),
    ) {
        let at = Recorder::new();
        let [of_inner, of_outer] = [Ledger::default(), Ledger::default()];
        let measured = |is_llm, ledger| {
            layer(&at, is_llm).meter_provider(ledger).active_requests(true)
        };
        let inner = measured(crowd.is_llm, &of_inner).filter(move |_| !is_inner_filtered);
        let outer = measured(is_outer_llm, &of_outer);
        // Those that have a span of each request, the inner one first.
        let ledgers = if is_inner_filtered {
            vec![&of_outer]
        } else {
            vec![&of_inner, &of_outer]
        };
        let oracles = |script: &Script| {
            let of_outer = Script { is_llm: is_outer_llm, ..script.clone() };
            let mut oracles = vec![script.oracle(), of_outer.oracle()];
            oracles.drain(..2 - ledgers.len());
            oracles
        };
        let plays = crowd.play(outer.layer(inner.layer(actor())), oracles, |plays| {
            let ended = plays.iter().map(Play::ended).sum();
            assert_eq!((at.starts(), at.ends()), (ledgers.len() * plays.len(), ended));
            for (which, ledger) in ledgers.iter().enumerate() {
                let oracles = plays.iter().map(|play| &play.oracles[which]);
                assert_eq!(ledger.active(), active(oracles), "active requests");
            }
        });

        let spans = Spans::of(&at);
        let mut expected = vec![Vec::new(); ledgers.len()];
        for (nr, play) in &plays {
            let inside = play.handler.current().expect("a call").span;
            let mut id = inside.span_id();
            for (oracle, expected) in play.oracles.iter().zip(&mut expected) {
                let span = spans.find(id);
                check(span, oracle);
                assert_eq!(span.0.span_context.trace_id(), inside.trace_id());
                expected.push(entry(oracle, span.duration().as_secs_f64()));
                // The next one is its parent.
                id = span.0.parent_span_id;
            }
            assert_eq!(id, crowd.caller(*nr).1, "the parent of {nr}");
        }
        for (ledger, expected) in ledgers.iter().zip(expected) {
            assert_eq!(sorted(ledger.entries()), sorted(expected), "durations");
        }
        if is_inner_filtered {
            assert_eq!(of_inner.entries(), [], "what is filtered out");
        }
    }
}
