//! The application: both APIs on one port, and where the layer goes.

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
use tower_api_span::{ApiSpanLayer, End, Head, Outcome, ResponseBody, Verdict, classify};

use crate::engine::{Engine, IntendedPanic};
use crate::{grpc_api, http_api};

/// A request for this path gets no response, but the error of a service.
pub(crate) const SERVICE_ERROR: &str = "/exception/service";
/// A verdict that the classification cannot cope with.
pub(crate) const UNCLASSIFIABLE: &str = "unclassifiable";
/// Marks a response whose body the middleware around the layer throws away.
pub(crate) const DISCARDED: Discarded = Discarded;

#[derive(Clone)]
pub(crate) struct Discarded;

/// The layer, with what the application says of itself.
pub(crate) fn layer(provider: &SdkTracerProvider) -> ApiSpanLayer {
    ApiSpanLayer::llm()
        .tracer_provider(provider)
        .propagator(TraceContextPropagator::new())
        .classify(classify_most)
}

/// Serves HTTP/1.1, HTTP/2 and gRPC, until told to stop and the last response is over.
///
/// # Errors
///
/// If the server cannot go on.
pub(crate) async fn serve(
    listener: TcpListener,
    layer: ApiSpanLayer,
    engine: Engine,
    until: impl Future<Output = ()>,
) -> Result<(), tonic::transport::Error> {
    let http = http_api::routes(engine.clone()).fallback(not_found);
    let routes = Routes::from(http).add_service(grpc_api::service(engine));
    let layers = ServiceBuilder::new()
        .map_response(discard)
        .layer(layer)
        .filter(all_but_service_error);
    Server::builder()
        .accept_http1(true)
        .layer(layers)
        .add_routes(routes)
        .serve_with_incoming_shutdown(TcpIncoming::from(listener).with_nodelay(Some(true)), until)
        .await
}

/// Each protocol has its own way to say so.
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

/// Stands for any middleware that answers something else than it was given, as one does which
/// finds that the client has the same `ETag` already.
fn discard(response: Response<ResponseBody<Body>>) -> Response<Body> {
    if response.extensions().get::<Discarded>().is_none() {
        return response.map(Body::new);
    }
    let mut not_modified = Response::new(Body::empty());
    *not_modified.status_mut() = StatusCode::NOT_MODIFIED;
    not_modified
}

/// Stands for any middleware that fails instead of answering.
fn all_but_service_error(request: Request<Body>) -> io::Result<Request<Body>> {
    if request.uri().path() == SERVICE_ERROR {
        Err(io::Error::other("the engine does not answer"))
    } else {
        Ok(request)
    }
}

/// A hook with a bug, which is telemetry's own affair.
fn classify_most(head: &Head, end: &End, verdict: Option<&Verdict>) -> Outcome {
    if verdict.is_some_and(|verdict| verdict.reason == UNCLASSIFIABLE) {
        panic_any(IntendedPanic);
    }
    classify(head, end, verdict)
}
