//! One application with tower-http's `TraceLayer` and with this layer: what each log has of the same requests.

use std::convert::Infallible;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::routing::get;
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tower::ServiceExt as _;
use tower_api_span::{AccessLog, ApiSpanLayer};
use tower_http::trace::TraceLayer;
use tracing::Level;

use super::{is_of_requests, json_subscriber, written};
use crate::support::defused;

/// What the client does with a request.
#[derive(Clone, Copy)]
enum Client {
    /// Reads the whole answer.
    Reads,
    /// Leaves when it has the head.
    Leaves,
    /// Leaves while the handler works.
    LeavesBeforeHead,
}

const REQUESTS: [(&str, &str, Client); 6] = [
    ("an answer", "/users/7", Client::Reads),
    ("no such route", "/none", Client::Reads),
    ("an error", "/broken", Client::Reads),
    ("a client that leaves the stream", "/stream", Client::Leaves),
    (
        "a client that leaves before the head",
        "/slow",
        Client::LeavesBeforeHead,
    ),
    ("a panic", "/panic", Client::Reads),
];

fn app() -> Router {
    let stream = || async {
        let first = Ok::<_, Infallible>(Bytes::from_static(b"data: 1\n\n"));
        let endless = futures_util::stream::once(async { first });
        let endless = futures_util::StreamExt::chain(endless, futures_util::stream::pending());
        Body::from_stream(endless)
    };
    let slow = std::future::pending::<()>;
    Router::new()
        .route(
            "/users/{id}",
            get(async || {
                tracing::info!("in the handler");
                "ok"
            }),
        )
        .route("/broken", get(async || StatusCode::INTERNAL_SERVER_ERROR))
        .route("/stream", get(stream))
        .route("/slow", get(slow))
        .route(
            "/panic",
            get(async || -> &'static str { panic!("the handler panics") }),
        )
}

async fn send(app: Router, path: &str, client: Client) {
    let request = Request::get(path).body(Body::empty()).expect("a request");
    let answer = tokio::spawn(app.oneshot(request));
    if matches!(client, Client::LeavesBeforeHead) {
        tokio::task::yield_now().await;
        answer.abort();
        let _ = answer.await;
        return;
    }
    let Ok(Ok(response)) = answer.await else {
        return;
    };
    if matches!(client, Client::Reads) {
        response.into_body().collect().await.expect("bytes");
    }
}

/// Returns the lines of one request.
fn lines(app: Router, path: &str, client: Client) -> Vec<Value> {
    let subscriber = |to| json_subscriber(to, Level::INFO);
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.expect("a runtime");
    let written = written(subscriber, || {
        defused(|| runtime.block_on(send(app, path, client)));
    });
    let lines = written.json().into_iter();
    lines.filter(is_of_requests).collect()
}

/// Returns a line as its message, the name of its span, and what it says of the end.
fn shown(line: &Value) -> String {
    let span = line["span"]["name"].as_str().unwrap_or("-");
    let fields = &line["fields"];
    let mut text = format!("{span}: {}", fields["message"].as_str().unwrap_or_default());
    for name in ["status", "classification", "outcome", "reason"] {
        match &fields[name] {
            Value::Null => {}
            Value::String(value) => text.extend([" ", name, "=", value]),
            value => text.extend([" ", name, "=", &value.to_string()]),
        }
    }
    text
}

/// tower-http's layer, with its lines at the level that an application sees.
fn with_trace_layer(app: Router) -> Router {
    use tower_http::trace::{DefaultMakeSpan, DefaultOnResponse};

    let traces = TraceLayer::new_for_http()
        .make_span_with(DefaultMakeSpan::new().level(Level::INFO))
        .on_response(DefaultOnResponse::new().level(Level::INFO));
    app.layer(traces)
}

fn with_this_layer(app: Router) -> Router {
    let layer = ApiSpanLayer::new().access_log(AccessLog::new());
    app.layer(layer.tracing_span(true))
}

/// `tests/migration` has the same over real connections, for `docs/guide/coming_from_trace_layer.md`.
#[test]
fn each_request_has_its_end_in_the_log() {
    let expected: [(&[&str], &[&str]); 6] = [
        (
            &[
                "request: in the handler",
                "request: finished processing request status=200",
            ],
            &[
                "request: in the handler",
                "request: request completed status=200 outcome=DEPARTED",
            ],
        ),
        (
            &["request: finished processing request status=404"],
            &["request: request completed status=404 outcome=ABORTED reason=client_error"],
        ),
        (
            &[
                "request: finished processing request status=500",
                "request: response failed classification=Status code: 500 Internal Server Error",
            ],
            &["request: request completed status=500 outcome=ABORTED reason=exception"],
        ),
        (
            &["request: finished processing request status=200"],
            &["request: request completed status=200 outcome=ABORTED reason=generator_exit"],
        ),
        (
            &[],
            &["request: request completed outcome=ABORTED reason=client_disconnect"],
        ),
        (
            &[],
            &["request: request completed outcome=ABORTED reason=panic"],
        ),
    ];
    for ((name, path, client), (theirs, ours)) in REQUESTS.into_iter().zip(expected) {
        let seen = |app| -> Vec<String> { lines(app, path, client).iter().map(shown).collect() };
        assert_eq!(seen(with_trace_layer(app())), theirs, "TraceLayer, {name}");
        assert_eq!(seen(with_this_layer(app())), ours, "ApiSpanLayer, {name}");
    }
}

/// With `TraceLayer` taken out, each line of the handler has no less: the method and the path.
#[test]
fn the_lines_of_handlers_have_no_less() {
    let (_, path, client) = REQUESTS[0];
    let theirs = lines(with_trace_layer(app()), path, client).remove(0);
    let ours = lines(with_this_layer(app()), path, client).remove(0);
    assert_eq!(theirs["span"]["method"], "GET");
    assert_eq!(theirs["span"]["uri"], path);
    assert_eq!(ours["span"]["method"], "GET");
    assert_eq!(ours["span"]["path"], path);
    assert_eq!(ours["span"]["route"], "/users/{id}");
}
