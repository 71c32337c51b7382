//! A client of HTTP/2 that sees every error: the `h2` crate.

use std::net::SocketAddr;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{Ping, PingPong, RecvStream, SendStream};
use http::Request;
use tokio::net::TcpSocket;
use tokio::task::JoinHandle;

use super::got::Got;
use crate::support::recorder::Recorder;

pub struct Http2 {
    send: SendRequest<Bytes>,
    pings: PingPong,
    connection: JoinHandle<()>,
}

/// One request that was sent. Dropping it resets the stream.
pub struct Exchange {
    pub response: ResponseFuture,
    pub send: SendStream<Bytes>,
}

impl Http2 {
    /// A connection that closes with FIN, or with RST if it is `abortive`.
    pub async fn connect(address: SocketAddr, abortive: bool) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        let socket = socket.connect(address).await.expect("a connection");
        socket.set_nodelay(true).expect("the socket's option");
        if abortive {
            socket.set_zero_linger().expect("the socket's option");
        }
        let (send, mut connection) = h2::client::handshake(socket).await.expect("a handshake");
        let pings = connection.ping_pong().expect("the first to ask");
        let connection = tokio::spawn(async move {
            // How it ends is seen by the requests on it.
            let _ = connection.await;
        });
        Self {
            send,
            pings,
            connection,
        }
    }

    pub async fn send<T>(&mut self, request: Request<T>, ends: bool) -> Exchange {
        let mut ready = self.send.clone().ready().await.expect("room for a stream");
        let request = request.map(|_| ());
        let (response, send) = ready.send_request(request, ends).expect("a request");
        Exchange { response, send }
    }

    /// Waits until the server has read all that was sent before.
    pub async fn ping(&mut self) {
        let pong = self.pings.ping(Ping::opaque()).await;
        pong.expect("a connection that is open");
    }

    /// Closes the connection without a word about its streams.
    pub async fn close(self) {
        self.connection.abort();
        // Cancelled, or over by itself: gone in any case.
        let _ = self.connection.await;
    }
}

impl Exchange {
    /// Reads the answer.
    pub async fn message(self) -> Got {
        let response = match self.response.await {
            Ok(response) => response,
            Err(error) => return Got::nothing(why(&error)),
        };
        let status = response.status().as_u16();
        let mut body = response.into_body();
        let mut bytes = 0;
        match read(&mut body, usize::MAX, &mut bytes).await {
            Ok(()) => Got::Whole { status, bytes },
            Err(error) => Got::cut(status, bytes, why(&error)),
        }
    }

    /// Sends bytes through a tunnel and counts those that come back, once the span has ended.
    pub async fn through_tunnel(mut self, at: &Recorder) -> Got {
        let response = match self.response.await {
            Ok(response) => response,
            Err(error) => return Got::nothing(why(&error)),
        };
        let status = response.status().as_u16();
        if !at.wait_for(1).await {
            return Got::cut(status, 0, "the span is open while the tunnel is");
        }
        let sent = self.send.send_data(Bytes::from_static(b"ping"), false);
        sent.expect("the server reads");
        let mut bytes = 0;
        match read(&mut response.into_body(), 4, &mut bytes).await {
            Ok(()) => Got::Whole { status, bytes },
            Err(error) => Got::cut(status, bytes, why(&error)),
        }
    }
}

/// Reads the body to its end, or until there are this many bytes, which `taken` tells.
pub async fn read(
    body: &mut RecvStream,
    enough: usize,
    taken: &mut usize,
) -> Result<(), h2::Error> {
    while *taken < enough {
        let Some(data) = body.data().await else {
            body.trailers().await?;
            return Ok(());
        };
        let data = data?;
        *taken += data.len();
        // Only a stream that is over has no use for it.
        let _ = body.flow_control().release_capacity(data.len());
    }
    Ok(())
}

fn why(error: &h2::Error) -> String {
    match error.reason() {
        // Both ends name a reset by its code, but only one has sent it.
        Some(reason) if error.is_remote() => format!("reset by server, {reason:?}"),
        Some(reason) => format!("{reason:?}"),
        None => "connection closed".to_owned(),
    }
}
