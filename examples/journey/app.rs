//! The application: HTTP and gRPC on one port, behind the layer.

use std::io;
use std::panic::panic_any;

use http::{Request, Response, StatusCode};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::net::TcpListener;
use tonic::body::Body;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tower::ServiceBuilder;
use tower_api_span::{ApiSpanLayer, Completion, Outcome, ResponseBody, classify};

use crate::engine::{Engine, IntendedPanic};
use crate::{grpc_api, http_api};

/// The service returns an error, and no response, for this path.
pub(crate) const SERVICE_ERROR: &str = "/exception/service";
/// The verdict on which the classification panics.
pub(crate) const UNCLASSIFIABLE: &str = "unclassifiable";
/// Marks a response whose body is dropped by the middleware outside the layer.
pub(crate) const DISCARDED: Discarded = Discarded;

#[derive(Clone)]
pub(crate) struct Discarded;

/// Returns the layer with the application's settings.
pub(crate) fn layer(provider: &SdkTracerProvider) -> ApiSpanLayer {
    ApiSpanLayer::llm()
        .tracer_provider(provider)
        .propagator(TraceContextPropagator::new())
        .classify(classify_or_panic)
}

/// Serves HTTP/1.1, HTTP/2 and gRPC until `stopped` completes and the last response has ended.
///
/// # Errors
///
/// If the server fails.
pub(crate) async fn serve(
    listener: TcpListener,
    layer: ApiSpanLayer,
    engine: Engine,
    stopped: impl Future<Output = ()>,
) -> Result<(), tonic::transport::Error> {
    let http = http_api::routes(engine.clone()).fallback(not_found);
    let routes = Routes::from(http).add_service(grpc_api::service(engine));
    let layers = ServiceBuilder::new()
        .map_response(discard)
        .layer(layer)
        .filter(fail_for_service_error);
    Server::builder()
        .accept_http1(true)
        .layer(layers)
        .add_routes(routes)
        .serve_with_incoming_shutdown(
            TcpIncoming::from(listener).with_nodelay(Some(true)),
            stopped,
        )
        .await
}

/// Answers 404 over HTTP and UNIMPLEMENTED over gRPC.
async fn not_found(request: axum::extract::Request) -> Response<Body> {
    let content_type = request.headers().get(http::header::CONTENT_TYPE);
    if content_type.is_some_and(|value| value.as_bytes().starts_with(b"application/grpc")) {
        tonic::Status::unimplemented("no such service").into_http()
    } else {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_FOUND;
        response
    }
}

/// Replaces a response marked [`Discarded`] with a 304, as a middleware for conditional requests does.
fn discard(response: Response<ResponseBody<Body>>) -> Response<Body> {
    if response.extensions().get::<Discarded>().is_none() {
        return response.map(Body::new);
    }
    let mut not_modified = Response::new(Body::empty());
    *not_modified.status_mut() = StatusCode::NOT_MODIFIED;
    not_modified
}

/// Fails for [`SERVICE_ERROR`], as a middleware that returns an error does.
fn fail_for_service_error(request: Request<Body>) -> io::Result<Request<Body>> {
    if request.uri().path() == SERVICE_ERROR {
        Err(io::Error::other("the engine does not answer"))
    } else {
        Ok(request)
    }
}

/// Classifies, and panics for [`UNCLASSIFIABLE`]: a callback with a bug must not change the response.
fn classify_or_panic(completion: &Completion) -> Outcome {
    let verdict = completion.verdict();
    if verdict.is_some_and(|verdict| verdict.reason == UNCLASSIFIABLE) {
        panic_any(IntendedPanic);
    }
    classify(completion)
}
