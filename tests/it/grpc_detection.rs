//! Which requests are described as gRPC: the content type of the request is a claim of the client, and
//! the response confirms or refutes it.

use http::{HeaderValue, Method, Request, Response};
use opentelemetry::trace::Status;
use tower::Service;

use crate::support::body::ScriptedBody;
use crate::support::body::Step::{Data, Trailers};
use crate::support::recorder::{Recorder, Seen};
use crate::support::{answering, grpc, poll_frame, read, ready, response};

/// Returns the span of `request`, answered with `answer` and read to its end.
fn serve(request: Request<()>, answer: Response<ScriptedBody>) -> Seen {
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

fn request_with_grpc_content_type(method: Method) -> Request<()> {
    Request::builder()
        .method(method)
        .uri("/users/0@mail.example")
        .header("content-type", "application/grpc")
        .header("grpc-timeout", "1n")
        .body(())
        .expect("a request")
}

#[test]
fn grpc_content_type_on_a_method_other_than_post_is_described_as_http() {
    for method in [Method::GET, Method::PUT, Method::OPTIONS] {
        let span = serve(
            request_with_grpc_content_type(method.clone()),
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
fn grpc_content_type_answered_in_http_is_classified_by_the_http_status() {
    for (status, content_type, outcome, error_type) in [
        (200, None, "DEPARTED", None),
        (200, Some("text/html"), "DEPARTED", None),
        (404, None, "ABORTED(client_error)", None),
        (503, None, "ABORTED(exception)", Some("503")),
        (
            503,
            Some("application/grpcfoo"),
            "ABORTED(exception)",
            Some("503"),
        ),
    ] {
        let mut answer = response(status, ScriptedBody::full(3));
        if let Some(content_type) = content_type.map(HeaderValue::from_static) {
            answer.headers_mut().insert("content-type", content_type);
        }
        let span = serve(request_with_grpc_content_type(Method::POST), answer);
        assert_eq!(span.outcome(), outcome, "{content_type:?}");
        assert_eq!(span.attribute("error.type").as_deref(), error_type);
        let code = span.attribute("http.response.status_code");
        assert_eq!(code, Some(status.to_string()));
        assert_eq!(span.attribute("rpc.status_code"), None);
    }
}

#[test]
fn grpc_content_type_answered_in_http_and_unread_is_generator_exit() {
    let at = Recorder::new();
    let mut service = answering(&at.layer(), |_| response(200, ScriptedBody::new([Data(3)])));
    drop(ready(
        service.call(request_with_grpc_content_type(Method::POST)),
    ));
    assert_eq!(at.only().outcome(), "ABORTED(generator_exit)");
}

/// The body has the exact size that it announced, and its trailers are still missing.
#[test]
fn grpc_body_dropped_before_its_trailers_is_client_disconnect() {
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
