//! Failures that properties have found, as scripts. A seed would produce another script once the
//! strategies change.

use bytes::Bytes;
use http::{Method, Version};

use super::oracle::{HandlerCall, RequestFrame};
use super::script::{Act, Answer, Inner, Script, Thread};
use super::single_request::play;
use crate::support::body::{Says, Step};

#[test]
fn plain_response_to_grpc_request_dropped_after_the_deadline_is_generator_exit() {
    let answer = Answer {
        status: 200,
        content_length: None,
        transfer_encoding: false,
        content_type: None,
        content_encoding: None,
        grpc_status: None,
        steps: vec![Step::Data(1)],
        text: Bytes::new(),
        end_stream: Says::Truth,
        size: None,
    };
    let span = play(Script {
        is_llm: false,
        method: Method::POST,
        version: Version::HTTP_11,
        protocol: "application/grpc",
        length: None,
        timeout: Some("1n"),
        pending: 0,
        service: Inner::Answers(answer),
        acts: vec![Act::Poll],
        destructor: None,
    });
    assert_eq!(span.outcome(), "ABORTED(generator_exit)");
    assert_eq!(span.attribute("rpc.status_code"), None);
}

/// Declares less than the body has, and ends with a line without its end.
fn stream_beyond_its_length(length: &str, steps: Vec<Step>) -> Inner {
    Inner::Answers(Answer {
        status: 200,
        content_length: Some(length.to_owned()),
        transfer_encoding: false,
        content_type: Some("text/event-stream"),
        content_encoding: None,
        grpc_status: None,
        steps,
        text: Bytes::from_static(b"data: x"),
        end_stream: Says::Truth,
        size: None,
    })
}

fn get_stream(service: Inner, acts: Vec<Act>) -> Vec<String> {
    let span = play(Script {
        is_llm: true,
        method: Method::GET,
        version: Version::HTTP_11,
        protocol: "application/json",
        length: None,
        timeout: None,
        pending: 0,
        service,
        acts,
        destructor: None,
    });
    span.events().into_iter().take(3).collect()
}

/// The message is whole with its head or a frame. What goes beyond the declared length comes later.
#[test]
fn last_line_beyond_the_declared_length_is_timed_when_it_was_returned() {
    const CLIENT_LEAVES: HandlerCall = HandlerCall::ReadRequest(RequestFrame::Error(0, true));
    const EVENT: HandlerCall = HandlerCall::AddEvent("handler's");
    let leave = || Act::Call(CLIENT_LEAVES, Thread::This);
    let add = || Act::Call(EVENT, Thread::This);
    let (before, after) = (
        ["api.ARRIVED", "handler's", "api.FIRST_RESPONSE_FROM_CORE"],
        ["api.ARRIVED", "api.FIRST_RESPONSE_FROM_CORE", "handler's"],
    );
    let whole = || vec![Step::Slice(0, 7)];
    let ends_later = || vec![Step::Slice(0, 7), Step::Pending, Step::Bytes(b"")];
    for (length, steps, acts, expected) in [
        (
            "0",
            whole(),
            vec![Act::Poll, leave(), add(), Act::Poll],
            before,
        ),
        (
            "0",
            ends_later(),
            vec![Act::Poll, Act::Poll, add(), Act::Drop],
            after,
        ),
        (
            "7",
            ends_later(),
            vec![Act::Poll, leave(), Act::Poll, add(), Act::Drop],
            after,
        ),
        (
            "8",
            ends_later(),
            vec![Act::Poll, Act::Poll, add(), Act::Poll, Act::Poll, Act::Poll],
            before,
        ),
    ] {
        let case = format!("{length} {steps:?} {acts:?}");
        let events = get_stream(stream_beyond_its_length(length, steps), acts);
        assert_eq!(events, expected, "{case}");
    }
}
