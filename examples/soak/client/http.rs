//! The code that the HTTP/1.1 and HTTP/2 clients share.

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;

use super::Seen;
use crate::lanes::HangSignal;
use crate::paths::Behaviour;
use crate::tag::{HEADER, Tag};

/// Returns the request. HTTP/2 has the authority in the target, HTTP/1.1 in a header.
pub(super) fn request(tag: Tag, origin: &str) -> Request<Empty<Bytes>> {
    let method = if tag.path().client == Behaviour::SendsHead {
        Method::HEAD
    } else {
        Method::GET
    };
    Request::builder()
        .method(method)
        .uri(format!("{origin}/soak?n=1"))
        .header("host", "example.com")
        .header(HEADER, tag.header_value())
        .body(Empty::new())
        .expect("all parts are well-formed")
}

/// Reads the response to its end or until the client disconnects. The response is dropped on return.
pub(super) async fn receive(
    response: impl Future<Output = hyper::Result<Response<Incoming>>>,
    tag: Tag,
    hang_signal: &HangSignal,
) -> Seen {
    let enough = match tag.path().client {
        Behaviour::DisconnectsBeforeHead => {
            return tokio::select! {
                () = hang_signal.wait(tag.lane) => Seen::Disconnected,
                response = response => read(response, usize::MAX).await,
            };
        }
        Behaviour::DisconnectsAfter(enough) => enough,
        Behaviour::ReadsAll | Behaviour::SendsHead | Behaviour::SetsDeadline => usize::MAX,
    };
    read(response.await, enough).await
}

async fn read(response: hyper::Result<Response<Incoming>>, enough: usize) -> Seen {
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
        if bytes >= enough {
            return Seen::Disconnected;
        }
    }
}
