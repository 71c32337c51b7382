//! A client of HTTP/2, which shares its connection. Where it leaves, it resets its stream.

use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::{Seen, connect, http};
use crate::asked::Asked;
use crate::lanes::Hanging;

/// Bytes that may be on their way: more than any answer has, and few where a client is slow to leave.
const WINDOW: u32 = 64 << 10;

#[derive(Clone)]
pub(crate) struct Client {
    sender: SendRequest<Empty<Bytes>>,
}

impl Client {
    pub(super) async fn connect(address: SocketAddr) -> io::Result<Self> {
        let socket = connect(address, false).await?;
        let (sender, connection) = Builder::new(TokioExecutor::new())
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .handshake(TokioIo::new(socket))
            .await
            .map_err(io::Error::other)?;
        // Until the last sender is gone. If it breaks before, requests on it say so.
        tokio::spawn(connection);
        Ok(Self { sender })
    }

    pub(super) async fn exchange(&mut self, asked: Asked, hanging: &Hanging) -> io::Result<Seen> {
        self.sender.ready().await.map_err(io::Error::other)?;
        let request = http::request(asked, "http://example.com");
        Ok(http::receive(self.sender.send_request(request), asked, hanging).await)
    }
}
