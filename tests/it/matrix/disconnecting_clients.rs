//! Clients that act at a given moment of a response, over HTTP/1 and HTTP/2.

use std::net::SocketAddr;

use http::{Method, Request, Version};
use tokio::io::AsyncWriteExt as _;

use super::client_result::ClientResult;
use super::disconnects::{Action, Moment};
use super::http1::{self, Http1};
use super::http2::{self, Http2};
use super::scenarios::{Handling, Scenario};

/// The result if the server read the whole body although the client does not read.
fn not_blocked(status: u16) -> ClientResult {
    ClientResult::truncated(
        status,
        0,
        "no back-pressure: the server took the whole body",
    )
}

pub async fn http1(
    address: SocketAddr,
    path: &str,
    scenario: &Scenario,
    action: Action,
    handling: &Handling,
) -> ClientResult {
    let mut client = Http1::connect(address).await;
    let headers: &[_] = if scenario.has_request_body() {
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
    match scenario.moment {
        Moment::BeforeHead => handling.progress.called.notified().await,
        Moment::Complete => {
            let result = client.message(&Method::GET).await;
            disconnect(client, action).await;
            return result;
        }
        Moment::AfterBytes(_) | Moment::Blocked => {
            let head = client.head().await.expect("a head");
            status = Some(head.status);
            if let Moment::AfterBytes(count) = scenario.moment {
                let read = client.take(count, &mut bytes).await;
                read.expect("enough bytes");
            } else if !handling.progress.is_blocked().await {
                return not_blocked(head.status);
            } else if action == Action::KeepReading {
                return client.body(&Method::GET, &head).await;
            }
        }
    }
    let half_open = disconnect(client, action).await;
    handling.progress.resume.notify_one();
    match (half_open, status) {
        (None, status) => ClientResult::Disconnected { status },
        (Some(mut client), None) => client.message(&Method::GET).await,
        (Some(mut client), Some(status)) => {
            let end = client.take(usize::MAX - bytes, &mut bytes).await;
            ClientResult::truncated(status, bytes, end.expect_err("an end"))
        }
    }
}

/// Disconnects. Returns the client if only its half is closed, so that it can read the rest.
async fn disconnect(mut client: Http1, action: Action) -> Option<Http1> {
    match action {
        Action::HalfClose => {
            client.socket.shutdown().await.expect("a half close");
            return Some(client);
        }
        Action::Rst => client
            .socket
            .set_zero_linger()
            .expect("the socket's option"),
        Action::Fin | Action::RstStream | Action::KeepReading => {}
    }
    None
}

pub async fn http2(
    address: SocketAddr,
    path: &str,
    scenario: &Scenario,
    action: Action,
    handling: &Handling,
) -> ClientResult {
    let mut client = Http2::connect(address, action == Action::Rst).await;
    let request = Request::get(format!("http://example.com{path}")).version(Version::HTTP_2);
    let exchange = client
        .send(request.body(()).expect("a request"), true)
        .await;
    if scenario.moment == Moment::BeforeHead {
        handling.progress.called.notified().await;
        return disconnect_http2(client, exchange, action, None).await;
    }
    let response = exchange.response.await.expect("a head");
    let status = response.status().as_u16();
    let mut body = response.into_body();
    let mut bytes = 0;
    let is_complete = match scenario.moment {
        Moment::AfterBytes(limit) => {
            let read = http2::read(&mut body, limit, &mut bytes).await;
            read.expect("enough bytes");
            false
        }
        Moment::Blocked if !handling.progress.is_blocked().await => return not_blocked(status),
        Moment::Blocked if action != Action::KeepReading => false,
        Moment::Blocked | Moment::Complete | Moment::BeforeHead => {
            let read = http2::read(&mut body, usize::MAX, &mut bytes).await;
            read.expect("the whole body");
            true
        }
    };
    let disconnected = disconnect_http2(client, (body, exchange.send), action, Some(status)).await;
    if is_complete {
        ClientResult::Complete { status, bytes }
    } else {
        disconnected
    }
}

/// Disconnects. Dropping `stream`, the client's parts of the request, resets the stream.
async fn disconnect_http2<T>(
    mut client: Http2,
    stream: T,
    action: Action,
    status: Option<u16>,
) -> ClientResult {
    if action == Action::RstStream {
        drop(stream);
        // The pong shows that the server has read the reset.
        client.ping().await;
        client.close().await;
    } else {
        client.close().await;
        drop(stream);
    }
    ClientResult::Disconnected { status }
}
