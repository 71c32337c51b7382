//! What is told beside the ordinary attributes, and what is kept out of them.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Body as AxumBody;
use axum::routing::{any, get as getting, post};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, HeaderName};
use http::{HeaderMap, HeaderValue, Method, Request};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use opentelemetry::{Array, KeyValue, Value};
use opentelemetry_sdk::trace::Sampler;
use serde_json::{Value as Json, json};
use tower::{Layer as _, Service as _, ServiceBuilder, service_fn};
use tower_api_span::{ApiSpanLayer, CountRequestBodyLayer, CountedBody, SpanHandle};

use super::{Asked, CHECK, LOCALHOST, Wire, ask_http2, call, http2, run, run_tonic, serve};
use crate::support::body::Step::{Data, Error, Pending, Trailers};
use crate::support::body::{Says, ScriptedBody, header_map};
use crate::support::recorder::{Recorder, Seen};
use crate::support::{answering, get, grpc, handle_of, poll_frame, read, ready, response};

const X_A: HeaderName = HeaderName::from_static("x-a");
const X_B: HeaderName = HeaderName::from_static("x-b");

/// Serves one request that is answered with these headers and steps.
fn answered(
    layer: &ApiSpanLayer,
    request: Request<()>,
    headers: &HeaderMap,
    steps: &[crate::support::body::Step],
) {
    let mut service = answering(layer, |_| {
        let mut answer = response(200, ScriptedBody::new(steps.to_vec()));
        answer.headers_mut().extend(headers.clone());
        answer
    });
    let mut body = ready(service.call(request))
        .expect("a response")
        .into_body();
    read(&mut body).expect("bytes");
}

/// The values under a key, which is a list of strings.
fn list(span: &Seen, key: &str) -> Vec<String> {
    match span.value(key) {
        None => Vec::new(),
        Some(Value::Array(Array::String(values))) => {
            values.iter().map(ToString::to_string).collect()
        }
        Some(other) => panic!("{key} is {other:?}"),
    }
}

fn with(mut request: Request<()>, headers: &[(&'static str, &'static str)]) -> Request<()> {
    request.headers_mut().extend(header_map(headers));
    request
}

// === Headers ===

#[test]
fn headers_that_are_asked_for_are_lists_and_no_others_are_told() {
    let sent = &[
        ("x-a", "1"),
        ("x-a", "2, 3"),
        ("x-b", ""),
        ("x-c", "not asked for"),
        ("authorization", "Bearer secret"),
        ("cookie", "session=secret"),
    ];
    let (at, asked) = Asked::recorder();
    let names = [X_A, X_B, AUTHORIZATION, COOKIE];
    let layer = at
        .layer()
        .capture_request_headers(names.clone())
        .capture_response_headers(names);
    answered(&layer, with(get(), sent), &header_map(sent), &[Data(3)]);
    let span = at.only();
    for side in ["request", "response"] {
        let of = |name: &str| list(&span, &format!("http.{side}.header.{name}"));
        assert_eq!(of("x-a"), ["1", "2, 3"], "{side}");
        assert_eq!(of("x-b"), [""; 0], "{side}");
        assert_eq!(of("x-c"), [""; 0], "{side}");
        assert_eq!(of("authorization"), ["REDACTED"], "{side}");
        assert_eq!(of("cookie"), ["REDACTED"], "{side}");
    }
    let seen = asked.attribute("http.request.header.x-a");
    assert_eq!(seen.as_deref(), Some("[\"1\",\"2, 3\"]"));
    assert!(!format!("{span:?}").contains("secret"));
}

#[test]
fn nothing_is_captured_by_default() {
    let sent = &[("x-a", "1"), ("authorization", "Bearer secret")];
    let at = Recorder::new();
    answered(&at.layer(), with(get(), sent), &header_map(sent), &[]);
    let span = at.only();
    for kv in &span.0.attributes {
        assert!(!kv.key.as_str().contains(".header."), "{}", kv.key);
    }
}

#[test]
fn headers_of_calls_are_told_as_those_of_rpc_and_trailers_with_them() {
    let at = Recorder::new();
    let layer = at
        .layer()
        .capture_request_headers([X_A])
        .capture_response_headers([X_A, X_B]);
    let trailers = Trailers(&[("grpc-status", "0"), ("x-b", "last"), ("x-b", "twice")]);
    let head = header_map(&[("content-type", "application/grpc"), ("x-a", "head")]);
    let request = with(grpc(), &[("x-a", "sent")]);
    answered(&layer, request, &head, &[Data(5), trailers]);
    let span = at.only();
    assert_eq!(list(&span, "rpc.request.header.x-a"), ["sent"]);
    assert_eq!(list(&span, "rpc.response.header.x-a"), ["head"]);
    assert_eq!(list(&span, "rpc.response.trailer.x-b"), ["last", "twice"]);
    for absent in [
        "http.request.header.x-a",
        "http.response.header.x-a",
        "rpc.response.header.x-b",
        "rpc.response.trailer.x-a",
    ] {
        assert_eq!(span.value(absent), None, "{absent}");
    }
}

#[test]
fn trailers_of_http_are_not_told() {
    let at = Recorder::new();
    let layer = at.layer().capture_response_headers([X_B]);
    let trailers = Trailers(&[("x-b", "last")]);
    answered(&layer, get(), &HeaderMap::new(), &[Data(5), trailers]);
    assert!(!format!("{:?}", at.only().0.attributes).contains("last"));
}

#[tokio::test]
async fn tonic_is_asked_and_its_headers_are_told() {
    let at = Recorder::new();
    let layer = at
        .layer()
        .capture_request_headers([CONTENT_TYPE])
        .capture_response_headers([CONTENT_TYPE, HeaderName::from_static("grpc-status")]);
    let address = run_tonic(&layer).await;
    let (mut sender, _) = http2(address).await;
    ask_http2(&mut sender, call(address, CHECK)).await;
    at.all_ended().await;
    let span = at.only();
    let content_type = ["application/grpc"];
    assert_eq!(list(&span, "rpc.request.header.content-type"), content_type);
    assert_eq!(
        list(&span, "rpc.response.header.content-type"),
        content_type
    );
    assert_eq!(list(&span, "rpc.response.trailer.grpc-status"), ["0"]);
}

#[test]
fn sensitive_headers_are_those_that_are_given_and_those_that_are_marked() {
    let at = Recorder::new();
    let names = [X_A, X_B, AUTHORIZATION];
    let layer = at
        .layer()
        .capture_request_headers(names.clone())
        .capture_response_headers(names)
        .sensitive_headers([X_A]);
    let sent = &[("x-a", "secret"), ("authorization", "Bearer known")];
    let mut marked = HeaderValue::from_static("secret");
    marked.set_sensitive(true);
    let mut headers = header_map(sent);
    headers.insert(X_B, marked);
    let mut request = get();
    *request.headers_mut() = headers.clone();
    answered(&layer, request, &headers, &[]);
    let span = at.only();
    for side in ["request", "response"] {
        let of = |name: &str| list(&span, &format!("http.{side}.header.{name}"));
        assert_eq!(of("x-a"), ["REDACTED"], "{side}");
        assert_eq!(of("x-b"), ["REDACTED"], "{side}");
        assert_eq!(of("authorization"), ["Bearer known"], "{side}");
    }
}

#[test]
fn header_values_are_cut_and_so_is_their_number() {
    let at = Recorder::new();
    let names = [X_A];
    let layer = at
        .layer()
        .capture_request_headers(names.clone())
        .capture_response_headers(names);
    let mut headers = HeaderMap::new();
    for n in 0..100 {
        let value = format!("{n:03}{}", "v".repeat(5_000));
        headers.append(X_A, value.parse().expect("a value"));
    }
    let mut request = get();
    *request.headers_mut() = headers.clone();
    answered(&layer, request, &headers, &[]);
    let span = at.only();
    for key in ["http.request.header.x-a", "http.response.header.x-a"] {
        let values = list(&span, key);
        assert_eq!(values.len(), 32, "{key}");
        assert!(values.iter().all(|value| value.len() == 1_024), "{key}");
        assert!(values[31].starts_with("031"), "{key}");
    }
}

// === The query ===

#[test]
fn sensitive_parameters_are_the_conventions_or_those_that_are_given() {
    for (rule, given, query, expected) in [
        (
            "by default",
            None,
            "a=1&sig=s&X-Goog-Signature=s",
            "a=1&sig=REDACTED&X-Goog-Signature=REDACTED",
        ),
        (
            "given, and no others",
            Some(&["token"][..]),
            "token=s&sig=told",
            "token=REDACTED&sig=told",
        ),
        ("none", Some(&[]), "sig=told", "sig=told"),
        ("in percent", None, "%73ig=s", "%73ig=REDACTED"),
        ("case matters", None, "SIG=told", "SIG=told"),
    ] {
        let (at, asked) = Asked::recorder();
        let layer = match given {
            Some(given) => at.layer().sensitive_query_parameters(given.iter().copied()),
            None => at.layer(),
        };
        let request = Request::get(format!("/?{query}")).body(());
        serve(&layer, request.expect("a request"), |_| {});
        let told = at.only().attribute("url.query");
        assert_eq!(told.as_deref(), Some(expected), "{rule}");
        assert_eq!(asked.attribute("url.query"), told, "{rule}");
    }
}

// === Sizes of bodies ===

/// Sizes of request and response.
fn sizes(span: &Seen) -> [Option<i64>; 2] {
    ["http.request.body.size", "http.response.body.size"].map(|key| match span.value(key)? {
        Value::I64(size) => Some(size),
        other => panic!("{key} is {other:?}"),
    })
}

#[test]
fn the_size_of_a_response_is_what_was_handed_on() {
    let stream = [Data(5), Pending, Data(7), Data(0)];
    let get = &Method::GET;
    for (rule, method, status, steps, polls, expected) in [
        ("frame by frame", get, 200, &stream[..], 9, Some(12)),
        ("nothing", get, 200, &[], 9, Some(0)),
        ("aborted midway", get, 200, &stream, 1, Some(5)),
        (
            "aborted before the first frame",
            get,
            200,
            &stream,
            0,
            Some(0),
        ),
        ("broken off", get, 200, &[Data(5), Error], 9, Some(5)),
        (
            "trailers are no body",
            get,
            200,
            &[Data(5), Trailers(&[("a", "b")])],
            9,
            Some(5),
        ),
        ("HEAD", &Method::HEAD, 200, &stream, 0, Some(0)),
        ("204", get, 204, &stream, 0, Some(0)),
        ("304", get, 304, &stream, 0, Some(0)),
        (
            "an error has a body like any other",
            get,
            500,
            &[Data(4)],
            9,
            Some(4),
        ),
    ] {
        for is_asked in [true, false] {
            let at = Recorder::new();
            let mut service = answering(&at.layer().body_sizes(is_asked), |_| {
                response(status, ScriptedBody::new(steps.to_vec()))
            });
            let request = Request::builder().method(method).body(());
            let answer = ready(service.call(request.expect("a request")));
            let mut body = answer.expect("a response").into_body();
            for _ in 0..polls {
                let _ = poll_frame(&mut body);
            }
            drop(body);
            let expected = [None, expected.filter(|_| is_asked)];
            assert_eq!(sizes(&at.only()), expected, "{rule}");
        }
    }
}

#[test]
fn there_is_no_response_and_no_size_of_it() {
    let at = Recorder::new();
    let layer = at.layer().body_sizes(true);
    let mut service =
        ServiceBuilder::new()
            .layer(layer)
            .service(service_fn(async |_: Request<()>| {
                Err::<http::Response<ScriptedBody>, _>("no response")
            }));
    assert!(ready(service.call(get())).is_err());
    assert_eq!(sizes(&at.only()), [None, None]);
}

#[test]
fn calls_have_no_sizes() {
    let at = Recorder::new();
    let layer = at.layer().body_sizes(true);
    let request = with(grpc(), &[("content-length", "5")]);
    let head = header_map(&[("content-type", "application/grpc")]);
    let steps = [Data(5), Trailers(&[("grpc-status", "0")])];
    answered(&layer, request, &head, &steps);
    assert_eq!(sizes(&at.only()), [None, None]);
}

/// An application with all that axum does to request bodies, and what they come to.
fn readers() -> Router {
    Router::new()
        .route("/bytes", post(async |body: Bytes| body.len().to_string()))
        .route("/text", post(async |body: String| body))
        .route(
            "/json",
            post(async |axum::Json(body): axum::Json<Json>| axum::Json(json!({ "got": body }))),
        )
        .route("/unread", post(async || "unread"))
        .route(
            "/half",
            post(async |request: axum::extract::Request| {
                let mut body = request.into_body();
                let mut read = 0;
                while read < 5 {
                    let frame = body.frame().await.expect("a frame").expect("bytes");
                    read += frame.into_data().expect("data").len();
                }
                read.to_string()
            }),
        )
        .route(
            "/whole",
            any(async |request: axum::extract::Request| {
                let body = request.into_body().collect().await.expect("a body");
                body.to_bytes().len().to_string()
            }),
        )
}

#[tokio::test]
async fn the_size_of_a_request_is_what_was_read_if_it_is_counted_and_else_its_length() {
    let json = "Content-Type: application/json\r\n";
    let chunked = "Transfer-Encoding: chunked\r\n";
    for (rule, path, head, body, answer, counted, declared) in [
        (
            "read whole",
            "/bytes",
            "",
            "0123456789",
            "10",
            Some(10),
            Some(10),
        ),
        (
            "a text",
            "/text",
            "",
            "\u{fc}ber",
            "\u{fc}ber",
            Some(5),
            Some(5),
        ),
        (
            "JSON",
            "/json",
            json,
            "[1, 2]",
            "{\"got\":[1,2]}",
            Some(6),
            Some(6),
        ),
        (
            "not read",
            "/unread",
            "",
            "0123456789",
            "unread",
            Some(0),
            Some(10),
        ),
        ("empty", "/bytes", "", "", "0", Some(0), Some(0)),
        (
            "in chunks",
            "/whole",
            chunked,
            "5\r\n01234\r\n3\r\n567\r\n0\r\n\r\n",
            "8",
            Some(8),
            None,
        ),
    ] {
        for is_counted in [true, false] {
            let at = Recorder::new();
            let layer = at.layer().body_sizes(true);
            let app = if is_counted {
                readers().layer(CountRequestBodyLayer::new()).layer(layer)
            } else {
                readers().layer(layer)
            };
            let mut wire = Wire::connect(run(app, LOCALHOST).await).await;
            let length = if head == chunked {
                String::new()
            } else {
                format!("Content-Length: {}\r\n", body.len())
            };
            wire.send(format!(
                "POST {path} HTTP/1.1\r\nHost: h\r\n{head}{length}\r\n{body}"
            ))
            .await;
            let got = wire.answer(&Method::POST).await;
            assert_eq!(got.status(), "200", "{rule}");
            assert_eq!(String::from_utf8_lossy(&got.body), answer, "{rule}");
            at.all_ended().await;
            let answered = i64::try_from(answer.len()).expect("a short answer");
            let expected = if is_counted { counted } else { declared };
            let got = sizes(&at.only());
            assert_eq!(got, [expected, Some(answered)], "{rule}, {is_counted}");
        }
    }
}

#[tokio::test]
async fn of_a_request_that_is_read_by_half_the_half_is_counted() {
    let at = Recorder::new();
    let app = readers().layer(CountRequestBodyLayer::new());
    let app = app.layer(at.layer().body_sizes(true));
    let mut wire = Wire::connect(run(app, LOCALHOST).await).await;
    // The other half is never sent.
    wire.send("POST /half HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n01234")
        .await;
    assert_eq!(wire.answer(&Method::POST).await.body, b"5");
    at.all_ended().await;
    assert_eq!(sizes(&at.only()), [Some(5), Some(1)]);
}

#[test]
fn a_counted_body_says_of_itself_what_the_body_says() {
    let at = Recorder::new();
    let trailers = Trailers(&[("a", "b")]);
    let steps = [Data(3), Pending, Data(4), trailers.clone()];
    let mut service = ServiceBuilder::new()
        .layer(at.layer().body_sizes(true))
        .layer(CountRequestBodyLayer::new())
        .service(service_fn(
            async |request: Request<CountedBody<ScriptedBody>>| {
                let mut body = request.into_body();
                let mut bare =
                    ScriptedBody::new([Data(3), Pending, Data(4), Trailers(&[("a", "b")])])
                        .saying(Says::Truth)
                        .sized(7);
                for _ in 0..6 {
                    assert_eq!(body.size_hint().exact(), bare.size_hint().exact());
                    assert_eq!(body.is_end_stream(), bare.is_end_stream());
                    let (got, expected) = (poll_frame(&mut body), poll_frame(&mut bare));
                    assert_eq!(format!("{got:?}"), format!("{expected:?}"));
                }
                Ok::<_, Infallible>(response(204, ScriptedBody::full(0)))
            },
        ));
    let body = ScriptedBody::new(steps).saying(Says::Truth).sized(7);
    let request = Request::post("/").body(body).expect("a request");
    drop(ready(service.call(request)));
    assert_eq!(sizes(&at.only()), [Some(7), Some(0)]);
}

/// A retry inside of the layer, and around the one that counts.
#[test]
fn of_copies_of_a_request_the_one_that_was_read_furthest_is_counted() {
    for read_of_copies in [[0_usize, 2], [2, 0], [2, 1], [2, 2]] {
        let at = Recorder::new();
        // What is made of the body inside does not count for the same span.
        let inside = CountRequestBodyLayer::new().layer(service_fn(
            async |request: Request<CountedBody<ScriptedBody>>| {
                read(&mut request.into_body()).expect("bytes");
                Ok::<_, Infallible>(response(204, ScriptedBody::full(0)))
            },
        ));
        let counting = CountRequestBodyLayer::new().layer(service_fn(
            move |request: Request<CountedBody<ScriptedBody>>| {
                let frames: usize = *request.extensions().get().expect("a number");
                let (parts, mut body) = request.into_parts();
                for _ in 0..frames {
                    let _frame = poll_frame(&mut body);
                }
                let mut inside = inside.clone();
                inside.call(Request::from_parts(parts, ScriptedBody::full(100)))
            },
        ));
        let layer = at.layer().body_sizes(true);
        let mut service = layer.layer(service_fn(move |request: Request<()>| {
            let mut counting = counting.clone();
            async move {
                let mut answer = None;
                for frames in read_of_copies {
                    let mut copy = request
                        .clone()
                        .map(|()| ScriptedBody::new([Data(3), Data(4)]));
                    copy.extensions_mut().insert(frames);
                    answer = Some(counting.call(copy).await);
                }
                answer.expect("two of them")
            }
        }));
        drop(ready(service.call(get())));
        assert_eq!(sizes(&at.only()), [Some(7), Some(0)], "{read_of_copies:?}");
    }
}

#[test]
fn a_body_is_counted_without_a_layer_outside_and_nothing_comes_of_it() {
    let mut service = ServiceBuilder::new()
        .layer(CountRequestBodyLayer::new())
        .service(service_fn(
            async |request: Request<CountedBody<ScriptedBody>>| {
                let bytes = read(&mut request.into_body()).expect("bytes");
                Ok::<_, Infallible>(bytes.len())
            },
        ));
    let request = Request::new(ScriptedBody::full(9));
    assert_eq!(ready(service.call(request)), Ok(9));
}

// === Attributes of the operator's ===

#[test]
fn what_the_operator_says_of_a_request_stands_in_place_of_the_layers() {
    let (at, asked) = Asked::recorder();
    let layer = at.layer().request_attributes(|request| {
        let shown = request.uri.path().replace("ann", "…");
        [
            KeyValue::new("url.path", shown),
            KeyValue::new("url.path", "/twice"),
            KeyValue::new("url.query", "none of yours"),
            KeyValue::new("test.tenant", "blue"),
            KeyValue::new("test.empty", ""),
            KeyValue::new("test.long", "x".repeat(2_000)),
            KeyValue::new("error.type", "of the end"),
            KeyValue::new("api.outcome", "of the end"),
            KeyValue::new("http.response.status_code", 999),
        ]
    });
    let request = Request::get("/users/ann?key=secret").body(());
    serve(&layer, request.expect("a request"), |request| {
        // Nor can the handler say otherwise.
        let handle = handle_of(request);
        handle.set_attribute(KeyValue::new("url.path", "/handler"));
        handle.set_attribute(KeyValue::new("test.tenant", "green"));
    });
    let span = at.only();
    for (key, expected) in [
        ("url.path", Some("/users/…".to_owned())),
        ("url.query", Some("none of yours".to_owned())),
        ("test.tenant", Some("blue".to_owned())),
        ("test.empty", None),
        ("test.long", Some("x".repeat(2_000))),
        ("error.type", None),
    ] {
        assert_eq!(span.attribute(key), expected, "{key}");
        assert_eq!(asked.attribute(key), expected, "{key}");
    }
    let status = span.value("http.response.status_code");
    assert_eq!(status, Some(Value::I64(200)));
    assert_eq!(asked.attribute("http.response.status_code"), None);
}

#[test]
fn what_the_operator_says_of_a_call_stands_in_place_of_the_layers() {
    let (at, asked) = Asked::recorder();
    let layer = at.layer().request_attributes(|_| {
        [
            KeyValue::new("server.address", "one of ours"),
            KeyValue::new("test.tenant", "blue"),
        ]
    });
    let request = with(grpc(), &[("host", "h.example")]);
    serve(&layer, request, |_| {});
    let spans = at.exported();
    let span = Seen(spans[0].clone());
    for (key, expected) in [("server.address", "one of ours"), ("test.tenant", "blue")] {
        assert_eq!(span.attribute(key).as_deref(), Some(expected), "{key}");
        assert_eq!(asked.attribute(key).as_deref(), Some(expected), "{key}");
    }
}

#[test]
fn functions_panic_and_what_the_layer_says_is_there() {
    fn bad(n: u32) -> KeyValue {
        assert!(n < 1, "no attributes");
        KeyValue::new("test.first", 1)
    }
    for (rule, set) in [
        (
            "of the request",
            (|layer| layer.request_attributes(|_| -> Vec<KeyValue> { panic!("no attributes") }))
                as fn(ApiSpanLayer) -> ApiSpanLayer,
        ),
        ("of the request, midway", |layer| {
            layer.request_attributes(|_| (0..2).map(bad))
        }),
        ("of the response", |layer| {
            layer.response_attributes(|_| -> Vec<KeyValue> { panic!("no attributes") })
        }),
        ("of the response, midway", |layer| {
            layer.response_attributes(|_| (0..2).map(bad))
        }),
    ] {
        let at = Recorder::new();
        serve(&set(at.layer()), get(), |request| {
            handle_of(request).set_attribute(KeyValue::new("test.told", true));
        });
        let span = at.only();
        assert_eq!(span.outcome(), "DEPARTED", "{rule}");
        assert_eq!(span.attribute("url.path").as_deref(), Some("/"), "{rule}");
        assert_eq!(span.value("test.told"), Some(Value::Bool(true)), "{rule}");
        assert_eq!(span.value("test.first"), None, "{rule}");
        let status = span.value("http.response.status_code");
        assert_eq!(status, Some(Value::I64(200)), "{rule}");
    }
}

#[test]
fn what_the_operator_says_of_a_response_is_the_last_word_before_the_layers() {
    let at = Recorder::new();
    let layer = at.layer().response_attributes(|response| {
        [
            KeyValue::new("test.told", "operator"),
            KeyValue::new("test.status", i64::from(response.status.as_u16())),
            KeyValue::new("test.a", response.headers.contains_key("x-a")),
            KeyValue::new("url.path", "/operator"),
            KeyValue::new("error.type", "operator"),
            KeyValue::new("api.outcome", "operator"),
            KeyValue::new("http.response.status_code", 999),
        ]
    });
    let mut service = answering(&layer, |request| {
        let handle = handle_of(&request);
        handle.set_attribute(KeyValue::new("test.told", "handler"));
        let mut answer = response(404, ScriptedBody::full(3));
        answer.headers_mut().extend(header_map(&[("x-a", "1")]));
        answer
    });
    let mut body = ready(service.call(get())).expect("a response").into_body();
    read(&mut body).expect("bytes");
    let span = at.only();
    for (key, expected) in [
        ("test.told", Some("operator")),
        ("test.status", Some("404")),
        ("test.a", Some("true")),
        ("url.path", Some("/")),
        ("error.type", None),
        ("api.outcome", Some("ABORTED")),
        ("http.response.status_code", Some("404")),
    ] {
        assert_eq!(span.attribute(key).as_deref(), expected, "{key}");
    }
}

#[test]
fn nobody_is_asked_of_a_response_whose_span_does_not_record() {
    for (sampler, asked) in [(Sampler::AlwaysOn, 1), (Sampler::AlwaysOff, 0)] {
        let at = Recorder::with(|builder| builder.with_sampler(sampler));
        let calls = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&calls);
        let layer = at.layer().response_attributes(move |_| {
            count.fetch_add(1, Ordering::SeqCst);
            []
        });
        serve(&layer, get(), |_| {});
        assert_eq!(calls.load(Ordering::SeqCst), asked);
    }
}

/// Who says something under the same key, and who is believed.
#[tokio::test]
async fn all_speak_of_the_same_keys_and_each_is_there_once() {
    const KEYS: [&str; 10] = [
        "url.path",
        "http.route",
        "http.request.body.size",
        "http.response.body.size",
        "http.request.header.x-a",
        "http.response.header.x-a",
        "client.address",
        "gen_ai.request.id",
        "test.shared",
        "network.local.port",
    ];
    let all = |who: &'static str| KEYS.map(|key| KeyValue::new(key, who));
    for (rule, by_request, expected) in [
        ("the operator at the start", true, ["start"; 10]),
        (
            "without it",
            false,
            [
                "/users/7",
                "/users/{id}",
                "4",
                "2",
                "[\"1\"]",
                "[\"2\"]",
                "127.0.0.1",
                "id",
                "end",
                "80",
            ],
        ),
    ] {
        let at = Recorder::new();
        let mut layer = at
            .layer()
            .capture_request_headers([X_A])
            .capture_response_headers([X_A])
            .body_sizes(true)
            .request_id_header(HeaderName::from_static("x-id"))
            .local_address_fn(|_| Some(([127, 0, 0, 1], 80).into()))
            .response_attributes(move |_| all("end"));
        if by_request {
            layer = layer.request_attributes(move |_| all("start"));
        }
        let handler = async move |span: SpanHandle, body: Bytes| {
            span.set_attributes(all("handler"));
            span.set_route("/told");
            ([("x-a", "2")], format!("{:02}", body.len()))
        };
        let app = Router::new()
            .route("/users/{id}", getting(handler))
            .layer(CountRequestBodyLayer::new())
            .layer(layer);
        let mut wire = Wire::connect(run(app, LOCALHOST).await).await;
        wire.send(
            "GET /users/7 HTTP/1.1\r\nHost: h\r\nx-a: 1\r\nx-id: id\r\nContent-Length: 4\r\n\r\nbody",
        )
        .await;
        wire.answer(&Method::GET).await;
        at.all_ended().await;
        let spans = at.exported();
        let span = Seen(spans[0].clone());
        for (key, expected) in KEYS.into_iter().zip(expected) {
            // Panics if it is there twice.
            assert_eq!(
                span.attribute(key).as_deref(),
                Some(expected),
                "{rule}: {key}"
            );
        }
        let mut keys: Vec<_> = span.0.attributes.iter().map(|kv| kv.key.clone()).collect();
        let all = keys.len();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), all, "{rule}");
    }
}

/// A body that is streamed by axum, and not known beforehand.
#[tokio::test]
async fn a_stream_over_a_connection_is_counted_without_its_framing() {
    let at = Recorder::new();
    let app = Router::new()
        .route(
            "/",
            getting(async || AxumBody::new(ScriptedBody::new([Data(100), Pending, Data(23)]))),
        )
        .layer(at.layer().body_sizes(true));
    let mut wire = Wire::connect(run(app, LOCALHOST).await).await;
    for (method, size) in [(Method::GET, 123), (Method::HEAD, 0)] {
        at.forget();
        wire.send(format!("{method} / HTTP/1.1\r\nHost: h\r\n\r\n"))
            .await;
        wire.answer(&method).await;
        at.all_ended().await;
        let spans = at.spans();
        assert_eq!(spans.len(), 1);
        assert_eq!(
            sizes(&Seen(spans[0].clone())),
            [None, Some(size)],
            "{method}"
        );
    }
}
