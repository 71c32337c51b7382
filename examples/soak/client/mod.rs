//! The clients, one per protocol.

mod grpc;
mod http;
mod http1;
mod http2;

use std::fmt;
use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpSocket, TcpStream};
use tonic::Code;

use crate::lanes::HangSignal;
use crate::paths::Protocol;
use crate::tag::Tag;

/// What the client has received of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// The whole response: its status and the bytes of its body.
    Complete(u16, usize),
    /// Part of the response. How much depends on what was flushed.
    Broken,
    /// The client has disconnected, as intended.
    Disconnected,
    /// The whole gRPC response: the number of messages and the code.
    Answered(usize, Code),
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Complete(status, bytes) => write!(f, "{status} with {bytes} bytes"),
            Self::Broken => f.write_str("a broken response"),
            Self::Disconnected => f.write_str("a part, and disconnected"),
            Self::Answered(messages, code) => write!(f, "{messages} messages and {code:?}"),
        }
    }
}

/// A connection that clients may share. It is closed when the last of them is dropped.
pub(crate) enum Connection {
    /// Each HTTP/1.1 client opens its own.
    Http1(SocketAddr),
    Http2(http2::Client),
    Grpc(Box<grpc::Client>),
}

/// A client that makes one request at a time.
pub(crate) enum Client {
    Http1(http1::Client),
    Http2(http2::Client),
    Grpc(Box<grpc::Client>),
}

impl Connection {
    /// Opens a connection.
    ///
    /// # Errors
    ///
    /// If the connection fails.
    pub(crate) async fn open(protocol: Protocol, address: SocketAddr) -> io::Result<Self> {
        Ok(match protocol {
            Protocol::Http1 => Self::Http1(address),
            Protocol::Http2 => Self::Http2(http2::Client::connect(address).await?),
            Protocol::Grpc => Self::Grpc(Box::new(grpc::connect(address)?)),
        })
    }

    pub(crate) fn client(&self) -> Client {
        match self {
            Self::Http1(address) => Client::Http1(http1::Client::new(*address)),
            Self::Http2(client) => Client::Http2(client.clone()),
            Self::Grpc(client) => Client::Grpc(client.clone()),
        }
    }
}

impl Client {
    /// Makes a request.
    ///
    /// # Errors
    ///
    /// If the request cannot be made.
    pub(crate) async fn exchange(
        &mut self,
        tag: Tag,
        hang_signal: &HangSignal,
    ) -> io::Result<Seen> {
        match self {
            Self::Http1(client) => client.exchange(tag, hang_signal).await,
            Self::Http2(client) => client.exchange(tag, hang_signal).await,
            Self::Grpc(client) => Ok(grpc::exchange(client, tag, hang_signal).await),
        }
    }
}

/// Opens a connection that is closed with RST if `abortive`, otherwise with FIN.
async fn connect(address: SocketAddr, abortive: bool) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_nodelay(true)?;
    if abortive {
        socket.set_zero_linger()?;
    }
    socket.connect(address).await
}
