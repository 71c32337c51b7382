//! A client that shows what is really on the wire: a TCP socket and just enough HTTP/1.1.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use http::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;

/// What the client does with its end of the connection.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Behaviour {
    /// Keeps it open.
    Stays,
    /// Closes it while the handler is running.
    LeavesBeforeTheHead,
    /// Closes it after this many bytes of the body.
    LeavesAfter(usize),
}

/// What the client has seen of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) head: Option<Head>,
    /// Bytes of the body, without those of the chunked coding.
    bytes: usize,
    end: End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) status: u16,
    framing: Framing,
}

/// How the length of a body is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// There is none.
    NoBody,
    /// By its Content-Length.
    Length(usize),
    /// By its last chunk.
    Chunked,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The message is complete.
    Whole,
    /// The server closed the connection too early.
    CutOff,
    /// The client closed the connection.
    Left,
}

impl Seen {
    pub(crate) const fn whole(status: u16, framing: Framing, bytes: usize) -> Self {
        Self::until(End::Whole, status, framing, bytes)
    }

    pub(crate) const fn cut_off(status: u16, framing: Framing, bytes: usize) -> Self {
        Self::until(End::CutOff, status, framing, bytes)
    }

    pub(crate) const fn left(status: u16, framing: Framing, bytes: usize) -> Self {
        Self::until(End::Left, status, framing, bytes)
    }

    pub(crate) const fn left_before_the_head() -> Self {
        Self::nothing(End::Left)
    }

    pub(crate) const fn no_answer() -> Self {
        Self::nothing(End::CutOff)
    }

    const fn until(end: End, status: u16, framing: Framing, bytes: usize) -> Self {
        Self {
            head: Some(Head { status, framing }),
            bytes,
            end,
        }
    }

    const fn nothing(end: End) -> Self {
        Self {
            head: None,
            bytes: 0,
            end,
        }
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { head, bytes, end } = self;
        let Some(Head { status, framing }) = head else {
            return f.write_str(match end {
                End::Left => "left before the head",
                End::Whole | End::CutOff => "closed without an answer",
            });
        };
        match framing {
            Framing::NoBody => write!(f, "{status}, no body"),
            Framing::Length(length) => write!(f, "{status}, {bytes} of {length} bytes"),
            Framing::Chunked => write!(f, "{status}, {bytes} bytes chunked"),
        }?;
        f.write_str(match end {
            End::Whole => ", whole",
            End::CutOff => ", cut off",
            End::Left => ", left",
        })
    }
}

/// Makes a request on a connection of its own, which is still open unless the client left.
///
/// # Errors
///
/// If there is no connection, or what comes back is no HTTP/1.1.
pub(crate) async fn exchange(
    address: SocketAddr,
    method: &Method,
    path: &str,
    behaviour: Behaviour,
    handler_entered: &Notify,
) -> io::Result<(Seen, Option<TcpStream>)> {
    let mut connection = TcpStream::connect(address).await?;
    let request = format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\n\r\n");
    connection.write_all(request.as_bytes()).await?;

    let enough = match behaviour {
        Behaviour::LeavesBeforeTheHead => {
            // Closed any earlier, the request might never reach the handler.
            handler_entered.notified().await;
            return Ok((Seen::left_before_the_head(), None));
        }
        Behaviour::LeavesAfter(bytes) => Some(bytes),
        Behaviour::Stays => None,
    };
    let mut received = Vec::new();
    loop {
        let closed = read_more(&mut connection, &mut received).await?;
        let mut seen = read_message(method, &received)?;
        if closed || seen.end == End::Whole {
            return Ok((seen, Some(connection)));
        }
        if enough.is_some_and(|enough| seen.bytes >= enough) {
            seen.end = End::Left;
            return Ok((seen, None));
        }
    }
}

/// Reads what there is; true if the server has closed the connection.
async fn read_more(connection: &mut TcpStream, received: &mut Vec<u8>) -> io::Result<bool> {
    match connection.read_buf(received).await {
        Ok(bytes) => Ok(bytes == 0),
        // As much an end as a close, only less polite.
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(true),
        Err(error) => Err(error),
    }
}

/// The message so far, cut off unless it is whole.
fn read_message(method: &Method, received: &[u8]) -> io::Result<Seen> {
    let Some((head, body)) = split(received, b"\r\n\r\n") else {
        return Ok(Seen::no_answer());
    };
    let head = str::from_utf8(head).map_err(|_| not_http("a head that is no text"))?;
    let head = read_head(method, head)?;
    let (bytes, rest) = match head.framing {
        Framing::NoBody => (0, Some(body)),
        Framing::Length(length) => (body.len().min(length), body.get(length..)),
        Framing::Chunked => read_chunks(body)?,
    };
    let end = match rest {
        Some([]) => End::Whole,
        Some(_) => return Err(not_http("bytes after the end of the message")),
        None => End::CutOff,
    };
    Ok(Seen {
        head: Some(head),
        bytes,
        end,
    })
}

fn read_head(method: &Method, head: &str) -> io::Result<Head> {
    let mut lines = head.split("\r\n");
    let status = lines
        .next()
        .and_then(|line| line.strip_prefix("HTTP/1.1 "))
        .and_then(|line| line.get(..3)?.parse().ok())
        .ok_or_else(|| not_http("a status line of another kind"))?;
    let mut framing = (method == Method::HEAD).then_some(Framing::NoBody);
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        let said = match name.to_ascii_lowercase().as_str() {
            "content-length" => value.parse().ok().map(Framing::Length),
            "transfer-encoding" if value == "chunked" => Some(Framing::Chunked),
            _ => None,
        };
        framing = framing.or(said);
    }
    let framing = framing.ok_or_else(|| not_http("a body of unknown length"))?;
    Ok(Head { status, framing })
}

/// The bytes in the chunks that are complete, and what follows the last chunk if it is there.
fn read_chunks(mut body: &[u8]) -> io::Result<(usize, Option<&[u8]>)> {
    let mut bytes = 0;
    while let Some((size, rest)) = split(body, b"\r\n") {
        let size = str::from_utf8(size)
            .ok()
            .and_then(|size| usize::from_str_radix(size, 16).ok())
            .ok_or_else(|| not_http("a chunk without a size"))?;
        let Some((chunk, rest)) = rest.split_at_checked(size) else {
            break;
        };
        let Some(rest) = rest.strip_prefix(b"\r\n") else {
            break;
        };
        if chunk.is_empty() {
            return Ok((bytes, Some(rest)));
        }
        bytes += size;
        body = rest;
    }
    Ok((bytes, None))
}

/// What is before and after the first `separator`.
fn split<'a>(bytes: &'a [u8], separator: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = bytes
        .windows(separator.len())
        .position(|window| window == separator)?;
    Some((&bytes[..at], &bytes[at + separator.len()..]))
}

fn not_http(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the client got {what}"))
}
