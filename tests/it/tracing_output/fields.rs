//! The fields of a line, in the formats of a subscriber.

use std::net::SocketAddr;

use http::{Request, Response};
use opentelemetry::trace::noop::NoopTracerProvider;
use serde_json::{Value, json as object};
use tower::{Service, service_fn};
use tower_api_span::{AccessLog, ApiSpanLayer};
use tower_layer::Layer as _;

use super::{json, written};
use crate::support::body::ScriptedBody;
use crate::support::body::Step::{Data, Trailers};
use crate::support::recorder::Recorder;
use crate::support::{answering, grpc, handle_of, poll_frame, read, ready, response};

fn request() -> Request<()> {
    let request = Request::post("/users/7?name=a%20b&sig=secret");
    request.body(()).expect("a request")
}

fn serve(layer: &ApiSpanLayer) {
    let mut service = answering(layer, |request| {
        handle_of(&request).set_route("/users/{id}");
        response(404, ScriptedBody::full(3))
    });
    let response = ready(service.call(request())).expect("a response");
    read(&mut response.into_body()).expect("bytes");
}

fn peer() -> Option<SocketAddr> {
    "192.0.2.1:99".parse().ok()
}

/// Removes what differs from run to run, and checks that it was there.
fn without_times(mut line: Value) -> Value {
    let fields = line["fields"].as_object_mut().expect("fields");
    for time in ["duration_ms", "time_to_head_ms"] {
        let value = fields.remove(time).and_then(|value| value.as_f64());
        assert!(
            value.is_some_and(|value| (0.0..60_000.0).contains(&value)),
            "{time}: {value:?}"
        );
        let shown = value.unwrap_or_default().to_string();
        let decimals = shown
            .split_once('.')
            .map_or(0, |(_, decimals)| decimals.len());
        assert!(decimals <= 3, "microseconds, without noise: {shown}");
    }
    for id in ["trace_id", "span_id"] {
        fields.remove(id).expect(id);
    }
    line["fields"].take()
}

#[test]
fn a_line_has_all_that_is_known() {
    let at = Recorder::new();
    let layer = at.layer().access_log(AccessLog::new());
    let lines = json(|| serve(&layer));
    let expected = object!({
        "message": "request completed",
        "method": "POST",
        "path": "/users/7",
        "route": "/users/{id}",
        "version": "HTTP/1.1",
        "status": 404,
        "outcome": "ABORTED",
        "reason": "client_error",
    });
    assert_eq!(without_times(lines[0].clone()), expected);

    let layer = layer
        .access_log(AccessLog::new().query(true))
        .peer_address_fn(|_| peer())
        .body_sizes(true);
    let lines = json(|| serve(&layer));
    let mut expected = expected;
    expected["query"] = "name=a%20b&sig=REDACTED".into();
    expected["client_address"] = "192.0.2.1".into();
    expected["response_bytes"] = 3.into();
    assert_eq!(without_times(lines[0].clone()), expected);
}

#[test]
fn the_line_of_an_arrival_has_what_is_known_then() {
    let at = Recorder::new();
    let log = AccessLog::new().query(true).request_start(true);
    let layer = at.layer().access_log(log).peer_address_fn(|_| peer());
    let mut line = json(|| serve(&layer)).remove(0);
    let fields = line["fields"].as_object_mut().expect("fields");
    for id in ["trace_id", "span_id"] {
        fields.remove(id).expect(id);
    }
    let expected = object!({
        "message": "request started",
        "method": "POST",
        "path": "/users/7",
        "query": "name=a%20b&sig=REDACTED",
        "version": "HTTP/1.1",
        "client_address": "192.0.2.1",
    });
    assert_eq!(line["fields"], expected);
}

#[test]
fn a_call_has_its_status() {
    let at = Recorder::new();
    let layer = at.layer().access_log(AccessLog::new());
    let lines = json(|| {
        let mut service = answering(&layer, |_| {
            let steps = [
                Data(3),
                Trailers(&[("grpc-status", "5"), ("grpc-message", "no")]),
            ];
            let mut response = response(200, ScriptedBody::new(steps));
            let grpc = "application/grpc".parse().expect("a value");
            response.headers_mut().insert("content-type", grpc);
            response
        });
        let mut body = ready(service.call(grpc())).expect("a response").into_body();
        for _ in 0..3 {
            assert!(poll_frame(&mut body).is_ready());
        }
    });
    assert_eq!(lines[0]["fields"]["grpc_status"], "NOT_FOUND");
    assert_eq!(lines[0]["fields"]["error"], "no");
}

/// Fails with a text that tries to forge a line and to move the cursor.
fn serve_forged(layer: &ApiSpanLayer) {
    const FORGED: &str = "x\n2026-01-01T00:00:00Z  INFO forged\u{1b}[2J";
    let failing = service_fn(async |_: Request<()>| Err::<Response<String>, _>(FORGED));
    assert!(ready(layer.layer(failing).call(request())).is_err());
}

#[test]
fn a_text_forges_no_line() {
    let at = Recorder::new();
    let layer = at.layer().access_log(AccessLog::new());
    let plain = |written| tracing_subscriber::fmt().with_writer(written).finish();
    let text = written(plain, || serve_forged(&layer)).text();
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.contains("\\n2026"), "{text}");
    assert!(!text.contains("\u{1b}[2J"), "{text}");
    let lines = json(|| serve_forged(&layer));
    assert_eq!(lines.len(), 1);
    let error = lines[0]["fields"]["error"].as_str();
    assert!(
        error.is_some_and(|error| error.contains("forged")),
        "{error:?}"
    );
}

#[test]
fn the_limit_of_messages_applies() {
    let at = Recorder::new();
    let layer = at.layer().access_log(AccessLog::new()).max_error_message(0);
    let lines = json(|| serve_forged(&layer));
    assert_eq!(lines[0]["fields"]["error"], Value::Null);
    assert_eq!(lines[0]["fields"]["error_type"], "exception");
}

#[test]
fn a_terminal_shows_one_readable_line() {
    let layer = ApiSpanLayer::new()
        .tracer_provider(&NoopTracerProvider::new())
        .access_log(AccessLog::new());
    let plain = |written| {
        tracing_subscriber::fmt()
            .with_ansi(false)
            .without_time()
            .with_writer(written)
            .finish()
    };
    let text = written(plain, || serve(&layer)).text();
    let (start, times) = text.split_once(" duration_ms=").expect(&text);
    assert_eq!(
        start,
        " WARN tower_api_span::access_log: request completed method=\"POST\" path=\"/users/7\" \
         route=\"/users/{id}\" version=HTTP/1.1 status=404 outcome=\"ABORTED\" reason=\"client_error\""
    );
    assert!(times.contains(" time_to_head_ms="), "{text}");
    assert!(!times.contains("trace_id"), "{text}");
}

/// A target, a method and a request id as long as servers accept.
#[test]
fn what_a_client_sends_is_truncated() {
    let long = "x".repeat(60_000);
    let layer = ApiSpanLayer::new()
        .access_log(AccessLog::new().query(true).request_start(true))
        .request_id_header(http::HeaderName::from_static("x-request-id"))
        .tracing_span(true);
    let lines = json(|| {
        let mut service = answering(&layer, |_| response(200, ScriptedBody::full(3)));
        let request = Request::builder()
            .method(long.as_str())
            .uri(format!("/{}?{}", &long[..30_000], &long[..30_000]))
            .header("x-request-id", &long);
        let response = ready(service.call(request.body(()).expect("a request")));
        read(&mut response.expect("a response").into_body()).expect("bytes");
    });
    assert_eq!(lines.len(), 2);
    for line in &lines {
        for value in ["method", "path", "query"] {
            let value = line["fields"][value].as_str().expect(value);
            assert_eq!(value.len(), 1_024);
        }
        for value in ["method", "path", "request_id"] {
            let value = line["span"][value].as_str().expect(value);
            assert_eq!(value.len(), 1_024);
        }
    }
}
