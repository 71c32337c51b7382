//! A client with one connection, whose local address is known.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Version {
    Http1,
    Http2,
}

impl Version {
    /// Returns the value of `network.protocol.version`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Http1 => "1.1",
            Self::Http2 => "2",
        }
    }
}

pub struct Client {
    sender: Sender,
    /// The peer address on the server side.
    pub address: SocketAddr,
}

enum Sender {
    Http1(http1::SendRequest<Empty<Bytes>>),
    Http2(http2::SendRequest<Empty<Bytes>>),
}

/// Connects to a server, and returns the socket and its local address.
pub async fn socket(server: SocketAddr) -> (TokioIo<TcpStream>, SocketAddr) {
    let socket = TcpStream::connect(server).await.expect("a connection");
    socket.set_nodelay(true).expect("the socket's option");
    let address = socket.local_addr().expect("an address");
    (TokioIo::new(socket), address)
}

impl Client {
    pub async fn connect(server: SocketAddr, version: Version) -> Self {
        let (io, address) = socket(server).await;
        let sender = match version {
            Version::Http1 => {
                let (sender, connection) = http1::handshake(io).await.expect("a handshake");
                tokio::spawn(connection.with_upgrades());
                Sender::Http1(sender)
            }
            Version::Http2 => {
                let handshake = http2::handshake(TokioExecutor::new(), io).await;
                let (sender, connection) = handshake.expect("a handshake");
                tokio::spawn(connection);
                Sender::Http2(sender)
            }
        };
        Self { sender, address }
    }

    /// Sends a request, reads the response to its end, and returns the status.
    pub async fn send(&mut self, request: Request<Empty<Bytes>>) -> StatusCode {
        let response = match &mut self.sender {
            Sender::Http1(sender) => {
                sender.ready().await.expect("an open connection");
                sender.send_request(request).await
            }
            Sender::Http2(sender) => {
                sender.ready().await.expect("an open connection");
                sender.send_request(request).await
            }
        };
        let response = response.expect("a response");
        let status = response.status();
        response.into_body().collect().await.expect("a whole body");
        status
    }
}
