//! Clients that send a part of their request, and then disconnect.

use std::net::SocketAddr;

use bytes::Bytes;
use h2::Reason;
use h2::client::SendRequest;
use http::{Request, Version};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Notify;

/// How a client disconnects.
#[derive(Clone, Copy, Debug)]
pub enum Cut {
    /// Closes its HTTP/1.1 connection, with an RST if `is_abortive`.
    Http1 { is_chunked: bool, is_abortive: bool },
    /// Resets its HTTP/2 stream, and keeps the connection open.
    Reset { reason: Reason, has_length: bool },
    /// Closes its HTTP/2 connection, with an RST if `is_abortive`.
    Http2 { is_abortive: bool },
}

impl Cut {
    pub fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for flag in [false, true] {
            for is_abortive in [false, true] {
                let is_chunked = flag;
                all.push(Self::Http1 {
                    is_chunked,
                    is_abortive,
                });
            }
            for reason in [
                Reason::CANCEL,
                Reason::INTERNAL_ERROR,
                Reason::PROTOCOL_ERROR,
            ] {
                let has_length = flag;
                all.push(Self::Reset { reason, has_length });
            }
            all.push(Self::Http2 { is_abortive: flag });
        }
        all
    }

    /// Sends six bytes of a request, waits until a handler has read them, and disconnects.
    pub async fn send(self, address: SocketAddr, path: &str, read: &Notify) {
        match self {
            Self::Http1 {
                is_chunked,
                is_abortive,
            } => {
                let mut connection = connect(address, is_abortive).await;
                let framing = if is_chunked {
                    "transfer-encoding: chunked\r\n\r\n3e8\r\n"
                } else {
                    "content-length: 1000\r\n\r\n"
                };
                let head = format!(
                    "POST {path} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n{framing}{{\"a\": "
                );
                connection
                    .write_all(head.as_bytes())
                    .await
                    .expect("the server reads");
                read.notified().await;
            }
            Self::Reset { reason, has_length } => {
                let mut client = handshake(connect(address, false).await).await;
                let mut stream = client.start(path, has_length);
                read.notified().await;
                stream.send_reset(reason);
                // The connection stays open until the server has reacted.
                tokio::spawn(async move {
                    let _client = client;
                    std::future::pending::<()>().await;
                });
            }
            Self::Http2 { is_abortive } => {
                let mut client = handshake(connect(address, is_abortive).await).await;
                let _stream = client.start(path, true);
                read.notified().await;
                client.connection.abort();
            }
        }
    }
}

pub async fn connect(address: SocketAddr, is_abortive: bool) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    let connection = socket.connect(address).await.expect("a connection");
    if is_abortive {
        connection.set_zero_linger().expect("the socket's option");
    }
    connection
}

/// An HTTP/2 client.
pub struct Http2 {
    pub send: SendRequest<Bytes>,
    pub connection: tokio::task::JoinHandle<()>,
}

pub async fn handshake(connection: TcpStream) -> Http2 {
    let (send, connection) = h2::client::handshake(connection)
        .await
        .expect("a handshake");
    let send = send.ready().await.expect("room for a stream");
    let connection = tokio::spawn(async move {
        // The streams get the error, too.
        let _ = connection.await;
    });
    Http2 { send, connection }
}

impl Http2 {
    /// Sends the head of a request and six bytes of its body.
    fn start(&mut self, path: &str, has_length: bool) -> h2::SendStream<Bytes> {
        let mut request = Request::post(format!("http://a{path}"))
            .version(Version::HTTP_2)
            .header("content-type", "application/json");
        if has_length {
            request = request.header("content-length", "1000");
        }
        let request = request.body(()).expect("a request");
        let (response, mut stream) = self.send.send_request(request, false).expect("a stream");
        // A dropped response resets the stream.
        tokio::spawn(response);
        stream
            .send_data(Bytes::from_static(b"{\"a\": "), false)
            .expect("an open stream");
        stream
    }
}
