//! Auto traits of the public types, the places where the layer must compile, and `Debug` output.

use std::convert::Infallible;
use std::fmt::Debug;
use std::marker::PhantomPinned;
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::{Request, Response, StatusCode};
use http_body::Body as _;
use http_body_util::Full;
use opentelemetry::logs::NoopLoggerProvider;
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use static_assertions::{assert_impl_all, assert_not_impl_any, assert_type_eq_all};
use tower::{BoxError, Service, ServiceBuilder, service_fn};
use tower_api_span::{
    Aborted, ApiSpan, ApiSpanLayer, Completion, End, GenAi, GrpcCode, GrpcStatus, Outcome,
    Protocol, RequestBodyLayer, ResponseBody, ResponseFuture, SpanHandle, Stage, Verdict,
};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::cors::CorsLayer;
use tower_http::timeout::TimeoutLayer;
use tower_layer::Layer as _;

use crate::support::body::ScriptedBody;
use crate::support::meters::Meters;
use crate::support::recorder::{Recorder, w3c};
use crate::support::{answering, get as get_request, handle_of, poll_frame, ready, response};

// The re-exported API is the one that the settings and the handle take.
assert_type_eq_all!(
    tower_api_span::opentelemetry::KeyValue,
    opentelemetry::KeyValue
);
assert_impl_all!(ApiSpanLayer: Clone, Debug, Default, Send, Sync, Unpin);
assert_impl_all!(SpanHandle: Clone, Debug, Default, Send, Sync, Unpin);
assert_impl_all!(GenAi<'static>: Copy, Debug, Send, Sync, Unpin);
assert_impl_all!(Completion: Clone, Debug, Send, Sync, Unpin);
assert_impl_all!(End: Clone, Debug, PartialEq, Send, Sync, Unpin);
assert_impl_all!(Stage: Copy, Debug, PartialEq, Send, Sync, Unpin);
assert_impl_all!(Protocol: Copy, Debug, PartialEq, Send, Sync, Unpin);
assert_impl_all!(Verdict: Clone, Debug, PartialEq, Send, Sync, Unpin);
assert_impl_all!(Outcome: Clone, Debug, PartialEq, Send, Sync, Unpin);
assert_impl_all!(Aborted: Clone, Debug, PartialEq, Send, Sync, Unpin);
assert_impl_all!(GrpcStatus: Clone, Debug, PartialEq, Send, Sync, Unpin);
assert_impl_all!(GrpcCode: Copy, Debug, PartialEq, Send, Sync, Unpin);

// These have an auto trait if and only if their parts have it.
assert_impl_all!(ApiSpan<()>: Clone, Debug, Send, Sync, Unpin);
assert_impl_all!(ResponseFuture<()>: Debug, Send, Sync, Unpin);
assert_impl_all!(ResponseBody<()>: Debug, Default, Send, Sync, Unpin);
assert_not_impl_any!(ApiSpan<*const ()>: Send, Sync);
assert_not_impl_any!(ResponseFuture<*const ()>: Send, Sync);
assert_not_impl_any!(ResponseBody<*const ()>: Send, Sync);
assert_not_impl_any!(ResponseFuture<PhantomPinned>: Unpin);
assert_not_impl_any!(ResponseBody<PhantomPinned>: Unpin);
assert_not_impl_any!(ResponseBody<fn(&())>: Default);

/// Puts the layer in every position of an axum application.
fn in_axum() -> Router {
    async fn handler(_: SpanHandle) -> &'static str {
        "ok"
    }
    let inside = Router::new()
        .route("/method", get(handler).layer(ApiSpanLayer::new()))
        .route_layer(ApiSpanLayer::new())
        .layer(ApiSpanLayer::new());
    let outside = ServiceBuilder::new()
        .map_response(|response: Response<_>| response.map(Body::new))
        .layer(ApiSpanLayer::new())
        .service(inside.clone());
    let fallback = Router::new().fallback_service(tower_layer::Layer::layer(
        &ApiSpanLayer::new(),
        inside.clone(),
    ));
    Router::new()
        .nest("/nested", inside)
        .nest("/fallback", fallback)
        .nest_service("/service", outside)
}

/// Puts the layer outside and inside tower-http's layers.
fn with_tower_http() -> Router {
    let timeout = || TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, Duration::MAX);
    Router::new()
        .route("/", get(|| async { "ok" }))
        .layer(
            ServiceBuilder::new()
                .layer(CompressionLayer::new())
                .layer(timeout())
                .layer(CatchPanicLayer::new())
                .layer(CorsLayer::permissive())
                .layer(ApiSpanLayer::new())
                .layer(CompressionLayer::new())
                .layer(timeout())
                .layer(CatchPanicLayer::new())
                .layer(CorsLayer::permissive()),
        )
        .layer(CompressionLayer::new())
        .layer(ApiSpanLayer::new())
        .layer(timeout())
        .layer(ApiSpanLayer::new())
        .layer(CatchPanicLayer::new())
        .layer(ApiSpanLayer::new())
        .layer(CorsLayer::permissive())
        .layer(ApiSpanLayer::new())
}

/// Serves the layer with hyper, on both protocols.
#[expect(dead_code, reason = "only has to compile")]
async fn with_hyper(io: hyper_util::rt::TokioIo<tokio::net::TcpStream>) {
    let service = ServiceBuilder::new().layer(ApiSpanLayer::new()).service_fn(
        async |_: Request<hyper::body::Incoming>| {
            Ok::<_, Infallible>(Response::new(Full::new(bytes::Bytes::new())))
        },
    );
    let service = hyper_util::service::TowerToHyperService::new(service);
    let executor = hyper_util::rt::TokioExecutor::new();
    hyper_util::server::conn::auto::Builder::new(executor)
        .serve_connection(io, service)
        .await
        .expect("no error");
}

/// Wraps tonic's services in the layer.
#[expect(dead_code, reason = "only has to compile")]
async fn with_tonic() {
    let (_, health) = tonic_health::server::health_reporter();
    tonic::transport::Server::builder()
        .layer(ApiSpanLayer::new())
        .add_service(health)
        .serve("[::1]:0".parse().expect("an address"))
        .await
        .expect("no error");
}

/// Accepts errors that only implement `Display`, boxed errors and boxed bodies.
fn with_any_error() -> impl Service<Request<()>> {
    struct OnlyDisplay;
    impl std::fmt::Display for OnlyDisplay {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("display only")
        }
    }
    let _boxed = ServiceBuilder::new()
        .layer(ApiSpanLayer::new())
        .service(service_fn(async |_: Request<()>| {
            Err::<Response<http_body_util::combinators::BoxBody<bytes::Bytes, BoxError>>, BoxError>(
                "boxed".into(),
            )
        }));
    ServiceBuilder::new()
        .layer(ApiSpanLayer::new())
        .service_fn(async |_: Request<()>| Err::<Response<String>, _>(OnlyDisplay))
}

#[test]
fn layer_fits_into_axum_tower_http_and_services_with_any_error() {
    // axum rejects some routers only when they are built.
    drop((in_axum(), with_tower_http(), with_any_error()));
}

#[test]
fn default_response_body_wraps_the_default_of_the_inner_body() {
    let mut body = ResponseBody::<Full<bytes::Bytes>>::default();
    assert!(body.is_end_stream());
    assert!(matches!(poll_frame(&mut body), Poll::Ready(None)));
}

#[test]
fn debug_output_shows_the_settings_and_the_span() {
    let recorder = Recorder::new();
    let loggers = SdkLoggerProvider::builder().build();
    let given = Meters::new().on(recorder.layer()).logger_provider(&loggers);
    let given = given.propagator(w3c()).filter(|_| true);
    let mut handle = SpanHandle::default();
    let mut service = answering(&recorder.layer(), |request| {
        handle = handle_of(&request);
        response(200, ScriptedBody::new([]))
    });
    let future = service.call(get_request());
    drop(service);
    let span = handle.context().span().span_context().clone();
    let shown_handle = format!("{handle:?}");
    let shown_future = format!("{future:?}");
    let body = ready(future).expect("a response").into_body();
    let mut counted = String::new();
    let mut counting = RequestBodyLayer::new().layer(service_fn(|request: Request<_>| {
        counted = format!("{:?}", request.into_body());
        std::future::ready(Ok::<_, Infallible>(Response::new(())))
    }));
    ready(counting.call(Request::new(7))).expect("a response");
    for (printed, parts) in [
        (
            format!("{:?}", ApiSpanLayer::new()),
            &[
                "tracers: Global",
                "propagation: Global",
                "meters: Global",
                "loggers: none",
                "filter: none",
            ][..],
        ),
        (
            format!(
                "{:?}",
                ApiSpanLayer::new().logger_provider(&NoopLoggerProvider::new())
            ),
            &["loggers: none"],
        ),
        (
            format!("{given:?}"),
            &[
                "tracers: Given",
                "propagation: Given",
                "meters: Given",
                "loggers: Given",
                "filter: set",
            ],
        ),
        (shown_handle, &["SpanHandle(Some(", &format!("{span:?}")]),
        (
            shown_future,
            &[
                "ResponseFuture",
                "Ready(",
                &format!("ExchangeGuard(Some({span:?}))"),
            ],
        ),
        (
            format!("{body:?}"),
            &[
                "ResponseBody",
                "ScriptedBody(",
                &format!("ExchangeGuard(Some({span:?}))"),
            ],
        ),
        (counted, &["RequestBody { inner: 7"]),
    ] {
        for part in parts {
            assert!(printed.contains(part), "{part}: {printed}");
        }
    }
}
