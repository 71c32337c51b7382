//! Cases from the server tests of OpenTelemetry's Java and Go instrumentations that no other module
//! covers, over real connections.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use axum::Router;
use axum::extract::Path;
use axum::response::Redirect;
use axum::routing::{any, get, post};
use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use http_body_util::Full;
use opentelemetry::Context;
use opentelemetry::KeyValue;
use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::trace::{SpanId, Tracer as _, TracerProvider as _};
use opentelemetry_sdk::trace::SpanData;
use tokio::task::JoinSet;
use tower_api_span::{RequestBodyLayer, SpanHandle};

use super::{LOCALHOST, Wire, ask, ask_http2, http2, run};
use crate::support::recorder::{Recorder, Seen, is_server, value};
use crate::support::{CALLER, TRACE};

/// Returns an application. The handler of `/numbered/{n}` starts a child span with that number.
fn app(at: &Recorder) -> Router {
    let tracer = at.provider.tracer("test");
    let numbered = move |Path(n): Path<u32>, body: Bytes| {
        let tracer = tracer.clone();
        async move {
            // Lets other requests run in between.
            tokio::task::yield_now().await;
            let child = tracer.span_builder("child");
            let number = KeyValue::new("test.number", i64::from(n));
            drop(child.with_attributes([number]).start(&tracer));
            format!("{n} {}", String::from_utf8_lossy(&body))
        }
    };
    Router::new()
        .route("/numbered/{n}", any(numbered))
        .route("/found", get(async || Redirect::to("/elsewhere")))
        .route("/empty", get(async || {}))
        .route("/post", post(async || {}))
}

/// Returns the server spans by the number in their path.
fn server_spans(at: &Recorder) -> BTreeMap<String, SpanData> {
    let servers = at.spans().into_iter().filter(is_server);
    let numbered = servers.map(|span| {
        let path = value(&span, "url.path").expect("a path").to_string();
        let number = path.rsplit('/').next().expect("a number").to_owned();
        (number, span)
    });
    numbered.collect()
}

/// Asserts that `count` requests have spans in traces of their own, each with the span of its handler as
/// its child.
fn assert_separate_traces(at: &Recorder, count: usize) {
    let servers = server_spans(at);
    assert_eq!((servers.len(), at.starts()), (count, 2 * count));
    let traces: BTreeSet<_> = servers
        .values()
        .map(|span| span.span_context.trace_id().to_bytes())
        .collect();
    assert_eq!(traces.len(), count);
    for child in at.exported().iter().filter(|span| !is_server(span)) {
        let number = value(child, "test.number").expect("a number").to_string();
        let server = &servers[&number];
        assert_eq!(child.parent_span_id, server.span_context.span_id());
        assert_eq!(
            child.span_context.trace_id(),
            server.span_context.trace_id()
        );
    }
}

#[tokio::test]
async fn sequential_requests_have_one_span_each() {
    for count in [1, 4, 50] {
        let at = Recorder::new();
        let app = app(&at).layer(at.layer());
        let mut wire = Wire::connect(run(app, LOCALHOST).await).await;
        for n in 0..count {
            let text = format!("GET /numbered/{n} HTTP/1.1\r\nHost: h\r\n\r\n");
            wire.send(text).await;
            let answer = wire.answer(&Method::GET).await;
            assert_eq!(answer.body, format!("{n} ").as_bytes());
        }
        at.all_ended().await;
        assert_separate_traces(&at, count);
    }
}

#[tokio::test]
async fn concurrent_requests_keep_their_own_parents_and_children() {
    const COUNT: u32 = 100;
    let at = Recorder::new();
    let address = run(app(&at).layer(at.layer()), LOCALHOST).await;
    let mut clients = JoinSet::new();
    let (sender, _) = http2(address).await;
    for n in 0..COUNT {
        let traceparent = format!("00-{:032x}-{:016x}-01", n + 1, n + 1);
        let mut sender = sender.clone();
        clients.spawn(async move {
            if n.is_multiple_of(2) {
                let text = format!(
                    "GET /numbered/{n} HTTP/1.1\r\nHost: h\r\ntraceparent: {traceparent}\r\n\r\n"
                );
                assert_eq!(ask(address, text).await.status(), "200");
            } else {
                let request = Request::get(format!("http://h/numbered/{n}"))
                    .header("traceparent", traceparent)
                    .body(Full::new(Bytes::new()));
                ask_http2(&mut sender, request.expect("a request")).await;
            }
        });
    }
    while let Some(client) = clients.join_next().await {
        client.expect("no client panics");
    }
    at.all_ended().await;
    assert_separate_traces(&at, COUNT as usize);
    for (number, span) in server_spans(&at) {
        let n: u64 = number.parse().expect("a number");
        assert_eq!(span.parent_span_id, SpanId::from(n + 1), "{number}");
        let trace = span.span_context.trace_id().to_string();
        assert_eq!(trace, format!("{:032x}", n + 1), "{number}");
    }
}

#[tokio::test]
async fn pipelined_requests_have_their_own_traces_and_body_sizes() {
    const COUNT: usize = 10;
    for is_chunked in [false, true] {
        let at = Recorder::new();
        let app = app(&at)
            .layer(RequestBodyLayer::new())
            .layer(at.layer().body_sizes(true));
        let mut wire = Wire::connect(run(app, LOCALHOST).await).await;
        let mut text = String::new();
        for n in 0..COUNT {
            write!(text, "POST /numbered/{n} HTTP/1.1\r\nHost: h\r\n").expect("a string");
            let (one, two) = ("a".repeat(n + 1), "b".repeat(n));
            if is_chunked {
                let chunk = |part: &str| format!("{:x}\r\n{part}\r\n", part.len());
                text += "Transfer-Encoding: chunked\r\n\r\n";
                text += &chunk(&one);
                if !two.is_empty() {
                    text += &chunk(&two);
                }
                text += "0\r\n\r\n";
            } else {
                write!(text, "Content-Length: {}\r\n\r\n{one}{two}", 2 * n + 1).expect("a string");
            }
        }
        wire.send(text).await;
        for n in 0..COUNT {
            let answer = wire.answer(&Method::POST).await;
            let expected = format!("{n} {}{}", "a".repeat(n + 1), "b".repeat(n));
            assert_eq!(answer.body, expected.as_bytes());
        }
        at.all_ended().await;
        assert_separate_traces(&at, COUNT);
        for (number, span) in server_spans(&at) {
            let n: i64 = number.parse().expect("a number");
            let size = value(&span, "http.request.body.size");
            assert_eq!(size, Some((2 * n + 1).into()), "{number}, {is_chunked}");
        }
    }
}

#[tokio::test]
async fn header_names_are_case_insensitive() {
    for name in ["traceparent", "Traceparent", "TRACEPARENT", "tRaCePaReNt"] {
        let at = Recorder::new();
        let address = run(app(&at).layer(at.layer()), LOCALHOST).await;
        let text = format!(
            "GET /empty HTTP/1.1\r\nhOST: h.example\r\n{name}: 00-{TRACE}-{CALLER}-01\r\n\r\n"
        );
        ask(address, text).await;
        at.all_ended().await;
        let span = at.only();
        assert_eq!(span.0.parent_span_id.to_string(), CALLER, "{name}");
        let host = span.attribute("server.address");
        assert_eq!(host.as_deref(), Some("h.example"), "{name}");
    }
}

#[tokio::test]
async fn baggage_in_several_header_lines_reaches_the_handler() {
    for (rule, lines) in [
        ("one line", "baggage: one=1,two=2\r\n"),
        ("two lines", "baggage: one=1\r\nBaggage: two=2\r\n"),
        (
            "beside other headers, with properties",
            "baggage: one=1;secret\r\nx-a: 1\r\nBAGGAGE: two=2\r\n",
        ),
    ] {
        let at = Recorder::new();
        let handler = async || {
            let context = Context::current();
            let value = |key| context.baggage().get(key).map(ToString::to_string);
            format!("{:?} {:?}", value("one"), value("two"))
        };
        let app = Router::new().route("/", get(handler)).layer(at.layer());
        let address = run(app, LOCALHOST).await;
        let text = format!("GET / HTTP/1.1\r\nHost: h\r\n{lines}\r\n");
        let answer = ask(address, text).await;
        assert_eq!(answer.body, br#"Some("1") Some("2")"#, "{rule}");
    }
}

/// A request and its expected span.
struct Common {
    rule: &'static str,
    method: &'static str,
    target: &'static str,
    name: &'static str,
    route: Option<&'static str>,
    status: i64,
    outcome: &'static str,
}

const COMMON: [Common; 7] = [
    Common {
        rule: "a redirect is not an error",
        method: "GET",
        target: "/found",
        name: "GET /found",
        route: Some("/found"),
        status: 303,
        outcome: "DEPARTED",
    },
    Common {
        rule: "an empty response",
        method: "GET",
        target: "/empty?a=b&c",
        name: "GET /empty",
        route: Some("/empty"),
        status: 200,
        outcome: "DEPARTED",
    },
    Common {
        rule: "an unmatched path has no route",
        method: "GET",
        target: "/nowhere/7",
        name: "GET",
        route: None,
        status: 404,
        outcome: "ABORTED(client_error)",
    },
    Common {
        rule: "a method that the route does not allow",
        method: "GET",
        target: "/post",
        name: "GET /post",
        route: Some("/post"),
        status: 405,
        outcome: "ABORTED(client_error)",
    },
    Common {
        rule: "a method that is not standard",
        method: "TEST",
        target: "/numbered/7",
        name: "HTTP /numbered/{n}",
        route: Some("/numbered/{n}"),
        status: 200,
        outcome: "DEPARTED",
    },
    Common {
        rule: "a method that is not standard, unmatched path",
        method: "TEST",
        target: "/nowhere",
        name: "HTTP",
        route: None,
        status: 404,
        outcome: "ABORTED(client_error)",
    },
    Common {
        rule: "an invalid path parameter",
        method: "GET",
        target: "/numbered/seven",
        name: "GET /numbered/{n}",
        route: Some("/numbered/{n}"),
        status: 400,
        outcome: "ABORTED(validation_error)",
    },
];

/// Asserts the attributes that every answered request has.
fn assert_common(span: &Seen, case: &Common, version: &str, port: u16) {
    let rule = case.rule;
    assert_eq!(span.0.name, case.name, "{rule}");
    assert_eq!(span.outcome(), case.outcome, "{rule}");
    let is = |key: &str| span.attribute(key);
    let (path, query) = match case.target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (case.target, None),
    };
    let port = port.to_string();
    let is_standard = case.method != "TEST";
    let method = if is_standard { case.method } else { "_OTHER" };
    for (key, expected) in [
        ("http.request.method", Some(method)),
        (
            "http.request.method_original",
            (!is_standard).then_some(case.method),
        ),
        ("http.route", case.route),
        ("url.path", Some(path)),
        ("url.query", query),
        ("url.scheme", Some("http")),
        ("url.full", None),
        ("network.protocol.version", Some(version)),
        ("network.protocol.name", None),
        ("network.transport", None),
        ("network.peer.address", Some("127.0.0.1")),
        ("client.address", Some("127.0.0.1")),
        ("client.port", None),
        ("server.address", Some("h.example")),
        ("server.port", Some(&*port)),
        ("user_agent.original", Some("test-user-agent")),
        ("error.type", None),
    ] {
        assert_eq!(is(key).as_deref(), expected, "{rule}: {key}");
    }
    let status = span.value("http.response.status_code");
    assert_eq!(status, Some(case.status.into()), "{rule}");
}

#[tokio::test]
async fn common_attributes_are_the_same_over_http1_and_http2() {
    for case in COMMON {
        let Common { method, target, .. } = case;
        for version in ["1.1", "2"] {
            let at = Recorder::new();
            let address = run(app(&at).layer(at.layer()), LOCALHOST).await;
            let host = format!("h.example:{}", address.port());
            if version == "2" {
                let (mut sender, _) = http2(address).await;
                let request = Request::builder()
                    .method(method)
                    .uri(format!("http://{host}{target}"))
                    .header("user-agent", "test-user-agent")
                    .body(Full::new(Bytes::new()));
                ask_http2(&mut sender, request.expect("a request")).await;
            } else {
                let text = format!(
                    "{method} {target} HTTP/1.1\r\nHost: {host}\r\n\
                     User-Agent: test-user-agent\r\n\r\n"
                );
                ask(address, text).await;
            }
            at.all_ended().await;
            assert_common(&at.only(), &case, version, address.port());
        }
    }
}

/// The cases are those of Go's instrumentation.
#[tokio::test]
async fn host_header_is_parsed_and_an_invalid_one_omitted() {
    for (host, address, port) in [
        ("", None, None),
        (":8080", None, None),
        ("127.0.0.1", Some("127.0.0.1"), None),
        ("www.example.com", Some("www.example.com"), None),
        ("127.0.0.1%25en0", Some("127.0.0.1%25en0"), None),
        ("[]", None, None),
        ("[fe80::1]", Some("fe80::1"), None),
        ("[fe80::1", None, None),
        ("fe80::1]", None, None),
        ("[fe80::1]:8080", Some("fe80::1"), Some("8080")),
        ("127.0.0.1:8080", Some("127.0.0.1"), Some("8080")),
        (
            "www.example.com:65535",
            Some("www.example.com"),
            Some("65535"),
        ),
        ("h.example:", Some("h.example"), None),
    ] {
        let at = Recorder::new();
        let wire = run(app(&at).layer(at.layer()), LOCALHOST).await;
        ask(wire, format!("GET /empty HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
        at.all_ended().await;
        let span = at.only();
        let is = |key: &str| span.attribute(key);
        assert_eq!(is("server.address").as_deref(), address, "{host:?}");
        assert_eq!(is("server.port").as_deref(), port, "{host:?}");
    }
}

/// The body of the layer reports its exact size, so that the server keeps the Content-Length.
#[tokio::test]
async fn response_headers_and_body_are_those_without_the_layer() {
    let headers = |answer: &super::Answer| {
        let lines = answer.head.lines().filter(|line| !line.starts_with("date"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    for target in ["/numbered/7", "/empty", "/found", "/nowhere"] {
        let at = Recorder::new();
        let text = format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n");
        let bare = ask(run(app(&at), LOCALHOST).await, &text).await;
        let layer = at.layer().body_sizes(true);
        let layered = app(&at).layer(RequestBodyLayer::new()).layer(layer);
        let traced = ask(run(layered, LOCALHOST).await, &text).await;
        assert_eq!(headers(&traced), headers(&bare), "{target}");
        assert!(
            headers(&traced)
                .iter()
                .any(|line| line.starts_with("content-length: ")),
            "{target}"
        );
        assert_eq!(traced.body, bare.body, "{target}");
    }
}

/// The only addition to the request is the handle in its extensions.
#[tokio::test]
async fn request_headers_reach_the_handler_unchanged() {
    let at = Recorder::new();
    let handler = async |headers: HeaderMap, span: SpanHandle| {
        assert!(span.is_recording());
        let mut lines: Vec<_> = headers
            .iter()
            .map(|(name, value)| format!("{name}={}", value.to_str().expect("a text")))
            .collect();
        lines.sort();
        lines.join(" ")
    };
    let app = Router::new().route("/", get(handler)).layer(at.layer());
    let address = run(app, LOCALHOST).await;
    let answer = ask(
        address,
        "GET / HTTP/1.1\r\nHost: h\r\nbaggage: a=b\r\nx-a: 1\r\ntraceparent: no\r\n\r\n",
    )
    .await;
    assert_eq!(answer.body, b"baggage=a=b host=h traceparent=no x-a=1");
    at.all_ended().await;
    assert_eq!(at.only().outcome(), "DEPARTED");
}
