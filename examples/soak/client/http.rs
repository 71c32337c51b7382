//! The code that the HTTP/1.1 and HTTP/2 clients share.

use std::io;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};
use http::{Method, Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::time::sleep;

use super::Seen;
use crate::lanes::HangSignal;
use crate::paths::{Behaviour, Length, UPLOAD};
use crate::tag::{HEADER, Tag};

/// Returns the request. HTTP/2 has the authority in the target, HTTP/1.1 in a header.
pub(super) fn request(tag: Tag, origin: &str, hang_signal: &HangSignal) -> Request<Body> {
    let path = tag.path();
    let length = path.client.upload_length();
    let (method, body) = if length.is_some() {
        (Method::POST, upload(tag, UPLOAD.as_bytes(), hang_signal))
    } else if path.client == Behaviour::SendsHead {
        (Method::HEAD, Body::empty())
    } else {
        (Method::GET, Body::empty())
    };
    let mut request = Request::builder()
        .method(method)
        .uri(format!("{origin}/soak?n=1"))
        .header("host", "example.com")
        .header(HEADER, tag.header_value());
    if length.is_some() {
        request = request.header("content-type", "application/json");
    }
    if length == Some(Length::Declared) {
        request = request.header("content-length", UPLOAD.len());
    }
    let mut request = request.body(body).expect("all parts are well-formed");
    path.caller.write(request.headers_mut());
    request
}

/// Returns a body that is sent in two frames. If the client cuts it, the second one does not come: the body fails when
/// the server has read the first one, or is pending.
pub(super) fn upload(tag: Tag, whole: &'static [u8], hang_signal: &HangSignal) -> Body {
    let (first, second) = whole.split_at(whole.len() / 2);
    let (client, hang_signal) = (tag.path().client, hang_signal.clone());
    let second = stream::once(async move {
        if let Behaviour::LeavesUpload(_) = client {
            return std::future::pending().await;
        }
        if let Behaviour::FailsUpload(_) = client {
            hang_signal.wait(tag.lane).await;
            return Err(io::Error::other("the file is gone"));
        }
        Ok(second)
    });
    Body::from_stream(stream::iter([Ok(first)]).chain(second))
}

/// Reads the response to its end or until the client disconnects. The response is dropped on return.
pub(super) async fn receive(
    response: impl Future<Output = hyper::Result<Response<Incoming>>>,
    tag: Tag,
    hang_signal: &HangSignal,
) -> Seen {
    let client = tag.path().client;
    let response = async { read(response.await, client).await };
    // A body that fails waits for the signal itself.
    let fails = matches!(client, Behaviour::FailsUpload(_));
    if !client.waits_for_signal() || fails {
        return response.await;
    }
    tokio::select! {
        () = hang_signal.wait(tag.lane) => Seen::Disconnected,
        seen = response => seen,
    }
}

/// A pause of a slow reader.
const PAUSE: Duration = Duration::from_millis(1);
/// The time between the last read of a client and its disconnection. An endless body then fills all buffers.
const UNREAD: Duration = Duration::from_millis(5);

async fn read(response: hyper::Result<Response<Incoming>>, client: Behaviour) -> Seen {
    let Ok(response) = response else {
        return Seen::Broken;
    };
    let status = response.status().as_u16();
    let mut body = response.into_body();
    let mut bytes = 0;
    loop {
        match body.frame().await {
            Some(Ok(frame)) => bytes += frame.data_ref().map_or(0, Bytes::len),
            Some(Err(_)) => return Seen::Broken,
            None => return Seen::Complete(status, bytes),
        }
        if let Behaviour::DisconnectsAfter(enough) = client
            && bytes >= enough
        {
            return Seen::Disconnected;
        }
        if let Behaviour::StopsReadingAfter(enough) = client
            && bytes >= enough
        {
            sleep(UNREAD).await;
            return Seen::Disconnected;
        }
        if client == Behaviour::ReadsSlowly {
            sleep(PAUSE).await;
        }
    }
}
