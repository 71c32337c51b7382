//! What the clients of both versions of HTTP have in common.

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;

use super::Seen;
use crate::asked::{Asked, HEADER};
use crate::lanes::Hanging;
use crate::paths::Behaviour;

/// The request. HTTP/2 has the authority in its target, HTTP/1.1 in a header.
pub(super) fn request(asked: Asked, origin: &str) -> Request<Empty<Bytes>> {
    let method = if asked.path().client == Behaviour::AsksForHead {
        Method::HEAD
    } else {
        Method::GET
    };
    Request::builder()
        .method(method)
        .uri(format!("{origin}/soak?n=1"))
        .header("host", "example.com")
        .header(HEADER, asked.value())
        .body(Empty::new())
        .expect("all parts are well-formed")
}

/// Sees what becomes of a request, up to the client's leaving: whatever is held of it is dropped
/// then.
pub(super) async fn receive(
    response: impl Future<Output = hyper::Result<Response<Incoming>>>,
    asked: Asked,
    hanging: &Hanging,
) -> Seen {
    let enough = match asked.path().client {
        Behaviour::LeavesBeforeHead => {
            return tokio::select! {
                () = hanging.wait(asked.lane) => Seen::Left,
                response = response => read(response, usize::MAX).await,
            };
        }
        Behaviour::LeavesAfter(enough) => enough,
        Behaviour::Stays | Behaviour::AsksForHead | Behaviour::HasDeadline => usize::MAX,
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
            None => return Seen::Whole(status, bytes),
        }
        if bytes >= enough {
            return Seen::Left;
        }
    }
}
