//! Event streams and nothing else: by the model, and the same wherever they are cut.

use bytes::Bytes;
use http::Method;
use proptest::prelude::*;

use super::config;
use super::core::play;
use super::events::event_streams;
use super::script::{Act, Answer, Inner, Script};
use crate::support::body::{Says, Step};

proptest! {
    #![proptest_config(config(2_500))]

    #[test]
    fn an_event_stream_is_read_the_same_wherever_it_is_cut(
        pieces in event_streams(),
        has_length in any::<bool>(),
        polls in 0..10_usize,
    ) {
        let all: Vec<Bytes> = pieces.iter().map(bytes).collect();
        let all = Bytes::from(all.concat());
        let length = has_length.then(|| all.len().to_string());
        // To their end, and as far as the reader likes.
        let to_the_end = pieces.len() + 2;
        let cut = play(stream(pieces.clone(), length.clone(), to_the_end));
        let whole = play(stream(vec![Step::Piece(all)], length.clone(), 3));
        assert_eq!(cut.outcome(), whole.outcome());
        assert_eq!(cut.error(), whole.error());
        play(stream(pieces, length, polls));
    }
}

fn bytes(step: &Step) -> Bytes {
    match step {
        Step::Piece(piece) => piece.clone(),
        other => panic!("{other:?} is no piece of a stream"),
    }
}

fn stream(steps: Vec<Step>, content_length: Option<String>, polls: usize) -> Script {
    Script {
        is_llm: true,
        method: Method::GET,
        protocol: "application/json",
        timeout: None,
        pending: 0,
        service: Inner::Answers(Answer {
            status: 200,
            content_length,
            transfer_encoding: false,
            content_type: Some("text/event-stream"),
            content_encoding: None,
            grpc_status: None,
            steps,
            says: Says::Always(false),
            size: None,
        }),
        acts: vec![Act::Poll; polls],
        destructor: None,
    }
}
