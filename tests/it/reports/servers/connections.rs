//! Several requests on one connection.

use std::collections::HashMap;

use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use tokio::io::AsyncReadExt as _;

use super::{connect_and_send, serve};
use crate::support::recorder::{Recorder, Seen, is_server};

/// Returns a request with a caller of its own.
fn called(number: usize, headers: &str) -> String {
    format!(
        "GET /items/{number} HTTP/1.1\r\nhost: a.example\r\n{headers}\
         traceparent: 00-{number:032x}-{number:016x}-01\r\n\r\n"
    )
}

/// opentelemetry-java-instrumentation #8403, hypertrace/javaagent #385: a request had the context of the one before.
#[tokio::test]
async fn each_pipelined_request_has_its_own_caller_and_its_own_children() {
    const REQUESTS: usize = 20;
    let recorder = Recorder::new();
    let children = recorder.clone();
    let item = get(move |Path(number): Path<usize>| async move {
        tokio::task::yield_now().await;
        children.child("child");
        number.to_string()
    });
    let app = Router::new().route("/items/{number}", item);
    let address = serve(app.layer(recorder.layer())).await;
    let mut requests: Vec<_> = (1..REQUESTS).map(|number| called(number, "")).collect();
    requests.push(called(REQUESTS, "connection: close\r\n"));
    let mut stream = connect_and_send(address, requests.concat().as_bytes()).await;
    let mut answers = String::new();
    stream.read_to_string(&mut answers).await.expect("answers");
    assert_eq!(answers.matches("HTTP/1.1 200").count(), REQUESTS);
    recorder.all_ended().await;

    let spans = recorder.spans();
    let (servers, children): (Vec<_>, Vec<_>) = spans.iter().partition(|span| is_server(span));
    let children: HashMap<_, _> = children
        .iter()
        .map(|child| (child.span_context.trace_id(), child.parent_span_id))
        .collect();
    assert_eq!((servers.len(), children.len()), (REQUESTS, REQUESTS));
    for (number, span) in (1_u64..).zip(servers) {
        assert_eq!(span.parent_span_id, number.into(), "{number}");
        let trace = span.span_context.trace_id();
        assert_eq!(trace, u128::from(number).into(), "{number}");
        assert_eq!(children[&trace], span.span_context.span_id(), "{number}");
    }
}

/// opentelemetry-java-instrumentation #11942: the spans of requests that are never answered stayed in a queue.
#[tokio::test]
async fn request_that_is_never_answered_keeps_no_span_open() {
    let recorder = Recorder::new();
    let item = get(|Path(number): Path<usize>| async move {
        if number == 2 {
            std::future::pending::<()>().await;
        }
        number.to_string()
    });
    let app = Router::new().route("/items/{number}", item);
    let address = serve(app.layer(recorder.layer())).await;
    let requests = [called(1, ""), called(2, "")].concat();
    let mut stream = connect_and_send(address, requests.as_bytes()).await;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n1") {
        answer.push(stream.read_u8().await.expect("the first answer"));
    }
    while recorder.starts() < 2 {
        tokio::task::yield_now().await;
    }
    drop(stream);
    recorder.all_ended().await;
    let outcomes = recorder
        .spans()
        .into_iter()
        .map(|span| Seen(span).outcome());
    let outcomes: Vec<_> = outcomes.collect();
    assert_eq!(outcomes, ["DEPARTED", "ABORTED(client_disconnect)"]);
}
