//! The server: HTTP/1.1, HTTP/2 and gRPC on one port. Two layers are stacked, with an observer outside and one inside.

use std::io;

use axum::Router;
use axum::extract::{Request as AxumRequest, State};
use http::{HeaderName, Request, Response, header};
use http_body_util::BodyExt as _;
use opentelemetry::propagation::TextMapCompositePropagator;
use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};
use tokio::net::TcpListener;
use tonic::body::Body;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::{TcpConnectInfo, TcpIncoming};
use tower::ServiceBuilder;
use tower_api_span::{
    AccessLog, ApiSpanLayer, Completion, Outcome, ProxyHeaders, RequestBodyLayer, SpanHandle,
    StreamDurations,
};

use crate::lanes::HangSignal;
use crate::ledger;
use crate::observer::{Observed, ObserverLayer};
use crate::paths::{Answer, ServerAction};
use crate::signals::Signals;
use crate::tag::Tag;
use crate::verdicts::Place;
use crate::{grpc_api, http_api, metrics};

/// Marks a response whose body is dropped by the middleware outside the layer.
#[derive(Clone)]
pub(crate) struct Discarded;

/// Returns the outer layer: it reads the callers, and makes a span of its own.
fn outer_layer(signals: &Signals) -> ApiSpanLayer {
    common(ApiSpanLayer::llm())
        .tracer_provider(&signals.outer.provider)
        .public_endpoint_fn(|request| {
            let tag = Tag::from_headers(&request.headers);
            tag.is_some_and(|tag| tag.path().caller.is_public())
        })
        .propagate_to_inner(true)
}

/// Returns the inner layer, with all signals: it is the one that handlers record on.
fn inner_layer(signals: &Signals) -> ApiSpanLayer {
    let completions = signals.completions.clone();
    common(ApiSpanLayer::llm())
        .tracer_provider(&signals.inner.provider)
        .meter_provider(&signals.metrics.provider)
        .logger_provider(&signals.logs.provider)
        .active_requests(true)
        .response_times(true)
        .stream_durations(StreamDurations::Marked)
        .metric_attribute_keys([metrics::OUTCOME])
        .metric_attributes(|completion| [metrics::outcome(outcome(completion))])
        .capture_request_headers([header::USER_AGENT, HeaderName::from_static("x-soak")])
        .capture_response_headers([header::CONTENT_TYPE])
        .traceresponse(true)
        .server_timing(true)
        .expose_trace_headers(true)
        .access_log(AccessLog::new())
        .tracing_span(true)
        .on_completion(move |completion| completions.count(outcome(completion)))
}

fn common(layer: ApiSpanLayer) -> ApiSpanLayer {
    layer
        .propagator(propagator())
        .request_attributes(ledger::attributes)
        .trusted_proxies(1)
        .proxy_headers(ProxyHeaders::Either)
        .peer_address_fn(|request| {
            let info = request.extensions.get::<TcpConnectInfo>()?;
            info.remote_addr()
        })
        .body_sizes(true)
}

/// Returns the propagator: the last of its formats that finds a caller counts.
#[expect(deprecated, reason = "callers of other systems send B3 nevertheless")]
fn propagator() -> TextMapCompositePropagator {
    TextMapCompositePropagator::new(vec![
        Box::new(opentelemetry_zipkin::Propagator::with_encoding(
            opentelemetry_zipkin::B3Encoding::SingleAndMultiHeader,
        )),
        Box::new(TraceContextPropagator::new()),
        Box::new(BaggagePropagator::new()),
    ])
}

/// Returns the outcome as `DEPARTED` or `ABORTED(reason)`.
fn outcome(completion: &Completion) -> String {
    match completion.outcome() {
        Some(Outcome::Departed) => "DEPARTED".to_owned(),
        Some(Outcome::Aborted(aborted)) => format!("ABORTED({})", aborted.reason),
        Some(_) | None => "no outcome".to_owned(),
    }
}

/// Serves until it is dropped.
///
/// # Errors
///
/// If the server fails.
pub(crate) async fn serve(
    listener: TcpListener,
    signals: Signals,
    hang_signal: HangSignal,
) -> Result<(), tonic::transport::Error> {
    let http = Router::new()
        .fallback(answer)
        .with_state(hang_signal.clone());
    let routes = Routes::from(http).add_service(grpc_api::service(hang_signal.clone()));
    let layers = ServiceBuilder::new()
        .map_response(discard)
        .layer(ObserverLayer(Place::Outer, signals.verdicts.clone()))
        .layer(outer_layer(&signals))
        .layer(RequestBodyLayer::new())
        .layer(inner_layer(&signals))
        .layer(RequestBodyLayer::new())
        .layer(ObserverLayer(Place::Inner, signals.verdicts.clone()))
        .map_request(move |request| signal_upload(request, &hang_signal))
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
            http_api::answer(answer, span, &hang_signal, tag, request.into_body()).await
        }
        Some((ServerAction::Grpc(..), _)) | None => http_api::not_implemented(),
    }
}

/// Signals the client that cuts its upload when the first frame of that has been read.
fn signal_upload<B>(request: Request<B>, hang_signal: &HangSignal) -> Request<Body>
where
    B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let tag = Tag::from_headers(request.headers());
    let Some(tag) = tag.filter(|tag| tag.path().client.cuts_upload()) else {
        return request.map(Body::new);
    };
    let mut signal = Some(hang_signal.clone());
    request.map(|body| {
        Body::new(body.map_frame(move |frame| {
            if let Some(signal) = signal.take() {
                signal.notify(tag);
            }
            frame
        }))
    })
}

/// Replaces a response marked [`Discarded`] with a 304, as a middleware for conditional requests does.
fn discard<B>(response: Response<Observed<B>>) -> Response<Body>
where
    B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
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
