//! Requests whose bodies fail, stay unread, are read in part, or are dropped. The outcome is `client_disconnect` only
//! if the client has gone; what the handler reads is what the server's body returns.

use proptest::collection::vec;
use proptest::prelude::*;

use super::config;
use super::script::{Act, Script, Thread};
use super::single_request::{check, layer, play_sized};
use super::strategies::{acts, request_calls, scripts};
use crate::support::recorder::Recorder;

proptest! {
    #![proptest_config(config(3_000))]

    #[test]
    fn request_that_fails_is_a_disconnect_only_if_its_client_has_gone(
        script in scripts(),
        acts in vec(request_acts(), 0..10),
    ) {
        let script = Script { acts, ..script };
        let at = Recorder::new();
        let (layer, oracle) = (layer(&at, script.is_llm), script.oracle());
        let (span, oracle) = play_sized(&layer, &at, oracle, script, true);
        check(&span, &oracle);
    }
}

/// Actions, of which most read the request: before the response, between its parts, and inside its polls.
fn request_acts() -> impl Strategy<Value = Act> {
    prop_oneof![
        2 => request_calls().prop_map(|call| Act::Call(call, Thread::This)),
        2 => request_calls().prop_map(Act::PollCalling),
        3 => acts(),
    ]
}
