//! What the callback reads.

use std::time::Duration;

use http::{Method, Request, StatusCode, Version};
use opentelemetry::{KeyValue, Value};
use tower::Service as _;
use tower_api_span::{ApiSpanLayer, Completion, GrpcCode, Protocol};

use super::Completions;
use crate::support::body::ScriptedBody;
use crate::support::body::Step::{Bytes, Data, Trailers};
use crate::support::recorder::Recorder;
use crate::support::{answering, get, grpc, handle_of, read, ready, response};

/// Returns what a layer says of a request that was answered with this body.
fn completion_of(
    layer: impl FnOnce(ApiSpanLayer) -> ApiSpanLayer,
    request: Request<()>,
    mut handler: impl FnMut(&Request<()>) -> http::Response<ScriptedBody>,
) -> Completion {
    let (at, completions) = (Recorder::new(), Completions::default());
    let layer = layer(completions.of(at.layer()));
    let mut service = answering(&layer, move |request: Request<()>| handler(&request));
    let response = ready(service.call(request)).expect("a response");
    read(&mut response.into_body()).expect("bytes");
    let completion = completions.only();
    let span = at.only();
    assert_eq!(completion.span_id(), span.0.span_context.span_id());
    let to_head = completion.time_to_head().map(|time| time.as_secs_f64());
    assert_eq!(to_head.map(Value::from), span.value("api.time_to_head"));
    completion
}

#[test]
fn the_request_the_response_and_the_times_are_read() {
    let request = Request::builder()
        .method(Method::PUT)
        .version(Version::HTTP_2)
        .uri("http://localhost/users/7?all=1")
        .body(())
        .expect("a request");
    let completion = completion_of(
        |layer| layer.body_sizes(true).route_fn(|_| Some("/users/{id}")),
        request,
        |_| response(201, ScriptedBody::new([Data(3), Data(2)])),
    );
    assert_eq!(completion.method(), Method::PUT);
    assert_eq!(completion.path(), Some("/users/7"));
    assert_eq!(completion.route(), Some("/users/{id}"));
    assert_eq!(completion.version(), Version::HTTP_2);
    assert_eq!(completion.protocol(), Protocol::Http);
    assert_eq!(completion.status(), Some(StatusCode::CREATED));
    assert_eq!(completion.response_bytes(), Some(5));
    let times = [
        Some(Duration::ZERO),
        completion.time_to_head(),
        completion.time_to_first_byte(),
        Some(completion.duration()),
    ];
    assert!(
        times.is_sorted() && times.iter().all(Option::is_some),
        "{times:?}"
    );
}

#[test]
fn attributes_of_the_handler_and_of_the_answer_are_read() {
    const ANSWER: &str = concat!(
        r#"data: {"id":"c-1","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"content":"a"}}]}"#,
        "\n\n",
        r#"data: {"object":"chat.completion.chunk","choices":[],"usage":{"prompt_tokens":5,"completion_tokens":7}}"#,
        "\n\ndata: [DONE]\n\n",
    );
    let (at, completions) = (Recorder::new(), Completions::default());
    let layer = completions.of(ApiSpanLayer::llm().tracer_provider(&at.provider));
    let mut service = answering(&layer, |request: Request<()>| {
        handle_of(&request).set_attribute(KeyValue::new("test.tenant", "acme"));
        let mut response = response(200, ScriptedBody::new([Bytes(ANSWER.as_bytes())]));
        let stream = http::HeaderValue::from_static("text/event-stream");
        response.headers_mut().insert("content-type", stream);
        response
    });
    let response = ready(service.call(get())).expect("a response");
    read(&mut response.into_body()).expect("bytes");
    let completion = completions.only();
    for (key, value) in [
        ("test.tenant", Value::from("acme")),
        ("gen_ai.usage.input_tokens", Value::from(5)),
        ("gen_ai.usage.output_tokens", Value::from(7)),
        ("gen_ai.response.model", Value::from("m")),
    ] {
        assert_eq!(completion.attribute(key), Some(&value), "{key}");
        assert_eq!(at.only().value(key), Some(value), "{key} on the span");
    }
    assert_eq!(completion.attribute("api.outcome"), None);
    assert!(completion.is_stream());
    let to_token = completion.time_to_first_token().expect("a token");
    assert!(to_token > Duration::ZERO && to_token >= completion.time_to_head().expect("a head"));
}

#[test]
fn the_status_of_a_call_is_read() {
    let completion = completion_of(
        |layer| layer,
        grpc(),
        |_| {
            let mut response =
                response(200, ScriptedBody::new([Trailers(&[("grpc-status", "5")])]));
            let grpc = http::HeaderValue::from_static("application/grpc");
            response.headers_mut().insert("content-type", grpc);
            response
        },
    );
    let status = completion.grpc_status().expect("a status");
    assert_eq!(status.code, GrpcCode::NOT_FOUND);
    assert!(!completion.is_stream());
    assert_eq!(completion.request_bytes(), None);
}

#[test]
fn the_classification_reads_attributes() {
    let completion = completion_of(
        |layer| {
            layer.classify(|completion| match completion.attribute("test.cached") {
                Some(Value::Bool(true)) => tower_api_span::Outcome::Departed,
                _ => tower_api_span::classify(completion),
            })
        },
        get(),
        |request| {
            handle_of(request).set_attribute(KeyValue::new("test.cached", true));
            response(500, ScriptedBody::full(3))
        },
    );
    assert_eq!(super::shown(&completion), "DEPARTED");
}
