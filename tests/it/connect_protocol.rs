//! Calls of the Connect protocol are plain HTTP: a unary error is its HTTP status, and an error at the end of a
//! stream is in a message that the layer does not read.

use http::{HeaderValue, Request};
use tower::Service as _;

use crate::support::body::ScriptedBody;
use crate::support::body::Step::{Bytes, Pending};
use crate::support::recorder::Recorder;
use crate::support::{answering, handle_of, read, ready, response};

/// A message of a stream: flags, length and JSON.
const MESSAGE: &[u8] = b"\x00\0\0\0\x02{}";
/// The `EndStreamResponse`, without and with an error.
const END: &[u8] = b"\x02\0\0\0\x02{}";
const END_WITH_ERROR: &[u8] = b"\x02\0\0\0\x1e{\"error\":{\"code\":\"internal\"}}";

struct Case {
    rule: &'static str,
    content_type: &'static str,
    status: u16,
    body: &'static [&'static [u8]],
    /// The error that the handler reports with `mark_aborted`.
    reported: Option<&'static str>,
    outcome: &'static str,
    error_type: Option<&'static str>,
}

#[rustfmt::skip]
const CASES: &[Case] = &[
    Case { rule: "unary", content_type: "application/proto", status: 200, body: &[b"{}"],
        reported: None, outcome: "DEPARTED", error_type: None },
    Case { rule: "unary, invalid_argument", content_type: "application/json", status: 400, body: &[b"{\"code\":\"invalid_argument\"}"],
        reported: None, outcome: "ABORTED(validation_error)", error_type: None },
    Case { rule: "unary, internal", content_type: "application/json", status: 500, body: &[b"{\"code\":\"internal\"}"],
        reported: None, outcome: "ABORTED(exception)", error_type: Some("500") },
    Case { rule: "stream", content_type: "application/connect+json", status: 200, body: &[MESSAGE, END],
        reported: None, outcome: "DEPARTED", error_type: None },
    Case { rule: "stream with an error at its end", content_type: "application/connect+json", status: 200, body: &[MESSAGE, END_WITH_ERROR],
        reported: None, outcome: "DEPARTED", error_type: None },
    Case { rule: "stream with an error that the handler reports", content_type: "application/connect+json", status: 200, body: &[MESSAGE, END_WITH_ERROR],
        reported: Some("internal"), outcome: "ABORTED(internal)", error_type: Some("internal") },
];

#[test]
fn connect_calls_are_recorded_as_http() {
    for case in CASES {
        let recorder = Recorder::new();
        let mut service = answering(&recorder.layer(), |request| {
            if let Some(reason) = case.reported {
                handle_of(&request).mark_aborted(reason, "out of memory");
            }
            let mut steps: Vec<_> = case.body.iter().map(|bytes| Bytes(bytes)).collect();
            steps.insert(0, Pending);
            let mut response = response(case.status, ScriptedBody::new(steps));
            let content_type = HeaderValue::from_static(case.content_type);
            response.headers_mut().insert("content-type", content_type);
            response
        });
        let request = Request::post("/pkg.Service/Method")
            .header("content-type", case.content_type)
            .header("connect-protocol-version", "1")
            .body(())
            .expect("a request");
        let response = ready(service.call(request)).expect("a response");
        read(&mut response.into_body()).expect("frames");
        let span = recorder.only();
        assert_eq!(span.outcome(), case.outcome, "{}", case.rule);
        let error_type = span.attribute("error.type");
        assert_eq!(error_type.as_deref(), case.error_type, "{}", case.rule);
        let method = span.attribute("http.request.method");
        assert_eq!(method.as_deref(), Some("POST"), "{}", case.rule);
        assert_eq!(span.attribute("rpc.system.name"), None, "{}", case.rule);
    }
}
