//! The clients that leave.

use std::net::SocketAddr;

use http::{Method, Request, Version};
use tokio::io::AsyncWriteExt as _;

use super::got::Got;
use super::http1::{self, Http1};
use super::http2::{self, Http2};
use super::leavings::{Way, When};
use super::scenes::{Handling, Scene};

/// The server's end of a scene went on although it had nowhere to go.
fn not_stuck(status: u16) -> Got {
    Got::cut(
        status,
        0,
        "all was taken from the body, though nobody reads",
    )
}

pub async fn http1(
    address: SocketAddr,
    path: &str,
    scene: &Scene,
    way: Way,
    handling: &Handling,
) -> Got {
    let mut client = Http1::connect(address).await;
    let headers: &[_] = if scene.has_request_body() {
        &[("content-length", "4")]
    } else {
        &[]
    };
    client
        .send(http1::request(
            &Method::GET,
            path,
            Version::HTTP_11,
            headers,
        ))
        .await;

    let mut status = None;
    let mut bytes = 0;
    match scene.when {
        When::BeforeTheHead => handling.progress.called.notified().await,
        When::AtTheEnd => {
            let got = client.message(&Method::GET).await;
            leave(client, way).await;
            return got;
        }
        When::AfterBytes(_) | When::Stuck => {
            let head = client.head().await.expect("a head");
            status = Some(head.status);
            if let When::AfterBytes(enough) = scene.when {
                let read = client.take(enough, &mut bytes).await;
                read.expect("so many bytes");
            } else if !handling.progress.stands_still().await {
                return not_stuck(head.status);
            } else if way == Way::Stays {
                return client.body(&Method::GET, &head).await;
            }
        }
    }
    let half = leave(client, way).await;
    handling.progress.told.notify_one();
    match (half, status) {
        (None, status) => Got::Left { status },
        (Some(mut client), None) => client.message(&Method::GET).await,
        (Some(mut client), Some(status)) => {
            let end = client.take(usize::MAX - bytes, &mut bytes).await;
            Got::cut(status, bytes, end.expect_err("an end"))
        }
    }
}

/// Leaves, and keeps what there is to read on if it is but half.
async fn leave(mut client: Http1, way: Way) -> Option<Http1> {
    match way {
        Way::HalfClose => {
            client.socket.shutdown().await.expect("a half close");
            return Some(client);
        }
        Way::Rst => client
            .socket
            .set_zero_linger()
            .expect("the socket's option"),
        Way::Fin | Way::RstStream | Way::Stays => {}
    }
    None
}

pub async fn http2(
    address: SocketAddr,
    path: &str,
    scene: &Scene,
    way: Way,
    handling: &Handling,
) -> Got {
    let mut client = Http2::connect(address, way == Way::Rst).await;
    let request = Request::get(format!("http://example.com{path}")).version(Version::HTTP_2);
    let exchange = client
        .send(request.body(()).expect("a request"), true)
        .await;
    if scene.when == When::BeforeTheHead {
        handling.progress.called.notified().await;
        return leave_http2(client, exchange, way, None).await;
    }
    let response = exchange.response.await.expect("a head");
    let status = response.status().as_u16();
    let mut body = response.into_body();
    let mut bytes = 0;
    let is_whole = match scene.when {
        When::AfterBytes(enough) => {
            let read = http2::read(&mut body, enough, &mut bytes).await;
            read.expect("so many bytes");
            false
        }
        When::Stuck if !handling.progress.stands_still().await => return not_stuck(status),
        When::Stuck if way != Way::Stays => false,
        When::Stuck | When::AtTheEnd | When::BeforeTheHead => {
            let read = http2::read(&mut body, usize::MAX, &mut bytes).await;
            read.expect("the whole body");
            true
        }
    };
    let left = leave_http2(client, (body, exchange.send), way, Some(status)).await;
    if is_whole {
        Got::Whole { status, bytes }
    } else {
        left
    }
}

/// Leaves. Whatever is `held` of the request resets its stream when it is dropped.
async fn leave_http2<T>(mut client: Http2, held: T, way: Way, status: Option<u16>) -> Got {
    if way == Way::RstStream {
        drop(held);
        // The connection stays long enough to say so: an answer to a ping comes after it.
        client.ping().await;
        client.close().await;
    } else {
        client.close().await;
        drop(held);
    }
    Got::Left { status }
}
