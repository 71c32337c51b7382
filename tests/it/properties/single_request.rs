//! One request: when its span ends, and what it shows.

use std::panic::resume_unwind;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::select;
use tower_api_span::ApiSpanLayer;
use tower_layer::Layer as _;

use super::completions::check_completion;
use super::config;
use super::handler::scripted_service;
use super::measured::Times;
use super::oracle::{Ended, HandlerCall, Oracle};
use super::play::Play;
use super::script::{Act, Script};
use super::strategies::scripts;
use crate::completion::{Completions, shown};
use crate::support::recorder::{Recorder, Seen, w3c};

proptest! {
    #![proptest_config(config(10_000))]

    #[test]
    fn any_script_ends_as_the_oracle_expects_and_responds_as_the_bare_service(
        script in scripts(),
        policy in select(&[Policy::Default, Policy::Default, Policy::Tolerant, Policy::Panics][..]),
    ) {
        play_under(policy, script);
    }
}

/// The operator's settings for ends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Policy {
    Default,
    /// `disconnect_is_error(false)`.
    Tolerant,
    /// The classification panics: the span ends without an outcome.
    Panics,
}

/// Plays a script, checks each step, and returns the span.
pub fn play(script: Script) -> Seen {
    play_under(Policy::Default, script)
}

fn play_under(policy: Policy, script: Script) -> Seen {
    let at = Recorder::new();
    let layer = layer(&at, script.is_llm);
    let layer = match policy {
        Policy::Default => layer,
        Policy::Tolerant => layer.disconnect_is_error(false),
        Policy::Panics => layer.classify(|_| resume_unwind(Box::new("classification"))),
    };
    let mut oracle = script.oracle();
    if policy == Policy::Tolerant {
        oracle.call(HandlerCall::AllowDisconnect);
    }
    let (span, oracle) = play_through(&layer, &at, oracle, script);
    if policy == Policy::Panics {
        assert_eq!((span.outcome().as_str(), span.is_error()), ("none", false));
    } else {
        check(&span, &oracle);
    }
    span
}

/// Plays a script through a layer, and checks when its span, in `at`, starts and ends. Returns the span, and the
/// oracle at its end.
pub fn play_through(
    layer: &ApiSpanLayer,
    at: &Recorder,
    oracle: Oracle,
    script: Script,
) -> (Seen, Oracle) {
    play_sized(layer, at, oracle, script, false)
}

/// Does the same through a layer with `body_sizes`, or without.
pub fn play_sized(
    layer: &ApiSpanLayer,
    at: &Recorder,
    oracle: Oracle,
    script: Script,
    has_sizes: bool,
) -> (Seen, Oracle) {
    let script = Arc::new(script);
    let completions = Completions::default();
    let layer = completions.of(layer.clone()).body_sizes(has_sizes);
    let mut service = layer.layer(scripted_service());
    let mut play = Play::open(&mut service, &script, vec![oracle], script.request());
    for act in script.acts.iter().chain([&Act::Drop]) {
        play.act(act);
        let counted = (at.starts(), at.ends());
        assert_eq!(counted, (1, play.ended()), "starts and ends after {act:?}");
        assert_eq!(completions.count(), play.ended(), "calls after {act:?}");
    }
    play.check_after_drop();
    assert_eq!((at.starts(), at.ends()), (1, 1));
    let (span, completion) = (at.only(), completions.only());
    assert_eq!(shown(&completion), span.outcome());
    let ended = play.oracles[0].ended().expect("an end");
    // If the classification panics, there is no outcome.
    if completion.outcome().is_some() && !ended.is_unknown {
        let inside = play.handler.current().expect("a call").span;
        check_completion(&completion, &play.oracles[0], &inside, has_sizes);
        Times::of_completion(&completion).check(&span);
        check_sizes(&span, ended, has_sizes);
    }
    // A call of the body's destructor can extend the span.
    if let Some(within) = play.complete_within.filter(|_| script.destructor.is_none()) {
        assert!(span.duration() <= within, "later than the last frame");
    }
    (span, play.oracles.remove(0))
}

/// Checks the sizes on a span.
pub fn check_sizes(span: &Seen, ended: &Ended, has_sizes: bool) {
    for (key, bytes) in [
        ("http.request.body.size", ended.request_bytes),
        ("http.response.body.size", ended.response_bytes),
    ] {
        let bytes = bytes.filter(|_| has_sizes).map(|bytes| bytes.to_string());
        assert_eq!(span.attribute(key), bytes, "{key}");
    }
}

/// Returns the layer, or its preset for language models, with its spans recorded in `at`.
pub fn layer(at: &Recorder, is_llm: bool) -> ApiSpanLayer {
    if is_llm {
        ApiSpanLayer::llm()
            .tracer_provider(&at.provider)
            .propagator(w3c())
    } else {
        at.layer()
    }
}

/// Checks that a span shows how its exchange ended.
pub fn check(span: &Seen, oracle: &Oracle) {
    oracle.check(&span.0);
    let ended = oracle.ended().expect("the exchange has ended");
    assert_eq!(span.outcome(), ended.outcome());
    assert_eq!(span.error(), ended.error, "the message");
}
