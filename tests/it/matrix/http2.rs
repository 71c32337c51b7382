//! An HTTP/2 client that sees every error, on top of the `h2` crate.

use std::net::SocketAddr;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{Ping, PingPong, RecvStream, SendStream};
use http::Request;
use tokio::net::TcpSocket;
use tokio::task::JoinHandle;

use super::client_result::ClientResult;
use crate::support::recorder::Recorder;

pub struct Http2 {
    send: SendRequest<Bytes>,
    pings: PingPong,
    connection: JoinHandle<()>,
}

/// A request that was sent. Dropping it resets the stream.
pub struct Exchange {
    pub response: ResponseFuture,
    pub send: SendStream<Bytes>,
}

impl Http2 {
    /// Opens a connection that closes with FIN, or with RST if `abortive`.
    pub async fn connect(address: SocketAddr, abortive: bool) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        let socket = socket.connect(address).await.expect("a connection");
        socket.set_nodelay(true).expect("the socket's option");
        if abortive {
            socket.set_zero_linger().expect("the socket's option");
        }
        let (send, mut connection) = h2::client::handshake(socket).await.expect("a handshake");
        let pings = connection.ping_pong().expect("the first call");
        let connection = tokio::spawn(async move {
            // The requests on the connection get its error too.
            let _ = connection.await;
        });
        Self {
            send,
            pings,
            connection,
        }
    }

    pub async fn send<T>(&mut self, request: Request<T>, end_of_stream: bool) -> Exchange {
        let mut ready = self.send.clone().ready().await.expect("room for a stream");
        let request = request.map(|_| ());
        let (response, send) = ready
            .send_request(request, end_of_stream)
            .expect("a request");
        Exchange { response, send }
    }

    /// Waits until the server has read all frames sent before.
    pub async fn ping(&mut self) {
        let pong = self.pings.ping(Ping::opaque()).await;
        pong.expect("an open connection");
    }

    /// Closes the connection without sending GOAWAY.
    pub async fn close(self) {
        self.connection.abort();
        // Cancelled or finished: closed in both cases.
        let _ = self.connection.await;
    }
}

impl Exchange {
    /// Reads the response.
    pub async fn message(self) -> ClientResult {
        let response = match self.response.await {
            Ok(response) => response,
            Err(error) => return ClientResult::no_response(describe(&error)),
        };
        let status = response.status().as_u16();
        let mut body = response.into_body();
        let mut bytes = 0;
        match read(&mut body, usize::MAX, &mut bytes).await {
            Ok(()) => ClientResult::Complete { status, bytes },
            Err(error) => ClientResult::truncated(status, bytes, describe(&error)),
        }
    }

    /// Waits for the end of the span, then sends bytes through the tunnel and counts those that come
    /// back.
    pub async fn through_tunnel(mut self, recorder: &Recorder) -> ClientResult {
        let response = match self.response.await {
            Ok(response) => response,
            Err(error) => return ClientResult::no_response(describe(&error)),
        };
        let status = response.status().as_u16();
        if !recorder.wait_for(1).await {
            return ClientResult::truncated(
                status,
                0,
                "the span is still open while the tunnel is open",
            );
        }
        let sent = self.send.send_data(Bytes::from_static(b"ping"), false);
        sent.expect("the server reads");
        let mut bytes = 0;
        match read(&mut response.into_body(), 4, &mut bytes).await {
            Ok(()) => ClientResult::Complete { status, bytes },
            Err(error) => ClientResult::truncated(status, bytes, describe(&error)),
        }
    }
}

/// Reads the body to its end, or to `limit` bytes, and counts them in `taken`.
pub async fn read(body: &mut RecvStream, limit: usize, taken: &mut usize) -> Result<(), h2::Error> {
    while *taken < limit {
        let Some(data) = body.data().await else {
            body.trailers().await?;
            return Ok(());
        };
        let data = data?;
        *taken += data.len();
        // Fails only if the stream has ended, which needs no capacity.
        let _ = body.flow_control().release_capacity(data.len());
    }
    Ok(())
}

fn describe(error: &h2::Error) -> String {
    match error.reason() {
        // The error has the same code whether the server or this client sent the reset.
        Some(reason) if error.is_remote() => format!("reset by server, {reason:?}"),
        Some(reason) => format!("{reason:?}"),
        None => "connection closed".to_owned(),
    }
}
