//! The servers. Each serves a handler inside the layer, on a TCP socket.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::handler::Handler;
use super::observers::{Observations, ObservedBody, ObservedLayer};
use super::routers::Position;
use crate::support::recorder::Recorder;
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

/// The protocol, which decides most of what a server does with a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    Http1,
    Http2,
}
use Family::{Http1, Http2};

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// hyper's connection for one protocol.
    Hyper,
    /// hyper-util's connection, which detects the protocol.
    Auto,
    /// `axum::serve`, with the layer in this position.
    Axum(Position),
    /// tonic's transport, with a plain HTTP router in it.
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

/// Returns all servers.
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

/// A running server. The hyper and hyper-util servers accept one connection.
pub struct Running {
    pub address: SocketAddr,
    pub observations: Observations,
    shutdown: Option<oneshot::Sender<()>>,
    stopped: JoinHandle<()>,
}

impl Running {
    pub fn new(
        address: SocketAddr,
        observations: Observations,
        shutdown: oneshot::Sender<()>,
        stopped: JoinHandle<()>,
    ) -> Self {
        let shutdown = Some(shutdown);
        Self {
            address,
            observations,
            shutdown,
            stopped,
        }
    }

    /// Begins a graceful shutdown.
    pub fn begin_shutdown(&mut self) {
        // Sending fails only if the server has stopped already.
        let _ = self.shutdown.take().map(|shutdown| shutdown.send(()));
    }

    /// Waits until the server has stopped. Its clients must have disconnected.
    pub async fn stop(mut self) -> Result<(), &'static str> {
        self.begin_shutdown();
        match tokio::time::timeout(Duration::from_secs(5), self.stopped).await {
            // Also if the handler panicked, which ends the connection's task with an error.
            Ok(_) => Ok(()),
            Err(_) => Err("the server does not stop"),
        }
    }
}

impl Server {
    /// Whether it removes the body of a response to HEAD. axum's method routers do; its other
    /// services, such as a fallback, do not.
    pub fn strips_head_bodies(self) -> bool {
        match self.kind {
            Kind::Hyper | Kind::Auto => false,
            Kind::Axum(position) => position != Position::Fallback,
            Kind::Tonic => true,
        }
    }

    /// Whether the layer sees a request that matches no route, such as CONNECT.
    pub fn sees_fallback(self) -> bool {
        match self.kind {
            Kind::Hyper | Kind::Auto | Kind::Tonic => true,
            Kind::Axum(position) => position.sees_fallback(),
        }
    }

    /// The path of the handler.
    pub fn path(self) -> &'static str {
        match self.kind {
            Kind::Axum(position) => position.path(),
            Kind::Hyper | Kind::Auto | Kind::Tonic => "/leaf",
        }
    }

    /// The expected `http.route`.
    pub fn route(self) -> Option<&'static str> {
        match self.kind {
            Kind::Axum(position) => position.route(),
            Kind::Hyper | Kind::Auto | Kind::Tonic => None,
        }
    }

    /// The expected `network.protocol.version`.
    pub fn version(self, version: Version) -> &'static str {
        match (self.family, version) {
            (Http2, _) => "2",
            (Http1, Version::HTTP_10) => "1.0",
            (Http1, _) => "1.1",
        }
    }

    pub fn start(self, recorder: &Recorder, handler: &Handler) -> Running {
        let (layer, observations) = ObservedLayer::new(recorder);
        let (listener, address) = listen();
        let (shutdown, requested) = oneshot::channel();
        let stopped = match self.kind {
            Kind::Hyper | Kind::Auto => {
                tokio::spawn(serve_connection(self, listener, layer, handler.clone()))
            }
            Kind::Axum(position) => {
                let app = position.router(layer, handler);
                let listener = listener.tap_io(|socket| {
                    socket.set_nodelay(true).expect("the socket's option");
                });
                let serving = axum::serve(listener, app).with_graceful_shutdown(wait(requested));
                tokio::spawn(async move { serving.await.expect("a listener") })
            }
            Kind::Tonic => {
                let app = Routes::from(super::routers::plain(handler));
                let serving = tonic::transport::Server::builder()
                    .layer(layer)
                    .add_routes(app)
                    .serve_with_incoming_shutdown(TcpIncoming::from(listener), wait(requested));
                tokio::spawn(async move { serving.await.expect("a listener") })
            }
        };
        Running::new(address, observations, shutdown, stopped)
    }
}

/// Waits for a shutdown request.
pub async fn wait(requested: oneshot::Receiver<()>) {
    // A dropped sender counts as a request.
    let _ = requested.await;
}

/// Returns a listener with small send buffers, so that back-pressure sets in soon.
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

/// Serves one connection.
async fn serve_connection(
    server: Server,
    listener: TcpListener,
    layer: ObservedLayer,
    handler: Handler,
) {
    let (socket, _) = listener.accept().await.expect("a connection");
    socket.set_nodelay(true).expect("the socket's option");
    let io = TokioIo::new(socket);
    let service = ServiceBuilder::new()
        .layer(layer)
        .map_request(|request: Request<ObservedBody<ObservedBody<Incoming>>>| {
            request.map(Body::new)
        })
        .service(handler);
    let service = TowerToHyperService::new(service);
    // The client checks how the connection ends.
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
