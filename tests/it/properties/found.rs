//! What a property once found, as a script that is played each time: a seed would mean another script
//! as soon as more is made up.

use bytes::Bytes;
use http::Method;

use super::core::play;
use super::script::{Act, Answer, Inner, Script};
use crate::support::body::{Says, Step};

/// The request claims to be one of gRPC, the response is not.
#[test]
fn a_client_that_leaves_a_response_which_is_not_of_grpc_has_left_no_deadline_behind() {
    let answer = Answer {
        status: 200,
        content_length: None,
        transfer_encoding: false,
        content_type: None,
        content_encoding: None,
        grpc_status: None,
        steps: vec![Step::Data(1)],
        text: Bytes::new(),
        says: Says::Truth,
        size: None,
    };
    let span = play(Script {
        is_llm: false,
        method: Method::POST,
        protocol: "application/grpc",
        timeout: Some("1n"),
        pending: 0,
        service: Inner::Answers(answer),
        acts: vec![Act::Poll],
        destructor: None,
    });
    assert_eq!(span.outcome(), "ABORTED(generator_exit)");
    assert_eq!(span.attribute("rpc.status_code"), None);
}
