//! The client, which reads, resets and leaves.

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, RecvStream};
use http::{Request, Version};
use tokio::io::DuplexStream;
use tokio::task::yield_now;

use super::{Connection, Member, NUMBER};

/// What has become of a response.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Read {
    /// It was read to its end, and said no length.
    Whole,
    /// It was read to its end, and is as long as it said.
    WholeAsDeclared,
    /// Its end did not come, or came in another way than was said.
    Broken,
    /// The client has reset it.
    Reset,
}

/// Sends all requests, and returns what has become of them.
pub(super) async fn converse(connection: &Connection, pipe: DuplexStream) -> Vec<Read> {
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
    if let Some(turns) = connection.leaves_after {
        for _ in 0..turns {
            yield_now().await;
        }
        driver.abort();
    }
    let mut reads = Vec::new();
    for exchange in exchanges {
        reads.push(exchange.await.expect("no panic of the client's"));
    }
    // With the last request the connection is over.
    let _ = driver.await;
    reads
}

/// One request.
async fn exchange(nr: usize, member: Member, sender: SendRequest<Bytes>) -> Read {
    for _ in 0..member.waits {
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
    for _ in 0..member.hesitates {
        yield_now().await;
    }
    stream.send_reset(Reason::CANCEL);
    Read::Reset
}

/// Reads so many frames, or all of them: `None` if there may be more.
async fn read(response: ResponseFuture, frames: Option<usize>) -> Option<Read> {
    let mut left = frames.unwrap_or(usize::MAX);
    left = left.checked_sub(1)?;
    let Ok(response) = response.await else {
        return Some(Read::Broken);
    };
    // The client does not compare them where no data came.
    let length = response.headers().get("content-length").cloned();
    let mut bytes = 0;
    let mut body: RecvStream = response.into_body();
    loop {
        left = left.checked_sub(1)?;
        match body.data().await {
            Some(Ok(data)) => {
                bytes += data.len();
                // Of a stream that has ended nobody wants to know.
                let _ = body.flow_control().release_capacity(data.len());
            }
            Some(Err(_)) => return Some(Read::Broken),
            None => {
                let is_over = body.trailers().await.is_ok();
                return Some(match length {
                    None if is_over => Read::Whole,
                    Some(length) if is_over && length == bytes.to_string().as_str() => {
                        Read::WholeAsDeclared
                    }
                    _ => Read::Broken,
                });
            }
        }
    }
}
