//! Work in other tasks, and work after the response.

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use opentelemetry::Context;
use opentelemetry::context::FutureExt as _;
use tokio::sync::Notify;
use tower_api_span::SpanHandle;

use super::{exchange, only, request, serve};
use crate::support::recorder::Recorder;

/// opentelemetry-js #5856, toasty #1043, lighthouse #8462
#[tokio::test]
async fn spans_of_a_task_that_goes_on_after_the_response_are_children_and_prolong_nothing() {
    let recorder = Recorder::new();
    let go_on = Arc::new(Notify::new());
    let (children, resumed) = (recorder.clone(), Arc::clone(&go_on));
    let handler = get(move |span: SpanHandle| async move {
        let work = async move {
            children.child("at once");
            resumed.notified().await;
            children.child("afterwards");
            span.mark_aborted("too_late", "the response is over");
            span.lost_records()
        };
        tokio::spawn(work.with_context(Context::current()));
        "accepted"
    });
    let address = serve(Router::new().route("/", handler).layer(recorder.layer())).await;
    let answer = exchange(address, &request("GET /", "host: a.example\r\n")).await;
    assert!(answer.ends_with("accepted"), "{answer}");
    assert!(
        recorder.wait_for(2).await,
        "the request and its first child"
    );
    let span = only(&recorder).await;
    assert_eq!(span.outcome(), "DEPARTED");

    go_on.notify_one();
    assert!(recorder.wait_for(3).await, "the second child");
    assert_eq!(
        only(&recorder).await.outcome(),
        "DEPARTED",
        "it is unchanged"
    );
    for name in ["at once", "afterwards"] {
        let child = recorder.named(name);
        let context = &span.0.span_context;
        assert_eq!(child.parent_span_id, context.span_id(), "{name}");
        assert_eq!(child.span_context.trace_id(), context.trace_id(), "{name}");
    }
    assert!(recorder.named("afterwards").start_time >= span.0.end_time);
}
