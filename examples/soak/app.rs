//! The server: HTTP/1.1, HTTP/2 and gRPC on one port, behind the layer.

use std::io;

use axum::Router;
use axum::extract::{Request as AxumRequest, State};
use http::{Request, Response};
use opentelemetry::KeyValue;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::net::TcpListener;
use tonic::body::Body;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tower::ServiceBuilder;
use tower_api_span::{AccessLog, ApiSpanLayer, ResponseBody, SpanHandle, StreamDurations};

use crate::lanes::HangSignal;
use crate::ledger::Ledger;
use crate::paths::{Answer, ServerAction};
use crate::tag::{self, Tag};
use crate::{grpc_api, http_api};

/// Marks a response whose body is dropped by the middleware outside the layer.
#[derive(Clone)]
pub(crate) struct Discarded;

/// Returns the layer with all metrics turned on. Each span has the request's kind as an attribute. The ledger counts the
/// completions.
pub(crate) fn layer(
    provider: &SdkTracerProvider,
    meters: &SdkMeterProvider,
    ledger: Ledger,
) -> ApiSpanLayer {
    ApiSpanLayer::llm()
        .tracer_provider(provider)
        .propagator(TraceContextPropagator::new())
        .request_attributes(|request| {
            let tag = Tag::from_headers(&request.headers)?;
            let kind = i64::try_from(tag.kind()).ok()?;
            Some(KeyValue::new(tag::ATTRIBUTE, kind))
        })
        .meter_provider(meters)
        .active_requests(true)
        .response_times(true)
        .body_sizes(true)
        .stream_durations(StreamDurations::Marked)
        .access_log(AccessLog::new())
        .tracing_span(true)
        .on_completion(move |_| ledger.count_completion())
}

/// Serves until it is dropped.
///
/// # Errors
///
/// If the server fails.
pub(crate) async fn serve(
    listener: TcpListener,
    layer: ApiSpanLayer,
    hang_signal: HangSignal,
) -> Result<(), tonic::transport::Error> {
    let http = Router::new()
        .fallback(answer)
        .with_state(hang_signal.clone());
    let routes = Routes::from(http).add_service(grpc_api::service(hang_signal));
    let layers = ServiceBuilder::new()
        .map_response(discard)
        .layer(layer)
        .filter(fail_for_service_error);
    Server::builder()
        .accept_http1(true)
        .layer(layers)
        .add_routes(routes)
        .serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true)))
        .await
}

async fn answer(
    State(hang_signal): State<HangSignal>,
    span: SpanHandle,
    request: AxumRequest,
) -> Response<axum::body::Body> {
    let tag = Tag::from_headers(request.headers());
    match tag.map(|tag| (tag.path().server, tag)) {
        Some((ServerAction::Http(answer), tag)) => {
            http_api::answer(answer, span, &hang_signal, tag).await
        }
        Some((ServerAction::Grpc(..), _)) | None => http_api::not_implemented(),
    }
}

/// Replaces a response marked [`Discarded`] with a 304, as a middleware for conditional requests does.
fn discard(response: Response<ResponseBody<Body>>) -> Response<Body> {
    if response.extensions().get::<Discarded>().is_none() {
        return response.map(Body::new);
    }
    let mut not_modified = Response::new(Body::empty());
    *not_modified.status_mut() = http::StatusCode::NOT_MODIFIED;
    not_modified
}

/// Fails for [`Answer::ServiceFails`], as a middleware that returns an error does.
fn fail_for_service_error(request: Request<Body>) -> io::Result<Request<Body>> {
    let action = Tag::from_headers(request.headers()).map(|tag| tag.path().server);
    if action == Some(ServerAction::Http(Answer::ServiceFails)) {
        Err(io::Error::other("the service does not answer"))
    } else {
        Ok(request)
    }
}
