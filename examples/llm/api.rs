//! The API, behind the layer.

use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::{Method, request};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Json, Router};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use serde_json::{Value, json};
use tower_api_span::{ApiSpanLayer, RequestBodyLayer, SpanHandle};

use crate::engine::Engine;
use crate::error::ApiError;
use crate::models::MODELS;
use crate::reply::Reply;
use crate::request::{Endpoint, LlmRequest};

/// Returns all routes, wrapped in the layer.
pub(crate) fn routes(engine: Engine, provider: &SdkTracerProvider) -> Router {
    Router::new()
        .route("/v1/chat/completions", answers(Endpoint::Chat))
        .route("/v1/completions", answers(Endpoint::Completions))
        .route("/v1/responses", answers(Endpoint::Responses))
        .route("/v1/messages", answers(Endpoint::Messages))
        .route("/v1/models", get(models))
        .route("/health", get("ok"))
        .with_state(engine)
        // Directly inside: reads the requested model, and detects clients that disconnect inside their request.
        .layer(RequestBodyLayer::new())
        // Added last, so it is the outermost layer. A layer added later would run outside the span. It reads the
        // model, the finish reasons and the numbers of tokens from the responses.
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

fn answers(endpoint: Endpoint) -> axum::routing::MethodRouter<Engine> {
    post(
        async move |State(engine): State<Engine>, span: SpanHandle, body: Body| {
            let response = answer(endpoint, &engine, span, body).await;
            response.unwrap_or_else(|error| error.into_response(endpoint))
        },
    )
}

async fn answer(
    endpoint: Endpoint,
    engine: &Engine,
    span: SpanHandle,
    body: Body,
) -> Result<Response, ApiError> {
    let Json(body) = body?;
    let request = LlmRequest::parse(endpoint, &body)?;
    let job = engine.accept(&request)?;
    let reply = Reply::start(&request, job, span);
    if request.stream {
        Ok(reply.stream())
    } else {
        reply.whole().await
    }
}

async fn models() -> Json<Value> {
    let models =
        MODELS.map(|id| json!({ "id": id, "object": "model", "created": 0, "owned_by": "toys" }));
    Json(json!({ "object": "list", "data": models }))
}
