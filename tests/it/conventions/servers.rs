//! Servers with axum, hyper and tonic. The request headers select the status and the route of the response.

use std::convert::Infallible;
use std::fmt;
use std::future::ready;
use std::net::{Ipv4Addr, SocketAddr};

use axum::Router;
use axum::extract::Request as AxumRequest;
use axum::routing::any;
use axum::serve::ListenerExt as _;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tonic::service::Routes;
use tonic::transport::server::{TcpConnectInfo, TcpIncoming};
use tower::{ServiceBuilder, service_fn};
use tower_api_span::{ApiSpanLayer, SpanHandle};

use super::client::Version;

/// The request header with the status of the response.
pub const STATUS: &str = "x-status";
/// The request header with the route that the handler sets.
pub const ROUTE: &str = "x-route";

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Framework {
    Axum,
    Hyper,
    Tonic,
}

impl fmt::Display for Framework {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Axum => "axum",
            Self::Hyper => "hyper",
            Self::Tonic => "tonic",
        })
    }
}

impl Framework {
    /// Returns a layer that records peer addresses. axum provides them, the others need a `peer_address_fn`.
    pub fn with_peers(self, layer: ApiSpanLayer) -> ApiSpanLayer {
        match self {
            Self::Axum => layer,
            Self::Hyper => {
                layer.peer_address_fn(|request| request.extensions.get::<SocketAddr>().copied())
            }
            Self::Tonic => layer.peer_address_fn(|request| {
                let info = request.extensions.get::<TcpConnectInfo>();
                info?.remote_addr()
            }),
        }
    }

    /// Starts a server on the current runtime and returns its address.
    pub async fn start(
        self,
        version: Version,
        layer: ApiSpanLayer,
        has_connect_info: bool,
    ) -> SocketAddr {
        let (listener, address) = listen().await;
        match self {
            Self::Axum => {
                let app = application(&layer);
                let listener = listener.tap_io(|socket| {
                    socket.set_nodelay(true).expect("the socket's option");
                });
                tokio::spawn(async move {
                    let served = if has_connect_info {
                        let app = app.into_make_service_with_connect_info::<SocketAddr>();
                        axum::serve(listener, app).await
                    } else {
                        axum::serve(listener, app).await
                    };
                    served.expect("a listener");
                });
            }
            Self::Hyper => {
                tokio::spawn(accept(listener, version, layer));
            }
            Self::Tonic => {
                let app = Router::new().fallback(handler);
                let serving = tonic::transport::Server::builder()
                    .layer(layer)
                    .add_routes(Routes::from(app))
                    .serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true)));
                tokio::spawn(async move { serving.await.expect("a listener") });
            }
        }
        address
    }
}

/// Binds a listener to a free port.
pub async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
    let listener = listener.expect("a free port");
    let address = listener.local_addr().expect("an address");
    (listener, address)
}

/// Returns an axum application with all kinds of routes.
fn application(layer: &ApiSpanLayer) -> Router {
    let items = || Router::new().route("/items/{id}", any(handler));
    let service = service_fn(|request: AxumRequest| ready(Ok::<_, Infallible>(respond(&request))));
    items()
        .route("/set/{number}", any(handler))
        .nest("/v1", items())
        .nest_service("/service", service)
        .fallback(handler)
        .layer(layer.clone())
        .nest("/inner", items().layer(layer.clone()))
}

async fn accept(listener: TcpListener, version: Version, layer: ApiSpanLayer) {
    loop {
        let (socket, peer) = listener.accept().await.expect("a connection");
        socket.set_nodelay(true).expect("the socket's option");
        let io = TokioIo::new(socket);
        let service = ServiceBuilder::new()
            .map_request(move |mut request: Request<Incoming>| {
                request.extensions_mut().insert(peer);
                request
            })
            .layer(layer.clone())
            .service_fn(|request: Request<Incoming>| ready(Ok::<_, Infallible>(respond(&request))));
        let service = TowerToHyperService::new(service);
        // The client checks the response, so the result of the connection is dropped.
        match version {
            Version::Http1 => {
                let serving = http1::Builder::new().serve_connection(io, service);
                tokio::spawn(async { drop(serving.with_upgrades().await) });
            }
            Version::Http2 => {
                let builder = http2::Builder::new(TokioExecutor::new());
                let serving = builder.serve_connection(io, service);
                tokio::spawn(async { drop(serving.await) });
            }
        }
    }
}

async fn handler(request: AxumRequest) -> Response<Full<Bytes>> {
    respond(&request)
}

/// Returns the response that the request headers select, with a body where HTTP allows one.
fn respond<B>(request: &Request<B>) -> Response<Full<Bytes>> {
    let header = |name| {
        let value = request.headers().get(name)?;
        Some(value.to_str().expect("text"))
    };
    if let Some(route) = header(ROUTE) {
        SpanHandle::from_extensions(request.extensions()).set_route(route);
    }
    let status: StatusCode = header(STATUS).expect("a status").parse().expect("a status");
    let body = if has_body(request.method(), status.as_u16()) {
        "a body"
    } else {
        ""
    };
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response
}

/// Whether a response can have a body (RFC 9110, section 6.4.1).
pub fn has_body(method: &Method, status: u16) -> bool {
    let is_tunnel = method == Method::CONNECT && (200..300).contains(&status);
    !(method == Method::HEAD || is_tunnel || matches!(status, 204 | 304))
}
