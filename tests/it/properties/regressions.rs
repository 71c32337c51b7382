//! Failures that properties have found, as scripts. A seed would produce another script once the
//! strategies change.

use bytes::Bytes;
use http::{Method, Version};

use super::script::{Act, Answer, Inner, Script};
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
