//! What a client claims does not decide how its request is seen, and nor does what a user's
//! classification makes of it how long or empty a string may be.

use http::{HeaderValue, Method, Request, Response};
use opentelemetry::trace::Status;
use tower::Service;
use tower_api_span::{Aborted, Outcome};

use crate::support::body::ScriptedBody;
use crate::support::body::Step::{Data, Trailers};
use crate::support::recorder::{Recorder, Seen};
use crate::support::{answering, get, grpc, handle_of, poll_frame, read, ready, response};

fn answered(request: Request<()>, answer: Response<ScriptedBody>) -> Seen {
    let at = Recorder::new();
    let mut answer = Some(answer);
    let mut service = answering(&at.layer(), move |_| answer.take().expect("one request"));
    let mut body = ready(service.call(request))
        .expect("a response")
        .into_body();
    read(&mut body).expect("bytes");
    drop(body);
    at.only()
}

fn claiming(method: Method) -> Request<()> {
    Request::builder()
        .method(method)
        .uri("/users/0@mail.example")
        .header("content-type", "application/grpc")
        .header("grpc-timeout", "1n")
        .body(())
        .expect("a request")
}

#[test]
fn a_content_type_claims_grpc_and_only_a_post_is_believed() {
    for method in [Method::GET, Method::PUT, Method::OPTIONS] {
        let span = answered(
            claiming(method.clone()),
            response(200, ScriptedBody::full(3)),
        );
        assert_eq!(span.0.name, method.as_str());
        assert_eq!(span.outcome(), "DEPARTED");
        assert_eq!(span.attribute("rpc.method"), None);
        assert_eq!(
            span.attribute("http.request.method").as_deref(),
            Some(method.as_str())
        );
    }
}

#[test]
fn a_post_claims_grpc_and_the_answer_decides_what_its_end_means() {
    for (status, outcome, error_type) in [
        (200, "DEPARTED", None),
        (404, "ABORTED(client_error)", None),
        (503, "ABORTED(exception)", Some("503")),
    ] {
        let answer = response(status, ScriptedBody::full(3));
        let span = answered(claiming(Method::POST), answer);
        assert_eq!(span.outcome(), outcome);
        assert_eq!(span.attribute("error.type").as_deref(), error_type);
        let code = span.attribute("http.response.status_code");
        assert_eq!(code, Some(status.to_string()));
        assert_eq!(span.attribute("rpc.status_code"), None);
    }
}

#[test]
fn a_post_claims_grpc_and_leaves_the_answer_of_http() {
    let at = Recorder::new();
    let mut service = answering(&at.layer(), |_| response(200, ScriptedBody::new([Data(3)])));
    drop(ready(service.call(claiming(Method::POST))));
    assert_eq!(at.only().outcome(), "ABORTED(generator_exit)");
}

#[test]
fn a_grpc_message_owes_its_trailers_whatever_its_length() {
    let at = Recorder::new();
    let mut service = answering(&at.layer(), |_| {
        let body = ScriptedBody::new([Data(5), Trailers(&[("grpc-status", "0")])]).sized(5);
        let mut answer = response(200, body);
        let content_type = HeaderValue::from_static("application/grpc");
        answer.headers_mut().insert("content-type", content_type);
        answer
    });
    let mut body = ready(service.call(grpc())).expect("a response").into_body();
    assert!(poll_frame(&mut body).is_ready());
    drop(body);
    let span = at.only();
    assert_eq!(span.outcome(), "ABORTED(client_disconnect)");
    assert_eq!(*span.status(), Status::Unset);
    assert_eq!(
        span.attribute("rpc.status_code").as_deref(),
        Some("CANCELLED")
    );
}

#[test]
fn a_classification_gives_empty_and_endless_strings_and_they_are_bounded() {
    let at = Recorder::new();
    let layer = at.layer().classify(|_, _, _| {
        let endless = "x".repeat(1_000_000);
        Outcome::Aborted(Aborted::new("").with_error_type("").with_message(endless))
    });
    let mut service = answering(&layer, |_| response(200, ScriptedBody::full(0)));
    drop(ready(service.call(get())));
    let span = at.only();
    assert_eq!(span.outcome(), "ABORTED(exception)");
    assert_eq!(span.attribute("error.type").as_deref(), Some("_OTHER"));
    assert_eq!(span.error().map(|error| error.len()), Some(1_024));
    assert_eq!(*span.status(), Status::error("x".repeat(1_024)));
}

#[test]
fn a_disconnect_is_tolerated_only_where_a_client_has_left() {
    let at = Recorder::new();
    let mut service = answering(&at.layer().disconnect_is_error(false), |request| {
        let handle = handle_of(&request);
        handle.allow_disconnect();
        handle.abort("client_disconnect", "upstream's, which is an error");
        response(200, ScriptedBody::full(0))
    });
    drop(ready(service.call(get())));
    let span = at.only();
    assert_eq!(span.outcome(), "ABORTED(client_disconnect)");
    assert_eq!(
        span.attribute("error.type").as_deref(),
        Some("client_disconnect")
    );
}
