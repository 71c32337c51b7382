//! The HTTP/2 client, on a shared connection. To disconnect, it resets its stream.

use std::io;
use std::net::SocketAddr;

use axum::body::Body;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::{Seen, connect, http};
use crate::lanes::HangSignal;
use crate::tag::Tag;

/// The flow-control window of a stream in bytes: less than a large response.
const WINDOW: u32 = 64 << 10;
/// The window of the connection: enough for all its lanes, so that one that does not read does not stop the others.
const CONNECTION_WINDOW: u32 = 8 * WINDOW;

#[derive(Clone)]
pub(crate) struct Client {
    sender: SendRequest<Body>,
}

impl Client {
    pub(super) async fn connect(address: SocketAddr) -> io::Result<Self> {
        let socket = connect(address, false).await?;
        let (sender, connection) = Builder::new(TokioExecutor::new())
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
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
        let request = http::request(tag, "http://example.com", hang_signal);
        Ok(http::receive(self.sender.send_request(request), tag, hang_signal).await)
    }
}
