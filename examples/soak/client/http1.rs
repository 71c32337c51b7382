//! A client of HTTP/1.1. It keeps its connection from request to request, as long as that holds.

use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::task::JoinHandle;

use super::{Seen, connect, http};
use crate::asked::Asked;
use crate::lanes::Hanging;

pub(crate) struct Client {
    address: SocketAddr,
    open: Option<Open>,
    /// How many connections it has had.
    connections: u64,
}

struct Open {
    sender: SendRequest<Empty<Bytes>>,
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

    pub(super) async fn exchange(&mut self, asked: Asked, hanging: &Hanging) -> io::Result<Seen> {
        let mut open = self.connection().await?;
        let request = http::request(asked, "");
        let seen = http::receive(open.sender.send_request(request), asked, hanging).await;
        if let Seen::Whole(..) = seen {
            self.open = Some(open);
        } else {
            // This is what tells the server that somebody has left: the socket is gone.
            open.task.abort();
            // Cancelled, or over by itself.
            let _ = open.task.await;
        }
        Ok(seen)
    }

    /// The connection there is, or a new one. Half of them are closed with RST.
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
