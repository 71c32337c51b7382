//! The servers: each serves a handler with the layer around it, on a socket.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::body::Body;
use axum::serve::ListenerExt as _;
use http::{Request, Version};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::service::Routes;
use tonic::transport::server::TcpIncoming;
use tower::ServiceBuilder;
use tower_api_span::ApiSpanLayer;

use super::handler::Handler;
use super::routers::Position;

/// The protocol: what a server does with a body depends on it, and on little else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    Http1,
    Http2,
}
use Family::{Http1, Http2};

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// hyper's own connection, for one protocol.
    Hyper,
    /// hyper-util's connection, which finds out the protocol.
    Auto,
    /// `axum::serve`, with the layer in this position.
    Axum(Position),
    /// tonic's transport, with a router of plain HTTP in it.
    Tonic,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Server {
    pub family: Family,
    pub kind: Kind,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Hyper => f.write_str("hyper"),
            Kind::Auto => f.write_str("auto"),
            Kind::Axum(position) => write!(f, "axum {position}"),
            Kind::Tonic => f.write_str("tonic"),
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Http1 => "HTTP/1",
            Http2 => "HTTP/2",
        })
    }
}

/// All of them.
pub fn all() -> Vec<Server> {
    let mut all = Vec::new();
    for family in [Http1, Http2] {
        let kinds = [Kind::Hyper, Kind::Auto]
            .into_iter()
            .chain(Position::ALL.into_iter().map(Kind::Axum))
            .chain((family == Http2).then_some(Kind::Tonic));
        all.extend(kinds.map(|kind| Server { family, kind }));
    }
    all
}

/// A server that runs. It serves one connection, if it is hyper's.
pub struct Running {
    pub address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    stopped: JoinHandle<()>,
}

impl Running {
    pub fn new(address: SocketAddr, stop: oneshot::Sender<()>, stopped: JoinHandle<()>) -> Self {
        let stop = Some(stop);
        Self {
            address,
            stop,
            stopped,
        }
    }

    /// Begins a graceful shutdown.
    pub fn tell_to_stop(&mut self) {
        // A server that is not listening to this has stopped already.
        let _ = self.stop.take().map(|stop| stop.send(()));
    }

    /// Waits until the server is done with everything. Its clients have to be gone.
    pub async fn stop(mut self) -> Result<(), &'static str> {
        self.tell_to_stop();
        match tokio::time::timeout(Duration::from_secs(5), self.stopped).await {
            // The task of a connection unwinds where a handler panics.
            Ok(_) => Ok(()),
            Err(_) => Err("the server does not stop"),
        }
    }
}

impl Server {
    /// Whether it takes away the body of an answer to HEAD. axum's method routers do; its other
    /// services, such as a fallback, don't.
    pub fn empties_heads(self) -> bool {
        match self.kind {
            Kind::Hyper | Kind::Auto => false,
            Kind::Axum(position) => position != Position::Fallback,
            Kind::Tonic => true,
        }
    }

    /// Whether the layer sees a request that belongs to no route, as CONNECT does.
    pub fn sees_the_fallback(self) -> bool {
        match self.kind {
            Kind::Hyper | Kind::Auto | Kind::Tonic => true,
            Kind::Axum(position) => position.sees_the_fallback(),
        }
    }

    /// Where the handler is.
    pub fn path(self) -> &'static str {
        match self.kind {
            Kind::Axum(position) => position.path(),
            Kind::Hyper | Kind::Auto | Kind::Tonic => "/leaf",
        }
    }

    /// What the span says where the handler is.
    pub fn route(self) -> Option<&'static str> {
        match self.kind {
            Kind::Axum(position) => position.route(),
            Kind::Hyper | Kind::Auto | Kind::Tonic => None,
        }
    }

    /// The version in the span.
    pub fn version(self, version: Version) -> &'static str {
        match (self.family, version) {
            (Http2, _) => "2",
            (Http1, Version::HTTP_10) => "1.0",
            (Http1, _) => "1.1",
        }
    }

    pub fn start(self, layer: &ApiSpanLayer, handler: &Handler) -> Running {
        let (listener, address) = listen();
        let (stop, told) = oneshot::channel();
        let stopped = match self.kind {
            Kind::Hyper | Kind::Auto => {
                tokio::spawn(connection(self, listener, layer.clone(), handler.clone()))
            }
            Kind::Axum(position) => {
                let app = position.router(layer, handler);
                let listener = listener.tap_io(|socket| {
                    socket.set_nodelay(true).expect("the socket's option");
                });
                let serving = axum::serve(listener, app).with_graceful_shutdown(wait(told));
                tokio::spawn(async move { serving.await.expect("a listener") })
            }
            Kind::Tonic => {
                let app = Routes::from(super::routers::plain(handler));
                let serving = tonic::transport::Server::builder()
                    .layer(layer.clone())
                    .add_routes(app)
                    .serve_with_incoming_shutdown(TcpIncoming::from(listener), wait(told));
                tokio::spawn(async move { serving.await.expect("a listener") })
            }
        };
        Running::new(address, stop, stopped)
    }
}

/// Waits to be told.
pub async fn wait(told: oneshot::Receiver<()>) {
    // A sender that is dropped means the same.
    let _ = told.await;
}

/// A listener whose connections buffer little, so that back-pressure is felt soon.
pub fn listen() -> (TcpListener, SocketAddr) {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_send_buffer_size(512 << 10).expect("a size");
    socket
        .bind((Ipv4Addr::LOCALHOST, 0).into())
        .expect("a free port");
    let listener = socket.listen(16).expect("a listener");
    let address = listener.local_addr().expect("an address");
    (listener, address)
}

/// Serves the one connection that comes.
async fn connection(server: Server, listener: TcpListener, layer: ApiSpanLayer, handler: Handler) {
    let (socket, _) = listener.accept().await.expect("a connection");
    socket.set_nodelay(true).expect("the socket's option");
    let io = TokioIo::new(socket);
    let service = ServiceBuilder::new()
        .layer(layer)
        .map_request(|request: Request<Incoming>| request.map(Body::new))
        .service(handler);
    let service = TowerToHyperService::new(service);
    // How the connection ends is for the client to see.
    let _ = match (server.kind, server.family) {
        (Kind::Hyper, Http1) => {
            http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(io, service)
                .with_upgrades()
                .await
        }
        (Kind::Hyper, Http2) => {
            http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .serve_connection(io, service)
                .await
        }
        _ => {
            let result = auto::Builder::new(TokioExecutor::new())
                .serve_connection_with_upgrades(io, service)
                .await;
            return drop(result);
        }
    };
}
