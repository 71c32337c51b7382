//! The HTTP/1.1 client. It reuses its connection while the connection stays open.

use std::io;
use std::net::SocketAddr;

use axum::body::Body;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::task::JoinHandle;

use super::{Seen, connect, http};
use crate::lanes::HangSignal;
use crate::tag::Tag;

pub(crate) struct Client {
    address: SocketAddr,
    open: Option<Open>,
    /// The number of connections opened.
    connections: u64,
}

struct Open {
    sender: SendRequest<Body>,
    task: JoinHandle<hyper::Result<()>>,
}

impl Client {
    pub(super) fn new(address: SocketAddr) -> Self {
        Self {
            address,
            open: None,
            connections: 0,
        }
    }

    pub(super) async fn exchange(
        &mut self,
        tag: Tag,
        hang_signal: &HangSignal,
    ) -> io::Result<Seen> {
        let mut open = self.connection().await?;
        let request = http::request(tag, "", hang_signal);
        let seen = http::receive(open.sender.send_request(request), tag, hang_signal).await;
        if let Seen::Complete(..) = seen {
            self.open = Some(open);
        } else {
            // Closes the socket, which the server sees as a disconnection.
            open.task.abort();
            // The result is ignored: the task was cancelled or had ended.
            let _ = open.task.await;
        }
        Ok(seen)
    }

    /// Returns the open connection, or a new one. Every other new one is closed with RST.
    async fn connection(&mut self) -> io::Result<Open> {
        if let Some(mut open) = self.open.take()
            && open.sender.ready().await.is_ok()
        {
            return Ok(open);
        }
        self.connections += 1;
        let abortive = self.connections.is_multiple_of(2);
        let socket = connect(self.address, abortive).await?;
        let (sender, connection) = handshake(TokioIo::new(socket))
            .await
            .map_err(io::Error::other)?;
        let task = tokio::spawn(connection);
        Ok(Open { sender, task })
    }
}
