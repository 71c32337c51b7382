//! The HTTP/2 client, on a shared connection. To disconnect, it resets its stream.

use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::{Seen, connect, http};
use crate::lanes::HangSignal;
use crate::tag::Tag;

/// The flow-control window in bytes: larger than any finite response, but small for endless ones.
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
        // Runs until the last sender is dropped. If it fails earlier, its requests fail too.
        tokio::spawn(connection);
        Ok(Self { sender })
    }

    pub(super) async fn exchange(
        &mut self,
        tag: Tag,
        hang_signal: &HangSignal,
    ) -> io::Result<Seen> {
        self.sender.ready().await.map_err(io::Error::other)?;
        let request = http::request(tag, "http://example.com");
        Ok(http::receive(self.sender.send_request(request), tag, hang_signal).await)
    }
}
