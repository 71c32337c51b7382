//! The API of the gateway, behind the layer.

use axum::Json;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, request};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use serde_json::json;
use tower_api_span::{ApiSpanLayer, RequestBodyLayer, SpanHandle};

use crate::upstream::{CallError, Upstream};

/// Returns all routes, wrapped in the layer.
pub(crate) fn routes(upstream: Upstream, provider: &SdkTracerProvider) -> Router {
    Router::new()
        .route("/v1/{*path}", any(forward))
        .route("/health", get("ok"))
        .with_state(upstream)
        // Reads the requested model, and detects clients that disconnect inside their request.
        .layer(RequestBodyLayer::new())
        // Reads the model, the finish reasons, the numbers of tokens and the failures from the responses.
        .layer(
            ApiSpanLayer::llm()
                .tracer_provider(provider)
                .propagator(TraceContextPropagator::new())
                .filter(is_traced),
        )
}

/// Excludes polled endpoints from tracing.
fn is_traced(request: &request::Parts) -> bool {
    !matches!(request.uri.path(), "/health" | "/v1/models")
}

async fn forward(State(upstream): State<Upstream>, span: SpanHandle, request: Request) -> Response {
    span.handoff_to_core();
    match upstream.call(&span, request).await {
        Ok(response) => response,
        Err(error) => {
            // The layer knows already that the client has disconnected inside its request.
            if let Some(reason) = error.reason() {
                // The status alone would be recorded as `exception`, like an upstream's own 502.
                span.mark_aborted(reason, &error);
            }
            respond(&error)
        }
    }
}

/// Returns an error in a form that the clients of all APIs read.
fn respond(error: &CallError) -> Response {
    let status = match error {
        CallError::Request(_) => StatusCode::BAD_REQUEST,
        CallError::Unreachable(_) | CallError::Failed(_) => StatusCode::BAD_GATEWAY,
        CallError::TimedOut(_) => StatusCode::GATEWAY_TIMEOUT,
    };
    let error = json!({
        "message": error.to_string(),
        "type": error.reason().unwrap_or("invalid_request_error"),
        "param": null,
        "code": status.as_u16(),
    });
    (status, Json(json!({ "type": "error", "error": error }))).into_response()
}
