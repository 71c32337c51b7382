//! Optional attributes and redaction: captured headers, query parameters, body sizes, the operator's
//! attributes.

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
use tower_api_span::{ApiSpanLayer, RequestBody, RequestBodyLayer, SpanHandle};

use super::{
    CHECK, LOCALHOST, RecordingSampler, Wire, ask_http2, call, http2, run, run_tonic, serve,
};
use crate::support::body::Step::{Data, Error, Pending, Trailers};
use crate::support::body::{Says, ScriptedBody, header_map};
use crate::support::recorder::{Recorder, Seen};
use crate::support::{answering, get, grpc, handle_of, poll_frame, read, ready, response};

const X_A: HeaderName = HeaderName::from_static("x-a");
const X_B: HeaderName = HeaderName::from_static("x-b");

/// Serves `request` with a response of these headers and steps.
fn serve_with_headers(
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

/// Returns the strings of an array attribute. Empty if the attribute is absent.
fn string_array(span: &Seen, key: &str) -> Vec<String> {
    match span.value(key) {
        None => Vec::new(),
        Some(Value::Array(Array::String(values))) => {
            values.iter().map(ToString::to_string).collect()
        }
        Some(other) => panic!("{key} is {other:?}"),
    }
}

fn with_headers(mut request: Request<()>, headers: &[(&'static str, &'static str)]) -> Request<()> {
    request.headers_mut().extend(header_map(headers));
    request
}

// === Headers ===

#[test]
fn captured_headers_are_string_arrays_and_others_are_omitted() {
    let sent = &[
        ("x-a", "1"),
        ("x-a", "2, 3"),
        ("x-b", ""),
        ("x-c", "not captured"),
        ("authorization", "Bearer secret"),
        ("cookie", "session=secret"),
    ];
    let (at, sampler) = RecordingSampler::recorder();
    let names = [X_A, X_B, AUTHORIZATION, COOKIE];
    let layer = at
        .layer()
        .capture_request_headers(names.clone())
        .capture_response_headers(names);
    serve_with_headers(
        &layer,
        with_headers(get(), sent),
        &header_map(sent),
        &[Data(3)],
    );
    let span = at.only();
    for side in ["request", "response"] {
        let values = |name: &str| string_array(&span, &format!("http.{side}.header.{name}"));
        assert_eq!(values("x-a"), ["1", "2, 3"], "{side}");
        assert_eq!(values("x-b"), [""; 0], "{side}");
        assert_eq!(values("x-c"), [""; 0], "{side}");
        assert_eq!(values("authorization"), ["REDACTED"], "{side}");
        assert_eq!(values("cookie"), ["REDACTED"], "{side}");
    }
    let seen = sampler.attribute("http.request.header.x-a");
    assert_eq!(seen.as_deref(), Some("[\"1\",\"2, 3\"]"));
    assert!(!format!("{span:?}").contains("secret"));
}

#[test]
fn no_header_is_captured_by_default() {
    let sent = &[("x-a", "1"), ("authorization", "Bearer secret")];
    let at = Recorder::new();
    serve_with_headers(
        &at.layer(),
        with_headers(get(), sent),
        &header_map(sent),
        &[],
    );
    let span = at.only();
    for kv in &span.0.attributes {
        assert!(!kv.key.as_str().contains(".header."), "{}", kv.key);
    }
}

#[test]
fn grpc_headers_and_trailers_are_captured_under_rpc_keys() {
    let at = Recorder::new();
    let layer = at
        .layer()
        .capture_request_headers([X_A])
        .capture_response_headers([X_A, X_B]);
    let trailers = Trailers(&[("grpc-status", "0"), ("x-b", "last"), ("x-b", "twice")]);
    let head = header_map(&[("content-type", "application/grpc"), ("x-a", "head")]);
    let request = with_headers(grpc(), &[("x-a", "sent")]);
    serve_with_headers(&layer, request, &head, &[Data(5), trailers]);
    let span = at.only();
    assert_eq!(string_array(&span, "rpc.request.header.x-a"), ["sent"]);
    assert_eq!(string_array(&span, "rpc.response.header.x-a"), ["head"]);
    assert_eq!(
        string_array(&span, "rpc.response.trailer.x-b"),
        ["last", "twice"]
    );
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
fn http_trailers_are_not_captured() {
    let at = Recorder::new();
    let layer = at.layer().capture_response_headers([X_B]);
    let trailers = Trailers(&[("x-b", "last")]);
    serve_with_headers(&layer, get(), &HeaderMap::new(), &[Data(5), trailers]);
    assert!(!format!("{:?}", at.only().0.attributes).contains("last"));
}

#[tokio::test]
async fn headers_and_trailers_of_tonic_are_captured() {
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
    assert_eq!(
        string_array(&span, "rpc.request.header.content-type"),
        content_type
    );
    assert_eq!(
        string_array(&span, "rpc.response.header.content-type"),
        content_type
    );
    assert_eq!(
        string_array(&span, "rpc.response.trailer.grpc-status"),
        ["0"]
    );
}

#[test]
fn listed_and_marked_headers_are_redacted() {
    let at = Recorder::new();
    let names = [X_A, X_B, AUTHORIZATION];
    let layer = at
        .layer()
        .capture_request_headers(names.clone())
        .capture_response_headers(names)
        .only_sensitive_headers([X_A]);
    let sent = &[("x-a", "secret"), ("authorization", "Bearer known")];
    let mut marked = HeaderValue::from_static("secret");
    marked.set_sensitive(true);
    let mut headers = header_map(sent);
    headers.insert(X_B, marked);
    let mut request = get();
    *request.headers_mut() = headers.clone();
    serve_with_headers(&layer, request, &headers, &[]);
    let span = at.only();
    for side in ["request", "response"] {
        let values = |name: &str| string_array(&span, &format!("http.{side}.header.{name}"));
        assert_eq!(values("x-a"), ["REDACTED"], "{side}");
        assert_eq!(values("x-b"), ["REDACTED"], "{side}");
        assert_eq!(values("authorization"), ["Bearer known"], "{side}");
    }
}

/// The example of `sensitive_headers`, and the defaults that an example's reader relies on. The order of the settings for
/// captured and for sensitive headers does not matter.
#[test]
fn added_sensitive_headers_leave_the_default_ones_redacted() {
    const SESSION: HeaderName = HeaderName::from_static("x-session");
    type Set = fn(ApiSpanLayer) -> ApiSpanLayer;
    let rules: [(&str, Set, &[&str]); 4] = [
        (
            "one call adds",
            |layer| layer.sensitive_headers([SESSION]),
            &["x-a"],
        ),
        (
            "two calls add twice",
            |layer| layer.sensitive_headers([SESSION]).sensitive_headers([X_A]),
            &[],
        ),
        (
            "only_ replaces what was added",
            |layer| {
                layer
                    .sensitive_headers([X_A])
                    .only_sensitive_headers([SESSION])
            },
            &["authorization", "cookie", "x-a"],
        ),
        (
            "a later call adds to only_",
            |layer| {
                layer
                    .only_sensitive_headers([AUTHORIZATION, SESSION])
                    .sensitive_headers([X_A])
            },
            &["cookie"],
        ),
    ];
    let names = [AUTHORIZATION, COOKIE, SESSION, X_A];
    let headers: HeaderMap = names
        .iter()
        .map(|name| (name.clone(), HeaderValue::from_static("v")))
        .collect();
    for (rule, set, kept) in rules {
        for is_captured_first in [false, true] {
            let at = Recorder::new();
            let capture = |layer: ApiSpanLayer| {
                let layer = layer.capture_request_headers(names.clone());
                layer.capture_response_headers(names.clone())
            };
            let layer = if is_captured_first {
                set(capture(at.layer()))
            } else {
                capture(set(at.layer()))
            };
            let mut request = get();
            *request.headers_mut() = headers.clone();
            serve_with_headers(&layer, request, &headers, &[]);
            let span = at.only();
            for (side, name) in ["request", "response"]
                .into_iter()
                .flat_map(|side| names.iter().map(move |name| (side, name)))
            {
                let is_kept = kept.contains(&name.as_str());
                let expected = if is_kept { "v" } else { "REDACTED" };
                let values = string_array(&span, &format!("http.{side}.header.{name}"));
                assert_eq!(
                    values,
                    [expected],
                    "{rule}, {is_captured_first}: {side} {name}"
                );
            }
        }
    }
}

/// As for HTTP, the order of the settings does not matter.
#[test]
fn sensitive_metadata_of_grpc_is_redacted_in_headers_and_trailers() {
    for is_captured_first in [false, true] {
        let at = Recorder::new();
        let layer = if is_captured_first {
            let layer = at.layer().capture_request_headers([X_A]);
            layer
                .capture_response_headers([X_A])
                .sensitive_headers([X_A])
        } else {
            let layer = at.layer().sensitive_headers([X_A]);
            layer
                .capture_request_headers([X_A])
                .capture_response_headers([X_A])
        };
        let sent = &[("content-type", "application/grpc"), ("x-a", "secret")];
        let mut request = get();
        *request.method_mut() = http::Method::POST;
        *request.headers_mut() = header_map(sent);
        let trailers = Trailers(&[("grpc-status", "0"), ("x-a", "secret")]);
        serve_with_headers(&layer, request, &header_map(sent), &[trailers]);
        let span = at.only();
        for key in ["request.header", "response.header", "response.trailer"] {
            let values = string_array(&span, &format!("rpc.{key}.x-a"));
            assert_eq!(values, ["REDACTED"], "{is_captured_first}: {key}");
        }
    }
}

#[test]
fn header_values_and_their_number_are_truncated() {
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
    serve_with_headers(&layer, request, &headers, &[]);
    let span = at.only();
    for key in ["http.request.header.x-a", "http.response.header.x-a"] {
        let values = string_array(&span, key);
        assert_eq!(values.len(), 32, "{key}");
        assert!(values.iter().all(|value| value.len() == 1_024), "{key}");
        assert!(values[31].starts_with("031"), "{key}");
    }
}

// === The query ===

#[test]
fn query_parameters_are_redacted_by_default_and_by_the_list() {
    for (rule, given, query, expected) in [
        (
            "by default",
            None,
            "a=1&sig=s&X-Goog-Signature=s",
            "a=1&sig=REDACTED&X-Goog-Signature=REDACTED",
        ),
        (
            "a list adds",
            Some(&["token", "key"][..]),
            "token=s&key=s&sig=s&page=2",
            "token=REDACTED&key=REDACTED&sig=REDACTED&page=2",
        ),
        ("an empty list", Some(&[]), "sig=s", "sig=REDACTED"),
        ("percent-encoded", None, "%73ig=s", "%73ig=REDACTED"),
        ("names are case-sensitive", None, "SIG=kept", "SIG=kept"),
    ] {
        let (at, sampler) = RecordingSampler::recorder();
        // Each call adds to the list.
        let add = |layer: ApiSpanLayer, name: &&str| layer.sensitive_query_parameters([*name]);
        let layer = given.unwrap_or_default().iter().fold(at.layer(), add);
        let request = Request::get(format!("/?{query}")).body(());
        serve(&layer, request.expect("a request"), |_| {});
        let query = at.only().attribute("url.query");
        assert_eq!(query.as_deref(), Some(expected), "{rule}");
        assert_eq!(sampler.attribute("url.query"), query, "{rule}");
    }
}

#[test]
fn only_listed_query_parameters_are_redacted_if_the_list_replaces() {
    for (rule, replacing, added, expected) in [
        (
            "a list",
            &["token"][..],
            &[][..],
            "token=REDACTED&sig=v&key=v",
        ),
        ("an empty list", &[], &[], "token=v&sig=v&key=v"),
        (
            "one that is added later",
            &["token"],
            &["key"],
            "token=REDACTED&sig=v&key=REDACTED",
        ),
    ] {
        let at = Recorder::new();
        let layer = at
            .layer()
            .sensitive_query_parameters(["key"])
            .only_sensitive_query_parameters(replacing.iter().copied())
            .sensitive_query_parameters(added.iter().copied());
        let request = Request::get("/?token=v&sig=v&key=v").body(());
        serve(&layer, request.expect("a request"), |_| {});
        let query = at.only().attribute("url.query");
        assert_eq!(query.as_deref(), Some(expected), "{rule}");
    }
}

// === Sizes of bodies ===

/// Returns the body sizes of request and response.
fn recorded_sizes(span: &Seen) -> [Option<i64>; 2] {
    ["http.request.body.size", "http.response.body.size"].map(|key| match span.value(key)? {
        Value::I64(size) => Some(size),
        other => panic!("{key} is {other:?}"),
    })
}

#[test]
fn response_body_size_counts_the_bytes_passed_on() {
    let stream = [Data(5), Pending, Data(7), Data(0)];
    let get = &Method::GET;
    for (rule, method, status, steps, polls, expected) in [
        ("frame by frame", get, 200, &stream[..], 9, Some(12)),
        ("an empty body", get, 200, &[], 9, Some(0)),
        ("aborted midway", get, 200, &stream, 1, Some(5)),
        (
            "aborted before the first frame",
            get,
            200,
            &stream,
            0,
            Some(0),
        ),
        ("body error", get, 200, &[Data(5), Error], 9, Some(5)),
        (
            "trailers do not count",
            get,
            200,
            &[Data(5), Trailers(&[("a", "b")])],
            9,
            Some(5),
        ),
        ("HEAD", &Method::HEAD, 200, &stream, 0, Some(0)),
        ("204", get, 204, &stream, 0, Some(0)),
        ("304", get, 304, &stream, 0, Some(0)),
        ("an error response", get, 500, &[Data(4)], 9, Some(4)),
    ] {
        for is_enabled in [true, false] {
            let at = Recorder::new();
            let mut service = answering(&at.layer().body_sizes(is_enabled), |_| {
                response(status, ScriptedBody::new(steps.to_vec()))
            });
            let request = Request::builder().method(method).body(());
            let answer = ready(service.call(request.expect("a request")));
            let mut body = answer.expect("a response").into_body();
            for _ in 0..polls {
                let _ = poll_frame(&mut body);
            }
            drop(body);
            let expected = [None, expected.filter(|_| is_enabled)];
            assert_eq!(recorded_sizes(&at.only()), expected, "{rule}");
        }
    }
}

#[test]
fn service_error_has_no_response_body_size() {
    let at = Recorder::new();
    let layer = at.layer().body_sizes(true);
    let mut service =
        ServiceBuilder::new()
            .layer(layer)
            .service(service_fn(async |_: Request<()>| {
                Err::<http::Response<ScriptedBody>, _>("no response")
            }));
    assert!(ready(service.call(get())).is_err());
    assert_eq!(recorded_sizes(&at.only()), [None, None]);
}

#[test]
fn grpc_calls_have_no_body_sizes() {
    let at = Recorder::new();
    let layer = at.layer().body_sizes(true);
    let request = with_headers(grpc(), &[("content-length", "5")]);
    let head = header_map(&[("content-type", "application/grpc")]);
    let steps = [Data(5), Trailers(&[("grpc-status", "0")])];
    serve_with_headers(&layer, request, &head, &steps);
    assert_eq!(recorded_sizes(&at.only()), [None, None]);
}

/// Returns an application whose routes read request bodies in every way that axum offers.
fn body_readers() -> Router {
    Router::new()
        .route("/bytes", post(async |body: Bytes| body.len().to_string()))
        .route("/text", post(async |body: String| body))
        .route(
            "/json",
            post(async |axum::Json(body): axum::Json<Json>| axum::Json(json!({ "got": body }))),
        )
        .route("/unread", post(async || "unread"))
        .route(
            "/part",
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
async fn request_body_size_is_what_was_read_or_else_the_content_length() {
    let json = "Content-Type: application/json\r\n";
    let chunked = "Transfer-Encoding: chunked\r\n";
    for (rule, path, head, body, answer, counted, declared) in [
        (
            "read to the end",
            "/bytes",
            "",
            "0123456789",
            "10",
            Some(10),
            Some(10),
        ),
        (
            "text",
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
            "unread",
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
                body_readers().layer(RequestBodyLayer::new()).layer(layer)
            } else {
                body_readers().layer(layer)
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
            let got = recorded_sizes(&at.only());
            assert_eq!(got, [expected, Some(answered)], "{rule}, {is_counted}");
        }
    }
}

#[tokio::test]
async fn partly_read_request_body_counts_the_bytes_read() {
    let at = Recorder::new();
    let app = body_readers().layer(RequestBodyLayer::new());
    let app = app.layer(at.layer().body_sizes(true));
    let mut wire = Wire::connect(run(app, LOCALHOST).await).await;
    // The rest of the body is never sent.
    wire.send("POST /part HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n01234")
        .await;
    assert_eq!(wire.answer(&Method::POST).await.body, b"5");
    at.all_ended().await;
    assert_eq!(recorded_sizes(&at.only()), [Some(5), Some(1)]);
}

#[test]
fn counted_body_forwards_frames_size_hint_and_end() {
    let at = Recorder::new();
    let trailers = Trailers(&[("a", "b")]);
    let steps = [Data(3), Pending, Data(4), trailers.clone()];
    let mut service = ServiceBuilder::new()
        .layer(at.layer().body_sizes(true))
        .layer(RequestBodyLayer::new())
        .service(service_fn(
            async |request: Request<RequestBody<ScriptedBody>>| {
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
    assert_eq!(recorded_sizes(&at.only()), [Some(7), Some(0)]);
}

/// The retry is inside the layer and around the counting one.
#[test]
fn retried_request_counts_the_copy_that_was_read_furthest() {
    for read_of_copies in [[0_usize, 2], [2, 0], [2, 1], [2, 2]] {
        let at = Recorder::new();
        // A second counting layer further inside does not count for the same span.
        let inside = RequestBodyLayer::new().layer(service_fn(
            async |request: Request<RequestBody<ScriptedBody>>| {
                read(&mut request.into_body()).expect("bytes");
                Ok::<_, Infallible>(response(204, ScriptedBody::full(0)))
            },
        ));
        let counting = RequestBodyLayer::new().layer(service_fn(
            move |request: Request<RequestBody<ScriptedBody>>| {
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
        assert_eq!(
            recorded_sizes(&at.only()),
            [Some(7), Some(0)],
            "{read_of_copies:?}"
        );
    }
}

#[test]
fn counted_body_works_without_an_outer_layer() {
    let mut service = ServiceBuilder::new()
        .layer(RequestBodyLayer::new())
        .service(service_fn(
            async |request: Request<RequestBody<ScriptedBody>>| {
                let bytes = read(&mut request.into_body()).expect("bytes");
                Ok::<_, Infallible>(bytes.len())
            },
        ));
    let request = Request::new(ScriptedBody::full(9));
    assert_eq!(ready(service.call(request)), Ok(9));
}

// === Attributes of the operator ===

#[test]
fn request_attributes_replace_the_layers_start_attributes() {
    let (at, sampler) = RecordingSampler::recorder();
    let layer = at.layer().request_attributes(|request| {
        let shown = request.uri.path().replace("ann", "…");
        [
            KeyValue::new("url.path", shown),
            KeyValue::new("url.path", "/twice"),
            KeyValue::new("url.query", "replaced"),
            KeyValue::new("test.tenant", "blue"),
            KeyValue::new("test.empty", ""),
            KeyValue::new("test.long", "x".repeat(2_000)),
            KeyValue::new("error.type", "reserved"),
            KeyValue::new("api.outcome", "reserved"),
            KeyValue::new("http.response.status_code", 999),
        ]
    });
    let request = Request::get("/users/ann?key=secret").body(());
    serve(&layer, request.expect("a request"), |request| {
        // The handler cannot replace the operator's attributes either.
        let handle = handle_of(request);
        handle.set_attribute(KeyValue::new("url.path", "/handler"));
        handle.set_attribute(KeyValue::new("test.tenant", "green"));
    });
    let span = at.only();
    for (key, expected) in [
        ("url.path", Some("/users/…".to_owned())),
        ("url.query", Some("replaced".to_owned())),
        ("test.tenant", Some("blue".to_owned())),
        ("test.empty", None),
        ("test.long", Some("x".repeat(2_000))),
        ("error.type", None),
    ] {
        assert_eq!(span.attribute(key), expected, "{key}");
        assert_eq!(sampler.attribute(key), expected, "{key}");
    }
    let status = span.value("http.response.status_code");
    assert_eq!(status, Some(Value::I64(200)));
    assert_eq!(sampler.attribute("http.response.status_code"), None);
}

#[test]
fn request_attributes_replace_the_layers_for_a_grpc_call() {
    let (at, sampler) = RecordingSampler::recorder();
    let layer = at.layer().request_attributes(|_| {
        [
            KeyValue::new("server.address", "internal"),
            KeyValue::new("test.tenant", "blue"),
        ]
    });
    let request = with_headers(grpc(), &[("host", "h.example")]);
    serve(&layer, request, |_| {});
    let spans = at.exported();
    let span = Seen(spans[0].clone());
    for (key, expected) in [("server.address", "internal"), ("test.tenant", "blue")] {
        assert_eq!(span.attribute(key).as_deref(), Some(expected), "{key}");
        assert_eq!(sampler.attribute(key).as_deref(), Some(expected), "{key}");
    }
}

#[test]
fn refused_attributes_of_the_operator_are_counted() {
    type Attributes = &'static [(&'static str, &'static str)];
    fn read(attributes: Attributes) -> Vec<KeyValue> {
        let attributes = attributes.iter();
        attributes
            .map(|(key, value)| KeyValue::new(*key, *value))
            .collect()
    }
    let cases: [(&str, Attributes, Attributes, Option<i64>); 9] = [
        ("none", &[], &[], None),
        ("the layer's are replaced", &[("url.path", "/p")], &[], None),
        (
            "an empty string",
            &[("url.path", ""), ("api.outcome", "")],
            &[],
            None,
        ),
        (
            "an application's own",
            &[("api.version", "1")],
            &[("api.cache", "hit")],
            None,
        ),
        (
            "reserved keys",
            &[("api.outcome", "v"), ("error.type", "v")],
            &[],
            Some(2),
        ),
        (
            "a key twice",
            &[("test.k", "v"), ("test.k", "w")],
            &[],
            Some(1),
        ),
        ("empty keys", &[("", "v")], &[("", "v")], Some(2)),
        (
            "a taken key, from the response",
            &[],
            &[("url.path", "v")],
            Some(1),
        ),
        (
            "a taken and a reserved key, from the response",
            &[("test.k", "v")],
            &[("test.k", "w"), ("api.outcome", "v")],
            Some(2),
        ),
    ];
    for (rule, on_request, on_response, expected) in cases {
        let at = Recorder::new();
        let layer = at
            .layer()
            .request_attributes(move |_| read(on_request))
            .response_attributes(move |_| read(on_response));
        serve(&layer, get(), |_| {});
        // Not `only`, since an operator may remove what the conventions require.
        let span = Seen(at.exported()[0].clone());
        let dropped = span.value("api.dropped_attributes");
        assert_eq!(dropped, expected.map(Value::I64), "{rule}");
    }
}

#[test]
fn operators_attributes_and_captured_headers_over_the_limit_are_counted() {
    for (rule, first, expected) in [
        ("two too many, and a header", "test.first", 3),
        (
            "the header's key is the operator's",
            "http.request.header.x-a",
            2,
        ),
    ] {
        let at = Recorder::new();
        let attributes = move || {
            let many = (0..65).map(|n| KeyValue::new(format!("test.{n}"), n));
            std::iter::once(KeyValue::new(first, 1)).chain(many)
        };
        let layer = at
            .layer()
            .request_attributes(move |_| attributes())
            .capture_request_headers([X_A]);
        serve(&layer, with_headers(get(), &[("x-a", "1")]), |_| {});
        let span = Seen(at.exported()[0].clone());
        let dropped = span.value("api.dropped_attributes");
        assert_eq!(dropped, Some(Value::I64(expected)), "{rule}");
    }
}

#[test]
fn captured_header_is_kept_and_the_handlers_attribute_of_its_key_counted() {
    const KEY: &str = "http.response.header.x-a";
    let at = Recorder::new();
    let layer = at.layer().capture_response_headers([X_A]);
    let mut service = answering(&layer, |request| {
        handle_of(&request).set_attribute(KeyValue::new(KEY, "handler"));
        let mut answer = response(200, ScriptedBody::full(3));
        answer.headers_mut().extend(header_map(&[("x-a", "1")]));
        answer
    });
    drop(ready(service.call(get())));
    let span = at.only();
    assert_eq!(string_array(&span, KEY), ["1"]);
    let dropped = span.value("api.dropped_attributes");
    assert_eq!(dropped, Some(Value::I64(1)));
}

#[test]
fn attribute_callback_that_panics_keeps_the_layers_attributes() {
    fn bad(n: u32) -> KeyValue {
        assert!(n < 1, "no attributes");
        KeyValue::new("test.first", 1)
    }
    for (rule, set) in [
        (
            "request_attributes",
            (|layer| layer.request_attributes(|_| -> Vec<KeyValue> { panic!("no attributes") }))
                as fn(ApiSpanLayer) -> ApiSpanLayer,
        ),
        ("request_attributes, midway", |layer| {
            layer.request_attributes(|_| (0..2).map(bad))
        }),
        ("response_attributes", |layer| {
            layer.response_attributes(|_| -> Vec<KeyValue> { panic!("no attributes") })
        }),
        ("response_attributes, midway", |layer| {
            layer.response_attributes(|_| (0..2).map(bad))
        }),
    ] {
        let at = Recorder::new();
        serve(&set(at.layer()), get(), |request| {
            handle_of(request).set_attribute(KeyValue::new("test.by_handler", true));
        });
        let span = at.only();
        assert_eq!(span.outcome(), "DEPARTED", "{rule}");
        assert_eq!(span.attribute("url.path").as_deref(), Some("/"), "{rule}");
        assert_eq!(
            span.value("test.by_handler"),
            Some(Value::Bool(true)),
            "{rule}"
        );
        assert_eq!(span.value("test.first"), None, "{rule}");
        let status = span.value("http.response.status_code");
        assert_eq!(status, Some(Value::I64(200)), "{rule}");
    }
}

#[test]
fn response_attributes_replace_the_handlers_and_not_the_layers() {
    let at = Recorder::new();
    let layer = at.layer().response_attributes(|response| {
        [
            KeyValue::new("test.shared", "operator"),
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
        handle.set_attribute(KeyValue::new("test.shared", "handler"));
        let mut answer = response(404, ScriptedBody::full(3));
        answer.headers_mut().extend(header_map(&[("x-a", "1")]));
        answer
    });
    let mut body = ready(service.call(get())).expect("a response").into_body();
    read(&mut body).expect("bytes");
    let span = at.only();
    for (key, expected) in [
        ("test.shared", Some("operator")),
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
fn response_attributes_callback_is_skipped_without_a_recording_span() {
    for (sampler, expected_calls) in [(Sampler::AlwaysOn, 1), (Sampler::AlwaysOff, 0)] {
        let at = Recorder::with(|builder| builder.with_sampler(sampler));
        let calls = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&calls);
        let layer = at.layer().response_attributes(move |_| {
            count.fetch_add(1, Ordering::SeqCst);
            []
        });
        serve(&layer, get(), |_| {});
        assert_eq!(calls.load(Ordering::SeqCst), expected_calls);
    }
}

/// The operator, the layer and the handler set the same keys.
#[tokio::test]
async fn keys_set_by_every_source_appear_once() {
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
    let all = |source: &'static str| KEYS.map(|key| KeyValue::new(key, source));
    for (rule, has_request_attributes, expected) in [
        ("with request_attributes", true, ["start"; 10]),
        (
            "without request_attributes",
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
        if has_request_attributes {
            layer = layer.request_attributes(move |_| all("start"));
        }
        let handler = async move |span: SpanHandle, body: Bytes| {
            span.set_attributes(all("handler"));
            span.set_route("/by-handler");
            ([("x-a", "2")], format!("{:02}", body.len()))
        };
        let app = Router::new()
            .route("/users/{id}", getting(handler))
            .layer(RequestBodyLayer::new())
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
            // `attribute` panics if the key appears twice.
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

/// axum streams a body of unknown size.
#[tokio::test]
async fn streamed_body_size_excludes_the_chunk_framing() {
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
            recorded_sizes(&Seen(spans[0].clone())),
            [None, Some(size)],
            "{method}"
        );
    }
}
