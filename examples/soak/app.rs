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
use tower_api_span::{ApiSpanLayer, ResponseBody, SpanHandle, StreamDurations};

use crate::asked::{self, Asked};
use crate::lanes::Hanging;
use crate::paths::{Answer, Does};
use crate::{grpc_api, http_api};

/// Marks a response whose body the middleware around the layer throws away.
#[derive(Clone)]
pub(crate) struct Discarded;

/// The layer, with everything switched on that is told of a request.
pub(crate) fn layer(provider: &SdkTracerProvider, meters: &SdkMeterProvider) -> ApiSpanLayer {
    ApiSpanLayer::llm()
        .tracer_provider(provider)
        .propagator(TraceContextPropagator::new())
        .request_attributes(|request| {
            let asked = Asked::of(&request.headers)?;
            let number = i64::try_from(asked.number()).ok()?;
            Some(KeyValue::new(asked::ATTRIBUTE, number))
        })
        .meter_provider(meters)
        .active_requests(true)
        .response_times(true)
        .body_sizes(true)
        .stream_durations(StreamDurations::Marked)
}

/// Serves for as long as it is polled.
///
/// # Errors
///
/// If the server cannot go on.
pub(crate) async fn serve(
    listener: TcpListener,
    layer: ApiSpanLayer,
    hanging: Hanging,
) -> Result<(), tonic::transport::Error> {
    let http = Router::new().fallback(answer).with_state(hanging.clone());
    let routes = Routes::from(http).add_service(grpc_api::service(hanging));
    let layers = ServiceBuilder::new()
        .map_response(discard)
        .layer(layer)
        .filter(all_but_service_errors);
    Server::builder()
        .accept_http1(true)
        .layer(layers)
        .add_routes(routes)
        .serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true)))
        .await
}

async fn answer(
    State(hanging): State<Hanging>,
    span: SpanHandle,
    request: AxumRequest,
) -> Response<axum::body::Body> {
    let asked = Asked::of(request.headers());
    match asked.map(|asked| (asked.path().does, asked)) {
        Some((Does::Http(answer), asked)) => http_api::answer(answer, span, &hanging, asked).await,
        Some((Does::Grpc(..), _)) | None => http_api::unheard_of(),
    }
}

/// Stands for any middleware that answers something else than it was given, as one does which
/// finds that the client has the same `ETag` already.
fn discard(response: Response<ResponseBody<Body>>) -> Response<Body> {
    if response.extensions().get::<Discarded>().is_none() {
        return response.map(Body::new);
    }
    let mut not_modified = Response::new(Body::empty());
    *not_modified.status_mut() = http::StatusCode::NOT_MODIFIED;
    not_modified
}

/// Stands for any middleware that fails instead of answering.
fn all_but_service_errors(request: Request<Body>) -> io::Result<Request<Body>> {
    let does = Asked::of(request.headers()).map(|asked| asked.path().does);
    if does == Some(Does::Http(Answer::ServiceFails)) {
        Err(io::Error::other("the service does not answer"))
    } else {
        Ok(request)
    }
}
