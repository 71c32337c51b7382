//! Responses read as servers read them. Without the oracle, the reader determines whether the response
//! was complete.
//!
//! An HTTP/1 server stops at the declared length and drops the body. An HTTP/2 server reads to the end.
//! Neither polls after `is_end_stream`.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;

use http_body::Body;
use proptest::prelude::*;
use tower::{Service, service_fn};
use tower_api_span::ResponseBody;
use tower_layer::Layer as _;

use super::config;
use super::script::Answer;
use super::strategies::answers;
use crate::support::body::ScriptedBody;
use crate::support::recorder::Recorder;
use crate::support::{get, poll_frame, ready};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Server {
    Http1,
    Http2,
}

proptest! {
    #![proptest_config(config(6_000))]

    #[test]
    fn complete_response_is_never_a_disconnect_and_incomplete_response_never_departs(
        answer in answers(),
        server in prop_oneof![Just(Server::Http1), Just(Server::Http2)],
        client_disconnects_after in proptest::option::of(0..8_usize),
    ) {
        serve(answer, server, client_disconnects_after);
    }
}

fn serve(answer: Answer, server: Server, client_disconnects_after: Option<usize>) {
    let at = Recorder::new();
    let mut service = at.layer().layer(service_fn(move |_| {
        let answer = answer.clone();
        async move { Ok::<_, std::convert::Infallible>(answer.response(answer.body())) }
    }));
    let response = ready(service.call(get())).expect("a response");
    // The number of spans that had ended before the last poll.
    let before_poll = Cell::new(0);
    let is_complete = catch_unwind(AssertUnwindSafe(|| {
        let (parts, mut body) = response.into_parts();
        let has_no_body = matches!(parts.status.as_u16(), 100..200 | 204 | 304);
        let coded = parts.headers.contains_key("transfer-encoding");
        let length = parts.headers.get("content-length").map_or_else(
            || body.size_hint().exact(),
            |length| {
                length
                    .to_str()
                    .ok()
                    .filter(|text| !text.contains('+'))?
                    .parse()
                    .ok()
            },
        );
        let length = length.filter(|_| !coded);
        let note = || before_poll.set(at.ends());
        let read = read_as(server, &mut body, length, client_disconnects_after, note);
        has_no_body || read
    }))
    // The body panicked.
    .ok();

    let outcome = at.only().outcome();
    match is_complete {
        Some(true) => {
            let incomplete = [
                "ABORTED(client_disconnect)",
                "ABORTED(generator_exit)",
                "ABORTED(length_mismatch)",
                "ABORTED(panic)",
            ];
            assert!(
                !incomplete.contains(&outcome.as_str()),
                "complete, but {outcome}"
            );
        }
        Some(false) => assert_ne!(outcome, "DEPARTED", "incomplete"),
        // The span had ended if the body was polled after its `is_end_stream`.
        None => assert!(
            outcome == "ABORTED(panic)" || before_poll.get() == 1,
            "the body panics, but {outcome}"
        ),
    }
}

/// Reads as this server does. Returns whether the response was complete.
fn read_as(
    server: Server,
    body: &mut ResponseBody<ScriptedBody>,
    length: Option<u64>,
    client_disconnects_after: Option<usize>,
    before_poll: impl Fn(),
) -> bool {
    let mut bytes = 0;
    let is_exact = |bytes: u64| length.is_none_or(|length| length == bytes);
    if body.is_end_stream() {
        return is_exact(0);
    }
    for poll in 0.. {
        let stops_at_length = server == Server::Http1;
        if stops_at_length && length.is_some_and(|length| bytes >= length) {
            return is_exact(bytes);
        }
        if client_disconnects_after == Some(poll) {
            // The data may be complete although the end was not read.
            return length == Some(bytes);
        }
        before_poll();
        match poll_frame(body) {
            Poll::Pending => {}
            Poll::Ready(None) => return is_exact(bytes),
            Poll::Ready(Some(Err(_))) => return false,
            Poll::Ready(Some(Ok(frame))) => {
                bytes += frame.data_ref().map_or(0, bytes::Bytes::len) as u64;
                if frame.is_trailers() || body.is_end_stream() {
                    return is_exact(bytes);
                }
            }
        }
    }
    unreachable!("a script ends")
}
