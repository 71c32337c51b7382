//! Trace ids in responses and logs, with and without the spans of `tracing`.

use axum::Router;
use axum::routing::get;
use serde_json::Value;
use tower_api_span::{AccessLog, ApiSpanLayer};
use tracing::Level;

use super::{exchange, only, request, serve};
use crate::support::recorder::{Recorder, Seen};
use crate::support::{CALLER, TRACE};
use crate::tracing_output::{json_subscriber, written};

/// Serves a request of a caller, with a subscriber up to this level. Returns the answer, the span and the lines.
fn serve_logged(
    layer: fn(ApiSpanLayer) -> ApiSpanLayer,
    level: Level,
) -> (String, Seen, Vec<Value>) {
    let recorder = Recorder::new();
    let mut answer = String::new();
    let lines = written(
        |to| json_subscriber(to, level),
        || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.expect("a runtime").block_on(async {
                let handler = get(|| async {
                    tracing::info!("in the handler");
                    "well"
                });
                let app = Router::new().route("/", handler);
                let address = serve(app.layer(layer(recorder.layer()))).await;
                let caller = format!("host: a\r\ntraceparent: 00-{TRACE}-{CALLER}-01\r\n");
                answer = exchange(address, &request("GET /", &caller)).await;
                only(&recorder).await;
            });
        },
    );
    let lines = lines.json().into_iter();
    let lines = lines
        .filter(crate::tracing_output::is_of_requests)
        .collect();
    (answer, recorder.only(), lines)
}

/// tracing-opentelemetry-instrumentation-sdk #94 and #149: the id in the response was another one, or missing.
#[test]
fn id_in_the_response_is_that_of_the_span() {
    let (answer, span, _) = serve_logged(|layer| layer.traceresponse(true), Level::ERROR);
    let context = &span.0.span_context;
    let (trace, id) = (context.trace_id(), context.span_id());
    let header = format!("traceresponse: 00-{trace}-{id}-01\r\n");
    assert!(answer.contains(&header), "{answer}");
    assert_eq!(trace.to_string(), TRACE);
}

/// tracing-opentelemetry-instrumentation-sdk #148 and #330: a level that disabled the spans of `tracing` lost the
/// caller.
#[test]
fn level_of_tracing_does_not_lose_the_caller() {
    for level in [Level::ERROR, Level::TRACE] {
        let (_, span, _) = serve_logged(|layer| layer.tracing_span(true), level);
        assert_eq!(span.0.span_context.trace_id().to_string(), TRACE, "{level}");
        assert_eq!(span.0.parent_span_id.to_string(), CALLER, "{level}");
    }
}

/// tracing-actix-web #109: the line of the start had no id yet.
#[test]
fn each_line_of_a_request_has_its_trace_id() {
    let layer = |layer: ApiSpanLayer| {
        let log = AccessLog::new().request_start(true);
        layer.access_log(log).tracing_span(true)
    };
    let (_, span, lines) = serve_logged(layer, Level::INFO);
    let texts = lines.iter().map(|line| line["fields"]["message"].as_str());
    let texts: Vec<_> = texts.collect();
    let expected = ["request started", "in the handler", "request completed"];
    assert_eq!(texts, expected.map(Some));
    let id = span.0.span_context.span_id().to_string();
    for line in &lines {
        let text = line.to_string();
        assert!(text.contains(TRACE) && text.contains(&id), "{text}");
    }
}
