//! The service that the suite of W3C Trace Context calls. For each element of the request it starts a CLIENT span,
//! and sends a request with that span's context.
//!
//! Arguments: the address to listen on; `composite` for a propagator that the layer calls, instead of the one whose
//! headers it reads itself, or `global` for the latter as the global one.

use std::net::SocketAddr;

use anyhow::Context as _;
use axum::body::Body;
use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use http::{Method, Request};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use opentelemetry::Context;
use opentelemetry::global::set_text_map_propagator;
use opentelemetry::propagation::TextMapCompositePropagator;
use opentelemetry::trace::{SpanKind, TraceContextExt as _, Tracer as _, TracerProvider as _};
use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use serde_json::Value;
use tower_api_span::{ApiSpanLayer, SpanHandle};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().context("the address is missing")?;
    let address: SocketAddr = address.parse()?;
    let provider = SdkTracerProvider::builder().build();
    let layer = ApiSpanLayer::new().tracer_provider(&provider);
    let layer = match arguments.next().as_deref() {
        None => layer.propagator(TraceContextPropagator::new()),
        Some("global") => {
            set_text_map_propagator(TraceContextPropagator::new());
            layer
        }
        Some("composite") => layer.propagator(TextMapCompositePropagator::new(vec![
            Box::new(TraceContextPropagator::new()),
            Box::new(BaggagePropagator::new()),
        ])),
        Some(other) => anyhow::bail!("unknown argument: {other}"),
    };
    let app = Router::new()
        .route("/test", post(call_back))
        .layer(layer)
        .with_state(provider.tracer("service"));
    let listener = tokio::net::TcpListener::bind(address).await?;
    axum::serve(listener, app).await?;
    Ok(())
}

/// Sends the requests that the suite asks for.
async fn call_back(
    span: SpanHandle,
    State(tracer): State<SdkTracer>,
    Json(calls): Json<Vec<Value>>,
) -> Result<Json<()>, String> {
    for call in &calls {
        let client_span = tracer
            .span_builder("POST")
            .with_kind(SpanKind::Client)
            .start_with_context(&tracer, &span.context());
        let context = span.context().with_span(client_span);
        let sent = send(&span, &context, call).await;
        sent.map_err(|error| error.to_string())?;
    }
    Ok(Json(()))
}

async fn send(span: &SpanHandle, context: &Context, call: &Value) -> anyhow::Result<()> {
    let url = call["url"].as_str().context("a call has no URL")?;
    let mut request = Request::new(Body::from(call["arguments"].to_string()));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = url.parse()?;
    let content_type = "application/json".parse()?;
    request.headers_mut().insert("content-type", content_type);
    span.inject_context(context, request.headers_mut());
    let client = Client::builder(TokioExecutor::new()).build_http();
    client.request(request).await?;
    Ok(())
}
