//! Servers and clients on in-memory pipes.

use std::error::Error;

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body::Body;
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::{client, server};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use tokio::io::duplex;
use tower::Service;

/// The HTTP versions under test.
pub(super) const PROTOCOLS: [Version; 2] = [Version::HTTP_11, Version::HTTP_2];

/// Serves one connection with this service, sends a request on it, and returns the response.
pub(super) async fn send<S, B>(
    version: Version,
    service: S,
    mut request: Request<Empty<Bytes>>,
) -> Response<Incoming>
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let (client, server) = duplex(1 << 16);
    let (client, server) = (TokioIo::new(client), TokioIo::new(server));
    let service = TowerToHyperService::new(service);
    // The results of the connections are not tested here.
    if version == Version::HTTP_2 {
        tokio::spawn(async move {
            let connection = server::conn::http2::Builder::new(TokioExecutor::new());
            let _ = connection.serve_connection(server, service).await;
        });
        let handshake = client::conn::http2::handshake(TokioExecutor::new(), client);
        let (mut sender, connection) = handshake.await.expect("a handshake");
        tokio::spawn(connection);
        *request.uri_mut() = "http://localhost/".parse().expect("a URI");
        sender.send_request(request).await.expect("a response")
    } else {
        tokio::spawn(async move {
            let connection = server::conn::http1::Builder::new();
            let _ = connection.serve_connection(server, service).await;
        });
        let handshake = client::conn::http1::handshake(client);
        let (mut sender, connection) = handshake.await.expect("a handshake");
        tokio::spawn(connection);
        sender.send_request(request).await.expect("a response")
    }
}

/// Returns a plain GET request.
pub(super) fn request() -> Request<Empty<Bytes>> {
    Request::new(Empty::new())
}
