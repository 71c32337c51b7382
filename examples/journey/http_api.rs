//! The API over HTTP: one route for each way a request can end.

use std::io;
use std::panic::panic_any;

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use futures_util::stream::StreamExt;
use tower_api_span::SpanHandle;

use crate::app::{DISCARDED, UNCLASSIFIABLE};
use crate::engine::{Engine, IntendedPanic, TOKENS};

pub(crate) const ANSWER: &str = "token token token\n";
const SSE_TOKEN: &str = "data: token\n\n";
const SSE_DONE: &str = "data: [DONE]\n\n";
/// A token in the format of chat completions, which ends with [`SSE_DONE`]. The layer recognises it.
const CHAT_TOKEN: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"token\"}}]}\n\n";
pub(crate) const CHAT_BYTES: usize = TOKENS as usize * CHAT_TOKEN.len();
pub(crate) const TOKENS_BYTES: usize = TOKENS as usize * SSE_TOKEN.len();
pub(crate) const STREAM_BYTES: usize = TOKENS_BYTES + SSE_DONE.len();

/// Returns all routes. The path selects how the request ends.
pub(crate) fn routes(engine: Engine) -> Router {
    Router::new()
        .route("/success/streaming", get(success_streaming))
        .route("/success/buffered", get(success_buffered))
        .route("/content-length", get(content_length))
        .route("/handler-error/streaming", get(handler_error_streaming))
        .route("/handler-error/buffered", get(handler_error_buffered))
        .route("/cancelled/streaming", get(cancelled_streaming))
        .route("/cancelled/buffered", get(cancelled_buffered))
        .route("/truncated/streaming", get(truncated_streaming))
        .route("/closed/streaming", get(closed_streaming))
        .route("/invalid/buffered", get(invalid_buffered))
        .route("/exception/streaming", get(exception_streaming))
        .route("/exception/buffered", get(exception_buffered))
        .route("/uncaught/streaming", get(uncaught_streaming))
        .route("/uncaught/buffered", get(uncaught_buffered))
        .route("/tracing-panic/streaming", get(tracing_panic_streaming))
        .route("/tracing-panic/buffered", get(tracing_panic_buffered))
        .route_layer(from_fn(record_route))
        .with_state(engine)
}

/// Records the route: the layer is outside the router and cannot read it.
async fn record_route(
    path: MatchedPath,
    span: SpanHandle,
    request: Request,
    next: Next,
) -> Response {
    span.set_route(path.as_str());
    next.run(request).await
}

async fn success_streaming(State(engine): State<Engine>, span: SpanHandle) -> Response {
    sse(engine, span, async { Ok(SSE_DONE) })
}

async fn success_buffered(State(engine): State<Engine>, span: SpanHandle) -> &'static str {
    engine.generate(&span, async { ANSWER }).await
}

/// Streams with a Content-Length: the server drops the body after the declared bytes, before its `None`.
async fn content_length(engine: State<Engine>, span: SpanHandle) -> impl IntoResponse {
    let streamed = success_streaming(engine, span).await;
    ([(CONTENT_LENGTH, STREAM_BYTES)], streamed)
}

/// Sends a complete response and reports an error through the handle.
async fn handler_error_streaming(State(engine): State<Engine>, span: SpanHandle) -> Response {
    sse(engine, span.clone(), async move {
        span.mark_aborted("generation_error", "the engine ran out of memory");
        Ok(SSE_DONE)
    })
}

async fn handler_error_buffered(State(engine): State<Engine>, span: SpanHandle) -> &'static str {
    let reported = async {
        span.mark_aborted("content_filter", "the answer was withheld");
        ANSWER
    };
    engine.generate(&span, reported).await
}

async fn cancelled_streaming(State(engine): State<Engine>, span: SpanHandle) -> Response {
    let hanging = engine.clone();
    sse(engine, span, async move {
        hanging.hang().await;
        Ok(SSE_DONE)
    })
}

async fn cancelled_buffered(State(engine): State<Engine>, span: SpanHandle) -> &'static str {
    engine.generate(&span, engine.hang()).await;
    ANSWER
}

/// The body is complete for HTTP, but lacks the event that ends the stream.
async fn truncated_streaming(State(engine): State<Engine>, span: SpanHandle) -> Response {
    event_stream(engine, span, CHAT_TOKEN, async { None })
}

async fn closed_streaming(engine: State<Engine>, span: SpanHandle) -> impl IntoResponse {
    (Extension(DISCARDED), success_streaming(engine, span).await)
}

async fn invalid_buffered() -> StatusCode {
    StatusCode::BAD_REQUEST
}

async fn exception_streaming(State(engine): State<Engine>, span: SpanHandle) -> Response {
    sse(engine, span, async {
        Err(io::Error::other("the engine has gone away"))
    })
}

async fn exception_buffered(State(engine): State<Engine>, span: SpanHandle) -> StatusCode {
    let failed = async { StatusCode::INTERNAL_SERVER_ERROR };
    engine.generate(&span, failed).await
}

async fn uncaught_streaming(State(engine): State<Engine>, span: SpanHandle) -> Response {
    sse(engine, span, async { panic_any(IntendedPanic) })
}

async fn uncaught_buffered(State(engine): State<Engine>, span: SpanHandle) -> StatusCode {
    let panics = async { panic_any(IntendedPanic) };
    engine.generate(&span, panics).await
}

async fn tracing_panic_streaming(engine: State<Engine>, span: SpanHandle) -> Response {
    span.mark_aborted(UNCLASSIFIABLE, "");
    success_streaming(engine, span).await
}

async fn tracing_panic_buffered(engine: State<Engine>, span: SpanHandle) -> &'static str {
    span.mark_aborted(UNCLASSIFIABLE, "");
    success_buffered(engine, span).await
}

/// Returns an event stream of tokens that ends with `last`.
fn sse(
    engine: Engine,
    span: SpanHandle,
    last: impl Future<Output = io::Result<&'static str>> + Send + 'static,
) -> Response {
    event_stream(engine, span, SSE_TOKEN, async { Some(last.await) })
}

fn event_stream(
    engine: Engine,
    span: SpanHandle,
    token: &'static str,
    last: impl Future<Output = Option<io::Result<&'static str>>> + Send + 'static,
) -> Response {
    let events = engine.generate_stream(span, token, last).boxed();
    let content_type = (CONTENT_TYPE, "text/event-stream");
    ([content_type], Body::from_stream(events)).into_response()
}
