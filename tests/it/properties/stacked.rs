//! Two layers stacked: each has its own span of each request, ended once and in its own way; the inner
//! one is the outer one's child and hears the handler. Each layer measures for itself.

use std::sync::Arc;

use proptest::prelude::*;
use tower_layer::Layer as _;

use super::actor::actor;
use super::config;
use super::core::{check, layer};
use super::crowd::{Spans, crowds};
use super::ledger::{Ledger, active, entry};
use super::model::Model;
use super::play::Play;
use super::script::Script;
use super::told::sorted;
use crate::support::recorder::Recorder;

/// The models of a request, as they are in a play.
const INNER: usize = 0;
const OUTER: usize = 1;

proptest! {
    #![proptest_config(config(1_500))]

    #[test]
    fn of_two_layers_each_has_its_own_span_and_its_own_figures(
        crowd in crowds(),
        is_outer_llm in any::<bool>(),
    ) {
        let at = Recorder::new();
        let ledgers = [Ledger::default(), Ledger::default()];
        let layers = [crowd.is_llm, is_outer_llm];
        let [inner, outer] = [INNER, OUTER].map(|which| {
            layer(&at, layers[which])
                .meter_provider(&ledgers[which])
                .active_requests(true)
        });
        let models = |script: &Arc<Script>| {
            let of_outer = Script { is_llm: is_outer_llm, ..Script::clone(script) };
            vec![Model::new(script), Model::new(&Arc::new(of_outer))]
        };
        let plays = crowd.play(outer.layer(inner.layer(actor())), models, |plays| {
            let ended = plays.iter().map(Play::ended).sum();
            assert_eq!((at.starts(), at.ends()), (2 * plays.len(), ended));
            for which in [INNER, OUTER] {
                let models = plays.iter().map(|play| &play.models[which]);
                assert_eq!(ledgers[which].active(), active(models), "active requests");
            }
        });

        let spans = Spans::of(&at);
        let mut expected = [Vec::new(), Vec::new()];
        for (nr, play) in &plays {
            let inside = play.handler.current().expect("a call").span;
            let inner = spans.find(inside.span_id());
            let outer = spans.find(inner.0.parent_span_id);
            assert!(!inner.0.parent_span_is_remote);
            for (which, span) in [(INNER, inner), (OUTER, outer)] {
                check(span, &play.models[which]);
                assert_eq!(span.0.span_context.trace_id(), inside.trace_id());
                expected[which].push(entry(&play.models[which], span.duration().as_secs_f64()));
            }
            let (_, caller) = crowd.caller(*nr);
            assert_eq!(outer.0.parent_span_id, caller, "the parent of {nr}");
        }
        for (ledger, expected) in ledgers.iter().zip(expected) {
            assert_eq!(sorted(ledger.entries()), sorted(expected), "durations");
        }
    }
}
