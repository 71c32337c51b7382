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

/// The message was whole with its head. What goes beyond the declared length came later.
#[test]
fn last_line_behind_the_declared_length_is_timed_when_it_was_returned() {
    let answer = Answer {
        status: 200,
        content_length: Some("0".to_owned()),
        transfer_encoding: false,
        content_type: Some("text/event-stream"),
        content_encoding: None,
        grpc_status: None,
        steps: vec![Step::Slice(0, 7)],
        text: Bytes::from_static(b"data: x"),
        end_stream: Says::Truth,
        size: None,
    };
    let client_leaves = HandlerCall::ReadRequest(RequestFrame::Error(0, true));
    let span = play(Script {
        is_llm: true,
        method: Method::GET,
        version: Version::HTTP_11,
        protocol: "application/json",
        length: None,
        timeout: None,
        pending: 0,
        service: Inner::Answers(answer),
        acts: vec![
            Act::Poll,
            Act::Call(client_leaves, Thread::This),
            Act::PollCalling(HandlerCall::AddEvent("handler's")),
        ],
        destructor: None,
    });
    let before = span.events().into_iter().take(2).collect::<Vec<_>>();
    assert_eq!(before, ["api.ARRIVED", "handler's"]);
}
