//! The clients: one for each protocol, which see what becomes of their requests.

mod grpc;
mod http;
mod http1;
mod http2;

use std::fmt;
use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpSocket, TcpStream};
use tonic::Code;

use crate::asked::Asked;
use crate::lanes::Hanging;
use crate::paths::Protocol;

/// What the client has seen of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// All of it: the status, and how many bytes its body has.
    Whole(u16, usize),
    /// Less than that. How much less depends on what was flushed in time.
    Broken,
    /// The client has left, where it was to.
    Left,
    /// All of it: how many messages, and the code.
    Answered(usize, Code),
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(status, bytes) => write!(f, "{status} with {bytes} bytes"),
            Self::Broken => f.write_str("a broken response"),
            Self::Left => f.write_str("no more, because it left"),
            Self::Answered(messages, code) => write!(f, "{messages} messages and {code:?}"),
        }
    }
}

/// A connection that some clients share. It is closed when the last of them is gone.
pub(crate) enum Connection {
    /// Each client of HTTP/1.1 has its own.
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
    /// # Errors
    ///
    /// If there is no connection.
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
    /// If it cannot be made.
    pub(crate) async fn exchange(&mut self, asked: Asked, hanging: &Hanging) -> io::Result<Seen> {
        match self {
            Self::Http1(client) => client.exchange(asked, hanging).await,
            Self::Http2(client) => client.exchange(asked, hanging).await,
            Self::Grpc(client) => Ok(grpc::exchange(client, asked, hanging).await),
        }
    }
}

/// A connection; closed with RST if it is `abortive`, and else with FIN.
async fn connect(address: SocketAddr, abortive: bool) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_nodelay(true)?;
    if abortive {
        socket.set_zero_linger()?;
    }
    socket.connect(address).await
}
