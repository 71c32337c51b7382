//! Readers that behave as servers do, and know without the model whether they were served whole.
//!
//! An HTTP/1 server stops reading where the declared length is reached and drops the body; an
//! HTTP/2 server reads on to the end. Both skip what `is_end_stream` tells them to.

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
use super::scripts::answers;
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
    fn whole_is_never_given_up_and_what_is_not_whole_never_departs(
        answer in answers(),
        server in prop_oneof![Just(Server::Http1), Just(Server::Http2)],
        client_leaves_after in proptest::option::of(0..8_usize),
    ) {
        serve(answer, server, client_leaves_after);
    }
}

fn serve(answer: Answer, server: Server, client_leaves_after: Option<usize>) {
    let at = Recorder::new();
    let mut service = at.layer().layer(service_fn(move |_| {
        let answer = answer.clone();
        async move { Ok::<_, std::convert::Infallible>(answer.response(answer.body())) }
    }));
    let response = ready(service.call(get())).expect("a response");
    // How many spans had ended before the last poll.
    let before_poll = Cell::new(0);
    let is_whole = catch_unwind(AssertUnwindSafe(|| {
        let (parts, mut body) = response.into_parts();
        let has_no_body = [101, 204, 304].contains(&parts.status.as_u16());
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
        let polled = || before_poll.set(at.ends());
        let read = read_as(server, &mut body, length, client_leaves_after, polled);
        has_no_body || read
    }))
    // A panic on the way is neither whole nor given up.
    .ok();

    let outcome = at.only().outcome();
    match is_whole {
        Some(true) => {
            let given_up = [
                "ABORTED(client_disconnect)",
                "ABORTED(generator_exit)",
                "ABORTED(length_mismatch)",
                "ABORTED(panic)",
            ];
            assert!(
                !given_up.contains(&outcome.as_str()),
                "handed on whole, but {outcome}"
            );
        }
        Some(false) => assert_ne!(outcome, "DEPARTED", "not handed on whole"),
        // Unless the body had said that it is over, and was polled all the same.
        None => assert!(
            outcome == "ABORTED(panic)" || before_poll.get() == 1,
            "the body panics, but {outcome}"
        ),
    }
}

/// Reads as this server does; true if it was given all that it wanted, no more and no less.
fn read_as(
    server: Server,
    body: &mut ResponseBody<ScriptedBody>,
    length: Option<u64>,
    client_leaves_after: Option<usize>,
    polled: impl Fn(),
) -> bool {
    let mut bytes = 0;
    let is_all = |bytes: u64| length.is_none_or(|length| length == bytes);
    if body.is_end_stream() {
        return is_all(0);
    }
    for poll in 0.. {
        let stops_at_length = server == Server::Http1;
        if stops_at_length && length.is_some_and(|length| bytes >= length) {
            return is_all(bytes);
        }
        if client_leaves_after == Some(poll) {
            // All of it may have been there already, and only its end not yet seen.
            return length == Some(bytes);
        }
        polled();
        match poll_frame(body) {
            Poll::Pending => {}
            Poll::Ready(None) => return is_all(bytes),
            Poll::Ready(Some(Err(_))) => return false,
            Poll::Ready(Some(Ok(frame))) => {
                bytes += frame.data_ref().map_or(0, bytes::Bytes::len) as u64;
                if frame.is_trailers() || body.is_end_stream() {
                    return is_all(bytes);
                }
            }
        }
    }
    unreachable!("a script ends")
}
