//! What is sent to a language model, and what it generates, is in no signal.

use std::convert::Infallible;

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request};
use opentelemetry_sdk::logs::{InMemoryLogExporter, SdkLoggerProvider};
use tower::{ServiceExt as _, service_fn};
use tower_api_span::{AccessLog, LifecycleEvents, RequestBody, RequestBodyLayer};
use tower_layer::Layer as _;

use super::llm;
use crate::support::body::ScriptedBody;
use crate::support::body::Step::Bytes;
use crate::support::meters::Meters;
use crate::support::recorder::Recorder;
use crate::support::{read, ready, response};
use crate::tracing_output::{json_subscriber, written};

const PROMPT: &str = "WhatThePersonAsked";
const ANSWER: &str = "WhatTheModelWrote";

/// An answer's content type and body.
type Answer = (&'static str, &'static str);

const REQUESTS: [&str; 5] = [
    r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"WhatThePersonAsked"}]}"#,
    r#"{"model":"m","max_tokens":9,"prompt":"WhatThePersonAsked","stop":["WhatThePersonAsked"]}"#,
    r#"{"model":"m","max_tokens":9,"input":"WhatThePersonAsked","instructions":"WhatThePersonAsked"}"#,
    r#"{"model":"m","max_tokens":9,"system":"WhatThePersonAsked","messages":[{"role":"user","content":[{"type":"text","text":"WhatThePersonAsked"}]}]}"#,
    r#"{"model":"m","contents":[{"parts":[{"text":"WhatThePersonAsked"}]}],"generationConfig":{"maxOutputTokens":9}}"#,
];

const ANSWERS: [Answer; 9] = [
    (
        "text/event-stream",
        "data: {\"id\":\"i\",\"object\":\"chat.completion.chunk\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"WhatTheModelWrote\",\"reasoning\":\"WhatTheModelWrote\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n",
    ),
    (
        "text/event-stream",
        "data: {\"id\":\"i\",\"object\":\"chat.completion.chunk\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"name\":\"WhatTheModelWrote\",\"arguments\":\"WhatTheModelWrote\"}}]},\"finish_reason\":\"tool_calls\"}]}\n\ndata: [DONE]\n\n",
    ),
    (
        "text/event-stream",
        "data: {\"id\":\"i\",\"object\":\"text_completion\",\"model\":\"m\",\"choices\":[{\"index\":0,\"text\":\"WhatTheModelWrote\",\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n",
    ),
    (
        "text/event-stream",
        "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"WhatTheModelWrote\"}\n\nevent: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"id\":\"i\",\"model\":\"m\",\"status\":\"completed\",\"output\":[{\"content\":[{\"text\":\"WhatTheModelWrote\"}]}]}}\n\n",
    ),
    (
        "text/event-stream",
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"WhatTheModelWrote\"}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    ),
    (
        "text/event-stream",
        "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"WhatTheModelWrote\"}]},\"finishReason\":\"STOP\"}],\"modelVersion\":\"m\"}\n\n",
    ),
    (
        "application/x-ndjson",
        "{\"model\":\"m\",\"message\":{\"content\":\"WhatTheModelWrote\"},\"done\":false}\n{\"model\":\"m\",\"done\":true,\"done_reason\":\"stop\"}\n",
    ),
    (
        "application/json",
        r#"{"id":"i","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"content":"WhatTheModelWrote"},"finish_reason":"stop"}]}"#,
    ),
    // Broken off inside the text.
    (
        "text/event-stream",
        "data: {\"object\":\"chat.completion.chunk\",\"model\":\"m\",\"choices\":[{\"delta\":{\"content\":\"WhatTheModelWrote",
    ),
];

/// Serves a request, and returns all that was recorded: spans, metrics, log events and lines of the access log.
fn recorded(request: &'static str, (content_type, answer): Answer) -> String {
    let (recorder, meters) = (Recorder::new(), Meters::new());
    let exporter = InMemoryLogExporter::default();
    let loggers = SdkLoggerProvider::builder()
        .with_simple_exporter(exporter.clone())
        .build();
    let layer = meters
        .on(llm(&recorder))
        .logger_provider(&loggers)
        .lifecycle_events(LifecycleEvents::AsLogs)
        .access_log(AccessLog::new().query(true).request_start(true))
        .tracing_span(true);
    let inner = service_fn(move |request: Request<RequestBody<ScriptedBody>>| {
        read(&mut request.into_body()).expect("the request");
        let mut response = response(200, ScriptedBody::new([Bytes(answer.as_bytes())]));
        let content_type = HeaderValue::from_static(content_type);
        response.headers_mut().insert(CONTENT_TYPE, content_type);
        std::future::ready(Ok::<_, Infallible>(response))
    });
    let service = layer.layer(RequestBodyLayer::new().layer(inner));
    let request = Request::post("/v1/answers")
        .header(CONTENT_TYPE, "application/json")
        .body(ScriptedBody::new([Bytes(request.as_bytes())]))
        .expect("a request");
    let lines = written(
        |to| json_subscriber(to, tracing::Level::TRACE),
        || {
            let response = ready(service.oneshot(request)).expect("a response");
            read(&mut response.into_body()).expect("the answer");
        },
    );
    let logs = exporter.get_emitted_logs().expect("logs");
    let (spans, series) = (recorder.exported(), meters.read());
    assert!(!spans.is_empty() && !series.is_empty() && !logs.is_empty());
    format!("{spans:?} {series:?} {logs:?} {}", lines.text())
}

#[test]
fn neither_prompts_nor_answers_are_in_any_signal() {
    for (nth, request) in REQUESTS.into_iter().enumerate() {
        assert!(request.contains(PROMPT), "request {nth}");
        let all = recorded(request, ANSWERS[0]);
        assert!(
            all.contains("gen_ai.request.max_tokens"),
            "request {nth} is read"
        );
        assert!(!all.contains(PROMPT), "request {nth}: {all}");
    }
    for (nth, answer) in ANSWERS.into_iter().enumerate() {
        assert!(answer.1.contains(ANSWER), "answer {nth}");
        let all = recorded(REQUESTS[0], answer);
        assert!(all.contains("request completed"), "answer {nth} is logged");
        assert!(!all.contains(ANSWER), "answer {nth}: {all}");
    }
}
