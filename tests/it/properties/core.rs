//! One request: how its span ends and what it says, and when.

use std::panic::resume_unwind;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::select;
use tower_api_span::ApiSpanLayer;
use tower_layer::Layer as _;

use super::actor::actor;
use super::config;
use super::model::Model;
use super::play::Play;
use super::script::{Act, Call, Script};
use super::scripts::scripts;
use crate::support::conventions::BY_HANDLERS;
use crate::support::recorder::{Recorder, Seen, w3c};

proptest! {
    #![proptest_config(config(10_000))]

    #[test]
    fn any_script_ends_as_the_model_says_and_looks_like_the_bare_service(
        script in scripts(),
        policy in select(&[Policy::Default, Policy::Default, Policy::Tolerant, Policy::Panics][..]),
    ) {
        play_under(policy, script);
    }
}

/// What the operator has said of ends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Policy {
    Default,
    /// That a client leaves is no error.
    Tolerant,
    /// A classification that panics: the span ends all the same, and says nothing of an outcome.
    Panics,
}

/// Plays a script, checks each step, and returns the span.
pub fn play(script: Script) -> Seen {
    play_under(Policy::Default, script)
}

fn play_under(policy: Policy, script: Script) -> Seen {
    let script = Arc::new(script);
    let at = Recorder::new();
    let layer = layer(&at, script.is_llm);
    let layer = match policy {
        Policy::Default => layer,
        Policy::Tolerant => layer.disconnect_is_error(false),
        Policy::Panics => layer.classify(|_, _, _| resume_unwind(Box::new("classification"))),
    };
    let mut service = layer.layer(actor());
    let mut model = Model::new(&script);
    if policy == Policy::Tolerant {
        model.say(Call::AllowDisconnect);
    }
    let models = vec![model];
    let mut play = Play::open(&mut service, &script, models, script.request());
    for act in script.acts.iter().chain([&Act::Drop]) {
        play.act(act);
        let counted = (at.starts(), at.ends());
        assert_eq!(counted, (1, play.ended()), "starts and ends after {act:?}");
    }
    play.look_back();
    assert_eq!((at.starts(), at.ends()), (1, 1));
    let span = at.only();
    if policy == Policy::Panics {
        assert_eq!((span.outcome().as_str(), span.is_error()), ("none", false));
    } else {
        check(&span, &play.models[0]);
    }
    // What the body's destructor says belongs to the span, and may be later.
    if let Some(within) = play.whole_within.filter(|_| script.destructor.is_none()) {
        assert!(span.duration() <= within, "as late as the last frame");
    }
    span
}

/// The layer, or its preset for language models, whose spans are recorded there.
pub fn layer(at: &Recorder, is_llm: bool) -> ApiSpanLayer {
    if is_llm {
        ApiSpanLayer::llm()
            .tracer_provider(&at.provider)
            .propagator(w3c())
    } else {
        at.layer()
    }
}

/// The span is the model's.
pub fn check(span: &Seen, model: &Model) {
    let script = &model.script;
    let ended = model.ended().expect("an end");
    assert_eq!(span.outcome(), ended.outcome);
    assert_eq!(span.attribute("error.type"), ended.error_type, "error.type");
    assert_eq!(span.error(), ended.error, "the message");
    assert_eq!(
        span.attribute("rpc.status_code").as_deref(),
        ended.grpc_code
    );
    let status = span.attribute("http.response.status_code");
    let tells_status = !ended.is_grpc || ended.status != Some(200);
    let expected = ended
        .status
        .filter(|_| tells_status)
        .map(|status| status.to_string());
    assert_eq!(status, expected);
    for key in ["test.mine", "test.mine.too"] {
        assert_eq!(
            span.attribute(key).is_some(),
            ended.attributes.contains(&key),
            "{key}"
        );
    }
    if !script.is_grpc() {
        assert_eq!(
            span.attribute("url.path").as_deref(),
            Some("/pkg.Service/Method")
        );
        // A handler may also say it by key.
        let by_key = ended.attributes.contains(&"http.route");
        let route = if ended.route {
            Some("/late/{route}")
        } else {
            by_key.then_some(BY_HANDLERS)
        };
        assert_eq!(span.attribute("http.route").as_deref(), route);
    }
    if script.is_llm {
        assert_eq!(span.0.name, "llm_request");
    } else if !script.is_grpc() {
        let late = if ended.route { " /late/{route}" } else { "" };
        assert_eq!(span.0.name, format!("{}{late}", script.method));
    }
    let events = span.events();
    let times = |event: &str| events.iter().filter(|name| *name == event).count();
    assert_eq!(times("handler's"), ended.events, "events of the handler");
    assert_eq!(
        times("api.FIRST_RESPONSE_FROM_CORE"),
        usize::from(ended.first_response),
        "first responses"
    );
}
