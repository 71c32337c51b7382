//! The API, behind the layer.

use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::{Method, request};
use axum::response::sse::Sse;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use serde_json::{Value, json};
use tower_api_span::{ApiSpanLayer, SpanHandle};

use crate::engine::{Engine, MODELS, WEIGHTS};
use crate::error::ApiError;
use crate::reply::Reply;
use crate::request::{CompletionRequest, Endpoint};

/// Returns all routes, wrapped in the layer.
pub(crate) fn routes(engine: Engine, provider: &SdkTracerProvider) -> Router {
    Router::new()
        .route("/v1/chat/completions", post(chat))
        .route("/v1/completions", post(completions))
        .route("/v1/models", get(models))
        .route("/health", get("ok"))
        .with_state(engine)
        // Added last, so it is the outermost layer. A layer added later would run outside the span.
        .layer(
            ApiSpanLayer::llm()
                .tracer_provider(provider)
                .propagator(TraceContextPropagator::new())
                .filter(is_traced),
        )
}

/// Excludes preflight requests and polled endpoints from tracing.
fn is_traced(request: &request::Parts) -> bool {
    request.method != Method::OPTIONS && !matches!(request.uri.path(), "/health" | "/v1/models")
}

type Body = Result<Json<Value>, JsonRejection>;

async fn chat(
    State(engine): State<Engine>,
    span: SpanHandle,
    body: Body,
) -> Result<Response, ApiError> {
    answer(Endpoint::Chat, &engine, span, body).await
}

async fn completions(
    State(engine): State<Engine>,
    span: SpanHandle,
    body: Body,
) -> Result<Response, ApiError> {
    answer(Endpoint::Completions, &engine, span, body).await
}

async fn answer(
    endpoint: Endpoint,
    engine: &Engine,
    span: SpanHandle,
    body: Body,
) -> Result<Response, ApiError> {
    let Json(body) = body?;
    let request = CompletionRequest::parse(endpoint, &body)?;
    let gen_ai = span.gen_ai();
    gen_ai.request_model(&request.model);
    if let Some(tokens) = request.max_tokens {
        gen_ai.max_tokens(tokens);
    }
    if let Some(temperature) = request.temperature {
        gen_ai.temperature(temperature);
    }
    let job = engine.accept(&request)?;
    gen_ai.response_model(WEIGHTS);
    let is_stream = request.stream;
    let reply = Reply::start(request, job, span);
    Ok(if is_stream {
        Sse::new(reply.events()).into_response()
    } else {
        Json(reply.buffered().await?).into_response()
    })
}

async fn models() -> Json<Value> {
    let models =
        MODELS.map(|id| json!({ "id": id, "object": "model", "created": 0, "owned_by": "toys" }));
    Json(json!({ "object": "list", "data": models }))
}
