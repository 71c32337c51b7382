//! The client: it reads responses, resets them and disconnects.

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, RecvStream};
use http::{Request, Version};
use tokio::io::DuplexStream;
use tokio::task::yield_now;

use super::{Connection, Member, NUMBER};

/// How the client's reading of a response ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Read {
    /// At the end; no length was declared.
    Complete,
    /// At the end and at the declared length.
    CompleteAsDeclared,
    /// Without an end, or at another length than declared.
    Broken,
    /// The client reset the stream.
    Reset,
}

/// Sends all requests, and returns how each ended.
pub(super) async fn send_all(connection: &Connection, pipe: DuplexStream) -> Vec<Read> {
    let client = h2::client::Builder::new()
        .initial_window_size(connection.window)
        .handshake::<_, Bytes>(pipe);
    let Ok((sender, driver)) = client.await else {
        panic!("no handshake");
    };
    let driver = tokio::spawn(driver);
    let exchanges: Vec<_> = connection
        .members
        .iter()
        .cloned()
        .enumerate()
        .map(|(nr, member)| tokio::spawn(exchange(nr, member, sender.clone())))
        .collect();
    drop(sender);
    if let Some(turns) = connection.disconnects_after {
        for _ in 0..turns {
            yield_now().await;
        }
        driver.abort();
    }
    let mut reads = Vec::new();
    for exchange in exchanges {
        reads.push(exchange.await.expect("the client does not panic"));
    }
    // The connection ends with the last request.
    let _ = driver.await;
    reads
}

/// Sends one request.
async fn exchange(nr: usize, member: Member, sender: SendRequest<Bytes>) -> Read {
    for _ in 0..member.delay {
        yield_now().await;
    }
    let Ok(mut sender) = sender.ready().await else {
        return Read::Broken;
    };
    let (mut parts, ()) = member.script.request().into_parts();
    parts.version = Version::HTTP_2;
    parts.headers.insert(NUMBER, nr.into());
    let request = Request::from_parts(parts, ());
    let Ok((response, mut stream)) = sender.send_request(request, true) else {
        return Read::Broken;
    };
    drop(sender);
    if let Some(read) = read(response, member.resets_after).await {
        return read;
    }
    for _ in 0..member.reset_delay {
        yield_now().await;
    }
    stream.send_reset(Reason::CANCEL);
    Read::Reset
}

/// Reads so many frames, or all: `None` if there may be more.
async fn read(response: ResponseFuture, frames: Option<usize>) -> Option<Read> {
    let mut left = frames.unwrap_or(usize::MAX);
    left = left.checked_sub(1)?;
    let Ok(response) = response.await else {
        return Some(Read::Broken);
    };
    // Without data the h2 client does not compare the length.
    let length = response.headers().get("content-length").cloned();
    let mut bytes = 0;
    let mut body: RecvStream = response.into_body();
    loop {
        left = left.checked_sub(1)?;
        match body.data().await {
            Some(Ok(data)) => {
                bytes += data.len();
                // This fails on a stream that has ended.
                let _ = body.flow_control().release_capacity(data.len());
            }
            Some(Err(_)) => return Some(Read::Broken),
            None => {
                let is_over = body.trailers().await.is_ok();
                return Some(match length {
                    None if is_over => Read::Complete,
                    Some(length) if is_over && length == bytes.to_string().as_str() => {
                        Read::CompleteAsDeclared
                    }
                    _ => Read::Broken,
                });
            }
        }
    }
}
