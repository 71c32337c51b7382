//! Event streams: each ends as the oracle expects, and the same wherever it is cut.

use bytes::Bytes;
use http::{Method, Version};
use proptest::prelude::*;

use super::config;
use super::event_streams::event_streams;
use super::script::{Act, Answer, Inner, Script};
use super::single_request::play;
use crate::support::body::{Says, Step};

proptest! {
    #![proptest_config(config(2_500))]

    #[test]
    fn event_stream_ends_the_same_wherever_it_is_cut(
        (text, pieces) in event_streams(),
        has_length in any::<bool>(),
        polls in 0..10_usize,
    ) {
        let stream = |steps, polls| stream(steps, &text, has_length, polls);
        // Read to the end, and up to any poll.
        let to_the_end = pieces.len() + 2;
        let cut = play(stream(pieces.clone(), to_the_end));
        let whole = play(stream(vec![Step::Slice(0, text.len())], 3));
        assert_eq!(cut.outcome(), whole.outcome());
        assert_eq!(cut.error(), whole.error());
        play(stream(pieces, polls));
    }
}

fn stream(steps: Vec<Step>, text: &Bytes, has_length: bool, polls: usize) -> Script {
    Script {
        is_llm: true,
        method: Method::GET,
        version: Version::HTTP_11,
        protocol: "application/json",
        length: None,
        timeout: None,
        pending: 0,
        service: Inner::Answers(Answer {
            status: 200,
            content_length: has_length.then(|| text.len().to_string()),
            transfer_encoding: false,
            content_type: Some("text/event-stream"),
            content_encoding: None,
            grpc_status: None,
            steps,
            text: text.clone(),
            end_stream: Says::Always(false),
            size: None,
        }),
        acts: vec![Act::Poll; polls],
        destructor: None,
    }
}
