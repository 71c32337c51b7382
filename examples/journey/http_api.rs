//! The API over HTTP: a route for each way to end.

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
pub(crate) const TOKENS_BYTES: usize = TOKENS as usize * SSE_TOKEN.len();
pub(crate) const STREAM_BYTES: usize = TOKENS_BYTES + SSE_DONE.len();

/// All routes. The path says what will happen.
pub(crate) fn routes(engine: Engine) -> Router {
    Router::new()
        .route("/success/streaming", get(success_streaming))
        .route("/success/whole", get(success_whole))
        .route("/content-length", get(content_length))
        .route("/told/streaming", get(told_streaming))
        .route("/told/whole", get(told_whole))
        .route("/cancelled/streaming", get(cancelled_streaming))
        .route("/cancelled/whole", get(cancelled_whole))
        .route("/closed/streaming", get(closed_streaming))
        .route("/invalid/whole", get(invalid_whole))
        .route("/exception/streaming", get(exception_streaming))
        .route("/exception/whole", get(exception_whole))
        .route("/uncaught/streaming", get(uncaught_streaming))
        .route("/uncaught/whole", get(uncaught_whole))
        .route("/telemetry/streaming", get(telemetry_streaming))
        .route("/telemetry/whole", get(telemetry_whole))
        .route_layer(from_fn(tell_route))
        .with_state(engine)
}

/// The layer is outside the router, where nobody knows the route yet.
async fn tell_route(path: MatchedPath, span: SpanHandle, request: Request, next: Next) -> Response {
    span.set_route(path.as_str());
    next.run(request).await
}

async fn success_streaming(State(engine): State<Engine>, span: SpanHandle) -> Response {
    sse(engine, span, async { Ok(SSE_DONE) })
}

async fn success_whole(State(engine): State<Engine>, span: SpanHandle) -> &'static str {
    engine.whole(&span, async { ANSWER }).await
}

/// Its server stops asking once the declared bytes are there: the body's `None` is never seen.
async fn content_length(engine: State<Engine>, span: SpanHandle) -> impl IntoResponse {
    let streamed = success_streaming(engine, span).await;
    ([(CONTENT_LENGTH, STREAM_BYTES)], streamed)
}

/// Ends as it should on the wire; that it was cut short is known to the handler alone.
async fn told_streaming(State(engine): State<Engine>, span: SpanHandle) -> Response {
    sse(engine, span.clone(), async move {
        span.abort("generation_error", "the engine ran out of memory");
        Ok(SSE_DONE)
    })
}

async fn told_whole(State(engine): State<Engine>, span: SpanHandle) -> &'static str {
    let told = async {
        span.abort("content_filter", "the answer was withheld");
        ANSWER
    };
    engine.whole(&span, told).await
}

async fn cancelled_streaming(State(engine): State<Engine>, span: SpanHandle) -> Response {
    let hanging = engine.clone();
    sse(engine, span, async move {
        hanging.hang().await;
        Ok(SSE_DONE)
    })
}

async fn cancelled_whole(State(engine): State<Engine>, span: SpanHandle) -> &'static str {
    engine.whole(&span, engine.hang()).await;
    ANSWER
}

async fn closed_streaming(engine: State<Engine>, span: SpanHandle) -> impl IntoResponse {
    (Extension(DISCARDED), success_streaming(engine, span).await)
}

async fn invalid_whole() -> StatusCode {
    StatusCode::BAD_REQUEST
}

async fn exception_streaming(State(engine): State<Engine>, span: SpanHandle) -> Response {
    sse(engine, span, async {
        Err(io::Error::other("the engine has gone away"))
    })
}

async fn exception_whole(State(engine): State<Engine>, span: SpanHandle) -> StatusCode {
    let failed = async { StatusCode::INTERNAL_SERVER_ERROR };
    engine.whole(&span, failed).await
}

async fn uncaught_streaming(State(engine): State<Engine>, span: SpanHandle) -> Response {
    sse(engine, span, async { panic_any(IntendedPanic) })
}

async fn uncaught_whole(State(engine): State<Engine>, span: SpanHandle) -> StatusCode {
    let panics = async { panic_any(IntendedPanic) };
    engine.whole(&span, panics).await
}

async fn telemetry_streaming(engine: State<Engine>, span: SpanHandle) -> Response {
    span.abort(UNCLASSIFIABLE, "");
    success_streaming(engine, span).await
}

async fn telemetry_whole(engine: State<Engine>, span: SpanHandle) -> &'static str {
    span.abort(UNCLASSIFIABLE, "");
    success_whole(engine, span).await
}

/// A stream of tokens that ends with `last`.
fn sse(
    engine: Engine,
    span: SpanHandle,
    last: impl Future<Output = io::Result<&'static str>> + Send + 'static,
) -> Response {
    let last = async { Some(last.await) };
    let events = engine.stream(span, SSE_TOKEN, last).boxed();
    let content_type = (CONTENT_TYPE, "text/event-stream");
    ([content_type], Body::from_stream(events)).into_response()
}
