//! An HTTP/1 client that parses the framing by hand, so that it sees every fault on the wire.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use http::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use super::client_result::ClientResult;

/// A connection, and the bytes that were read from it and not parsed yet.
pub struct Http1 {
    pub socket: TcpStream,
    buffer: Vec<u8>,
}

/// How the server closed the connection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Closed {
    Fin,
    Reset,
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fin => "connection closed",
            Self::Reset => "connection reset",
        })
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Head {
    pub status: u16,
    length: Option<usize>,
    chunked: bool,
}

impl Http1 {
    pub async fn connect(address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        // Small, so that a client that does not read soon blocks the server.
        socket.set_recv_buffer_size(512 << 10).expect("a size");
        let socket = socket.connect(address).await.expect("a connection");
        Self {
            socket,
            buffer: Vec::new(),
        }
    }

    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let sent = self.socket.write_all(bytes.as_ref()).await;
        sent.expect("the server reads");
    }

    async fn fill_buffer(&mut self) -> Result<(), Closed> {
        match self.socket.read_buf(&mut self.buffer).await {
            Ok(0) => Err(Closed::Fin),
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Err(Closed::Reset),
            Err(error) => panic!("unexpected socket error: {error}"),
        }
    }

    /// Reads the next head, which may be an interim one.
    pub async fn head(&mut self) -> Result<Head, Closed> {
        let mut head = Vec::new();
        loop {
            match self.line().await? {
                line if line.is_empty() => break,
                line => head.push(line),
            }
        }
        let status = head[0].split(' ').nth(1).and_then(|it| it.parse().ok());
        let value = |name: &str| {
            let mut fields = head.iter().filter_map(|line| line.split_once(':'));
            let field = fields.find(|(key, _)| key.eq_ignore_ascii_case(name));
            field.map(|(_, value)| value.trim())
        };
        Ok(Head {
            status: status.expect("a status line"),
            length: value("content-length").map(|it| it.parse().expect("a length")),
            chunked: value("transfer-encoding") == Some("chunked"),
        })
    }

    async fn line(&mut self) -> Result<String, Closed> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|two| two == b"\r\n") {
                let line = self.buffer.drain(..end + 2).take(end).collect();
                return Ok(String::from_utf8(line).expect("a line of text"));
            }
            self.fill_buffer().await?;
        }
    }

    /// Reads this many bytes, or fewer if the connection closes, and adds their number to `taken`.
    pub async fn take(&mut self, bytes: usize, taken: &mut usize) -> Result<(), Closed> {
        let goal = *taken + bytes;
        loop {
            let part = self.buffer.len().min(goal - *taken);
            self.buffer.drain(..part);
            *taken += part;
            if *taken == goal {
                return Ok(());
            }
            self.fill_buffer().await?;
        }
    }

    async fn chunks(&mut self, taken: &mut usize) -> Result<(), Closed> {
        loop {
            let size = self.line().await?;
            let size = usize::from_str_radix(&size, 16).expect("a chunk's size");
            if size == 0 {
                while !self.line().await?.is_empty() {}
                return Ok(());
            }
            self.take(size, taken).await?;
            assert_eq!(self.line().await?, "", "a chunk ends with CRLF");
        }
    }

    /// Reads the response to a request: interim heads, the head and the body.
    pub async fn message(&mut self, method: &Method) -> ClientResult {
        let head = loop {
            match self.head().await {
                Err(closed) => return ClientResult::no_response(closed),
                Ok(Head { status, .. }) if status < 200 && status != 101 => {}
                Ok(head) => break head,
            }
        };
        self.body(method, &head).await
    }

    /// Reads the body that follows a head.
    pub async fn body(&mut self, method: &Method, head: &Head) -> ClientResult {
        let status = head.status;
        let tunnel = *method == Method::CONNECT && (200..300).contains(&status);
        let has_no_body = *method == Method::HEAD || matches!(status, 101 | 204 | 304) || tunnel;
        let mut bytes = 0;
        let read = if has_no_body {
            Ok(())
        } else if head.chunked {
            self.chunks(&mut bytes).await
        } else if let Some(length) = head.length {
            self.take(length, &mut bytes).await
        } else {
            // Closing the connection ends this body (RFC 9112, section 6.3).
            match self.take(usize::MAX - bytes, &mut bytes).await {
                Err(Closed::Fin) => Ok(()),
                other => other,
            }
        };
        match read {
            Ok(()) => ClientResult::Complete { status, bytes },
            Err(closed) => ClientResult::truncated(status, bytes, closed),
        }
    }

    /// Whether bytes are left that were not parsed.
    pub fn has_more(&self) -> bool {
        !self.buffer.is_empty()
    }
}

/// Returns the text of a request without a body.
pub fn request(
    method: &Method,
    target: &str,
    version: http::Version,
    headers: &[(&str, &str)],
) -> String {
    let mut lines = vec![
        format!("{method} {target} {version:?}"),
        "host: example.com".to_owned(),
    ];
    lines.extend(
        headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}")),
    );
    lines.join("\r\n") + "\r\n\r\n"
}
