//! The HTTP/1.1 client: a TCP socket and a minimal parser, to see what is on the wire.

use std::io;
use std::net::SocketAddr;
use std::time::SystemTime;

use http::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::futures::Notified;

use super::{Behaviour, Caller, End, Head, Observed, Seen};

/// The framing of a body.
#[derive(Clone, Copy)]
enum Framing {
    /// The response has no body.
    Empty,
    /// Content-Length.
    Length(usize),
    /// Chunked transfer coding.
    Chunked,
}

/// Makes a request on a new connection. To disconnect, the client closes it.
///
/// # Errors
///
/// If the connection fails, or the response is not HTTP/1.1.
pub(super) async fn exchange(
    address: SocketAddr,
    method: &Method,
    path: &str,
    behaviour: Behaviour,
    caller: Caller,
    engine_hangs: Notified<'_>,
) -> io::Result<Observed> {
    let mut connection = TcpStream::connect(address).await?;
    let sent = SystemTime::now();
    let traceparent = caller.traceparent();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\ntraceparent: {traceparent}\r\n\r\n"
    );
    connection.write_all(request.as_bytes()).await?;

    let mut head = None;
    let (seen, connection) = if let Behaviour::DisconnectsBeforeHead = behaviour {
        // If it closed earlier, the request might not reach the handler.
        engine_hangs.await;
        (Seen::no_response(End::Disconnected), None)
    } else {
        let seen = read_response(&mut connection, method, behaviour, &mut head).await?;
        let has_disconnected = matches!(
            seen,
            Seen::Http {
                end: End::Disconnected,
                ..
            }
        );
        (seen, (!has_disconnected).then_some(connection))
    };
    Ok(Observed {
        seen,
        sent,
        head,
        ended: SystemTime::now(),
        connection: connection.map(|connection| Box::new(connection) as _),
    })
}

/// Reads until the message is complete or cut off, or until the client disconnects.
async fn read_response(
    connection: &mut TcpStream,
    method: &Method,
    behaviour: Behaviour,
    head_at: &mut Option<SystemTime>,
) -> io::Result<Seen> {
    let mut received = Vec::new();
    loop {
        let closed = read_more(connection, &mut received).await?;
        let mut seen = read_message(method, &received)?;
        if let Seen::Http { head, bytes, end } = &mut seen {
            if head.is_some() {
                head_at.get_or_insert_with(SystemTime::now);
            }
            if *end == End::CutOff && !closed {
                if !behaviour.disconnects_after(*bytes) {
                    continue;
                }
                *end = End::Disconnected;
            }
        }
        return Ok(seen);
    }
}

/// Reads the available bytes. Returns whether the server has closed the connection.
async fn read_more(connection: &mut TcpStream, received: &mut Vec<u8>) -> io::Result<bool> {
    match connection.read_buf(received).await {
        Ok(bytes) => Ok(bytes == 0),
        // A reset counts as a close.
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(true),
        Err(error) => Err(error),
    }
}

/// Parses the received bytes: the message is cut off if it is not complete.
fn read_message(method: &Method, received: &[u8]) -> io::Result<Seen> {
    let Some((head, body)) = split(received, b"\r\n\r\n") else {
        return Ok(Seen::no_response(End::CutOff));
    };
    let head = str::from_utf8(head).map_err(|_| not_http("a head that is not text"))?;
    let (head, framing) = read_head(method, head)?;
    let (bytes, rest) = match framing {
        Framing::Empty => (0, Some(body)),
        Framing::Length(length) => (body.len().min(length), body.get(length..)),
        Framing::Chunked => read_chunks(body)?,
    };
    let end = match rest {
        Some([]) => End::Complete,
        Some(_) => return Err(not_http("bytes after the end of the message")),
        None => End::CutOff,
    };
    let head = Some(head);
    Ok(Seen::Http { head, bytes, end })
}

fn read_head(method: &Method, head: &str) -> io::Result<(Head, Framing)> {
    let mut lines = head.split("\r\n");
    let status = lines
        .next()
        .and_then(|line| line.strip_prefix("HTTP/1.1 "))
        .and_then(|line| line.get(..3)?.parse().ok())
        .ok_or_else(|| not_http("an unexpected status line"))?;
    let (mut length, mut chunked) = (None, false);
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().ok(),
            "transfer-encoding" => chunked = value == "chunked",
            _ => {}
        }
    }
    let framing = match length {
        _ if method == Method::HEAD || status == 304 => Framing::Empty,
        _ if chunked => Framing::Chunked,
        Some(length) => Framing::Length(length),
        None => return Err(not_http("a body of unknown length")),
    };
    Ok((Head { status, length }, framing))
}

/// Returns the number of bytes in complete chunks, and the bytes after the last chunk if it has arrived.
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

/// Splits at the first `separator`.
fn split<'a>(bytes: &'a [u8], separator: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = bytes
        .windows(separator.len())
        .position(|window| window == separator)?;
    Some((&bytes[..at], &bytes[at + separator.len()..]))
}

fn not_http(received: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("the client received {received}"),
    )
}
