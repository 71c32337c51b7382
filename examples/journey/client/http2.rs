//! The HTTP/2 client, which uses prior knowledge.

use std::net::SocketAddr;
use std::pin::pin;
use std::time::SystemTime;

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::sync::futures::Notified;

use super::{Behaviour, Caller, End, Head, Observed, Seen};

/// Makes a request on a new connection. To disconnect, the client resets the stream.
///
/// # Errors
///
/// If the connection fails.
pub(super) async fn exchange(
    address: SocketAddr,
    method: &Method,
    path: &str,
    behaviour: Behaviour,
    caller: Caller,
    engine_hangs: Notified<'_>,
) -> Result<Observed, String> {
    let connection = TcpStream::connect(address)
        .await
        .map_err(|error| error.to_string())?;
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(connection))
        .await
        .map_err(|error| error.to_string())?;
    tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(format!("http://{address}{path}"))
        .header("traceparent", caller.traceparent())
        .body(Empty::<Bytes>::new())
        .map_err(|error| error.to_string())?;

    let sent = SystemTime::now();
    let mut head = None;
    let seen = {
        let mut response = pin!(sender.send_request(request));
        match behaviour {
            Behaviour::DisconnectsBeforeHead => tokio::select! {
                () = engine_hangs => Seen::no_response(End::Disconnected),
                response = &mut response => read(response, behaviour, &mut head).await,
            },
            Behaviour::ReadsAll | Behaviour::DisconnectsAfter(_) => {
                read(response.await, behaviour, &mut head).await
            }
        }
    };
    Ok(Observed {
        seen,
        sent,
        head,
        ended: SystemTime::now(),
        connection: Some(Box::new(sender)),
    })
}

/// Reads a response to its end. A connection error counts as cut off.
async fn read(
    response: hyper::Result<Response<Incoming>>,
    behaviour: Behaviour,
    head_at: &mut Option<SystemTime>,
) -> Seen {
    let Ok(response) = response else {
        return Seen::no_response(End::CutOff);
    };
    *head_at = Some(SystemTime::now());
    let (parts, mut body) = response.into_parts();
    let length = parts
        .headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse().ok());
    let head = Head {
        status: parts.status.as_u16(),
        length,
    };
    let mut bytes = 0;
    let end = loop {
        match body.frame().await {
            Some(Ok(frame)) => bytes += frame.data_ref().map_or(0, Bytes::len),
            Some(Err(_)) => break End::CutOff,
            None => break End::Complete,
        }
        if behaviour.disconnects_after(bytes) {
            break End::Disconnected;
        }
    };
    Seen::Http {
        head: Some(head),
        bytes,
        end,
    }
}
